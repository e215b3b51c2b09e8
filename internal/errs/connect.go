package errs

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
)

// ToConnect translates any error into what a client sees. It returns nil for nil, and otherwise an error that has an
// ErrorInfo: the error's own if it is an [*Error] or came from a neighbour with one, a generic one by its code if it is
// a bare *connect.Error or a context's end, UNAVAILABLE if it says so of itself (Unavailable() bool), and INTERNAL for
// everything else.
func ToConnect(err error) *connect.Error {
	if err == nil {
		return nil
	}
	// The outermost translated error wins: an *Error that wraps a neighbour's answer was put there to replace it.
	var own *Error
	var wire *connect.Error
	for e := range chain(err) {
		if o, ok := e.(*Error); ok {
			own = o
			break
		}
		if w, ok := e.(*connect.Error); ok && w != nil {
			wire = w
			break
		}
	}
	switch {
	case own != nil:
		return own.connect()
	case wire != nil && aboutUs(wire):
		return internal().connect()
	case wire != nil && errorInfo(wire) != nil:
		return wire
	case wire != nil:
		return bare(wire)
	case isUnavailable(err): // also one that took too long to be reached
		return unavailable().connect()
	case errors.Is(err, context.Canceled):
		return canceled().connect()
	case errors.Is(err, context.DeadlineExceeded):
		return deadlineExceeded().connect()
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge().connect()
	}
	return internal().connect()
}

// aboutUs reports whether a neighbour refused the identity of this service. Services call each other as themselves, so
// such an answer is a fault of the house; passed on, it would make the client throw its own good token away.
func aboutUs(wire *connect.Error) bool {
	if !connect.IsWireError(wire) {
		return false
	}
	switch wire.Code() {
	case connect.CodeUnauthenticated:
		return true
	case connect.CodePermissionDenied:
		return Reason(wire) == ReasonForbidden || Reason(wire) == ""
	default:
		return false
	}
}

// connect builds the wire form. Its message is the public one; its cause stays behind.
func (e *Error) connect(details ...proto.Message) *connect.Error {
	out := connect.NewError(e.Code, errors.New(e.Message))
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain, Metadata: e.Metadata}
	for _, m := range append([]proto.Message{info}, details...) {
		// Only a message that cannot be marshalled fails, such as one with text that is not UTF-8: what is lost is a
		// detail, and the reason is kept by leaving the metadata out.
		detail, err := connect.NewErrorDetail(m)
		if err != nil {
			detail, err = connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain})
			if err != nil || m != proto.Message(info) {
				continue
			}
		}
		out.AddDetail(detail)
	}
	return out
}

// bare gives a *connect.Error that nobody of ours has made its reason by code. Its own text may be a transport's or a
// codec's, so only the parts that repeat the caller's input are kept.
func bare(wire *connect.Error) *connect.Error {
	switch wire.Code() {
	case connect.CodeInvalidArgument:
		return invalid(wire)
	case connect.CodeResourceExhausted:
		_, limited := errors.AsType[*http.MaxBytesError](wire)
		if limited || strings.Contains(wire.Message(), "larger than configured max") {
			return tooLarge().connect()
		}
		return ResourceExhausted(ReasonRateLimited, "too much at once, try again later").connect()
	case connect.CodeCanceled:
		return canceled().connect()
	case connect.CodeDeadlineExceeded:
		return deadlineExceeded().connect()
	case connect.CodeUnavailable:
		return unavailable().connect()
	case connect.CodeUnauthenticated:
		return Unauthenticated(ReasonUnauthenticated, "sign in first").connect()
	case connect.CodePermissionDenied:
		return PermissionDenied(ReasonForbidden, "not allowed").connect()
	case connect.CodeNotFound, connect.CodeAlreadyExists, connect.CodeFailedPrecondition, connect.CodeAborted,
		connect.CodeOutOfRange, connect.CodeUnimplemented:
		name := wire.Code().String()
		return New(wire.Code(), strings.ToUpper(name), "%s", strings.ReplaceAll(name, "_", " ")).connect()
	default: // unknown, internal, data_loss
		return internal().connect()
	}
}

// invalid keeps protovalidate's violations and says them a second time as google.rpc.BadRequest, which clients in every
// language have at hand.
func invalid(wire *connect.Error) *connect.Error {
	for _, detail := range wire.Details() {
		value, err := detail.Value()
		if err != nil {
			continue
		}
		violations, ok := value.(*validate.Violations)
		if !ok {
			continue
		}
		bad := &errdetails.BadRequest{}
		texts := make([]string, 0, len(violations.GetViolations()))
		for _, v := range violations.GetViolations() {
			field := protovalidate.FieldPathString(v.GetField())
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: field, Description: v.GetMessage(),
			})
			if field == "" {
				texts = append(texts, v.GetMessage())
			} else {
				texts = append(texts, field+": "+v.GetMessage())
			}
		}
		message := "the request is invalid: " + strings.Join(texts, "; ")
		return InvalidArgument(ReasonInvalidArgument, "%s", message).connect(bad, violations)
	}
	message := "the request is invalid"
	if parse := decodeProblem(wire.Message()); parse != "" {
		message = "the request cannot be read: " + parse
	}
	return InvalidArgument(ReasonInvalidArgument, "%s", message).connect()
}

// decodeProblem cuts what the protobuf parser says about the caller's own input out of connect's text, without the Go
// type that stands before it.
func decodeProblem(text string) string {
	if !strings.HasPrefix(text, "unmarshal message: ") {
		return ""
	}
	// The parser separates "proto:" from its text by a plain or a no-break space, on purpose.
	_, problem, ok := strings.Cut(text, "proto:")
	if !ok {
		return "malformed body"
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, problem)
	const limit = 200 // runes; a wrong value may be as long as the body
	if runes := []rune(clean); len(runes) > limit {
		clean = string(runes[:limit]) + "…"
	}
	return strings.TrimSpace(clean)
}

// isUnavailable reports whether an error says of itself that the same may work in a moment, as those of a database that is
// away do.
func isUnavailable(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Unavailable() bool
	}](err)
	return ok && e.Unavailable()
}

func unavailable() *Error {
	return Unavailable(ReasonUnavailable, "the service is not available, try again later")
}

func internal() *Error {
	return New(connect.CodeInternal, ReasonInternal, "internal error")
}

func canceled() *Error {
	return New(connect.CodeCanceled, ReasonCanceled, "the call was canceled")
}

func deadlineExceeded() *Error {
	return New(connect.CodeDeadlineExceeded, ReasonDeadlineExceeded, "the call took too long")
}

func tooLarge() *Error {
	return ResourceExhausted(ReasonRequestTooLarge, "the message is larger than the limit")
}

// errorInfo returns the first ErrorInfo among the details of the first *connect.Error in err.
func errorInfo(err error) *errdetails.ErrorInfo {
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok || wire == nil {
		return nil
	}
	for _, detail := range wire.Details() {
		if detail.Type() != "google.rpc.ErrorInfo" {
			continue
		}
		if value, err := detail.Value(); err == nil {
			if info, ok := value.(*errdetails.ErrorInfo); ok {
				return info
			}
		}
	}
	return nil
}

// chain walks err and what it wraps, outermost first, depth first, as errors.As does.
func chain(err error) func(yield func(error) bool) {
	return func(yield func(error) bool) { walk(err, yield) }
}

func walk(err error, yield func(error) bool) bool {
	for err != nil {
		if !yield(err) {
			return false
		}
		switch x := err.(type) {
		case interface{ Unwrap() error }:
			err = x.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range x.Unwrap() {
				if !walk(e, yield) {
					return false
				}
			}
			return true
		default:
			return true
		}
	}
	return true
}
