package stoa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// Reasons of this package's own errors; all others are the server's.
const (
	// ReasonConnectionLost comes with the code Unavailable: the connection broke before the answer came. What was asked
	// may have been done.
	ReasonConnectionLost = "CONNECTION_LOST"
	// ReasonConnectionEnded comes with the code Unavailable: the connection was closed, here or for good by the server.
	ReasonConnectionEnded = "CONNECTION_ENDED"
	// ReasonRequestTooLarge comes with the code ResourceExhausted: the server would not read such a frame.
	ReasonRequestTooLarge = "REQUEST_TOO_LARGE"
)

// errorDomain is the domain of every ErrorInfo of Stoa.
const errorDomain = "stoa"

// Reason returns the reason of an error of a call, such as "CONVERSATION_NOT_FOUND"; "" for errors that have none.
func Reason(err error) string { return errorInfo(err).GetReason() }

// Metadata returns what else is known of an error of a call, such as "retry_after_ms"; nil for errors that say nothing.
func Metadata(err error) map[string]string { return maps.Clone(errorInfo(err).GetMetadata()) }

func errorInfo(err error) *errdetails.ErrorInfo {
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok || wire == nil {
		return nil
	}
	for _, detail := range wire.Details() {
		if value, err := detail.Value(); err == nil {
			if info, ok := value.(*errdetails.ErrorInfo); ok {
				return info
			}
		}
	}
	return nil
}

// GoodbyeError is why the server ended a connection.
type GoodbyeError struct {
	// Reason is the server's.
	Reason edgev1.GoodbyeReason
	// Message is for people who read logs.
	Message string
	// Reconnect is how long the server asks to wait; negative when it asks not to come back without a person's doing.
	Reconnect time.Duration
	// Cause is what the sign-in, or the call that checked it, was refused with; nil when it was not that.
	Cause error
}

// Error implements error.
func (e *GoodbyeError) Error() string {
	text := "the server ended the connection: " + e.Reason.String()
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *GoodbyeError) Unwrap() error { return e.Cause }

// tokenRefused reports whether another token is needed.
func (e *GoodbyeError) tokenRefused() bool {
	return e.Reason == edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED && e.Cause != nil &&
		connect.CodeOf(e.Cause) == connect.CodeUnauthenticated
}

func goodbyeError(bye *edgev1.Goodbye) *GoodbyeError {
	e := &GoodbyeError{
		Reason: bye.GetReason(), Message: bye.GetMessage(),
		Reconnect: time.Duration(bye.GetReconnectMs()) * time.Millisecond,
	}
	if bye.GetError() != nil {
		e.Cause = wireError(bye.GetError())
	}
	return e
}

// wireError makes an error frame what a generated client would have returned.
func wireError(e *edgev1.Error) *connect.Error {
	code := connect.Code(e.GetCode()) //nolint:gosec // checked below
	if e.GetCode() < int32(connect.CodeCanceled) || e.GetCode() > int32(connect.CodeUnauthenticated) {
		code = connect.CodeUnknown
	}
	return reasoned(code, e.GetReason(), errors.New(e.GetMessage()), e.GetMetadata())
}

func reasoned(code connect.Code, reason string, cause error, metadata map[string]string) *connect.Error {
	out := connect.NewError(code, cause)
	// Marshalling fails only for texts that are no UTF-8, which protobuf does not let through either.
	if detail, err := connect.NewErrorDetail(&errdetails.ErrorInfo{
		Reason: reason, Domain: errorDomain, Metadata: metadata,
	}); err == nil {
		out.AddDetail(detail)
	}
	return out
}

func connectionLost(cause error) error {
	return reasoned(connect.CodeUnavailable, ReasonConnectionLost, fmt.Errorf("the connection was lost: %w", cause), nil)
}

func connectionEnded(cause error) error {
	return reasoned(connect.CodeUnavailable, ReasonConnectionEnded, fmt.Errorf("the connection has ended: %w", cause), nil)
}

func requestTooLarge(size, limit int) error {
	return reasoned(connect.CodeResourceExhausted, ReasonRequestTooLarge,
		fmt.Errorf("the request makes a frame of %d bytes, the server reads %d", size, limit), nil)
}

// contextError is what a generated client returns when its context ends.
func contextError(ctx context.Context) error {
	code := connect.CodeCanceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = connect.CodeDeadlineExceeded
	}
	return connect.NewError(code, context.Cause(ctx))
}

// again reports whether the same call may succeed later, and how long the server asks to wait.
func again(err error) (wait time.Duration, ok bool) {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable:
		return 0, Reason(err) != ReasonConnectionEnded
	case connect.CodeDeadlineExceeded, connect.CodeAborted, connect.CodeCanceled:
		return 0, true
	case connect.CodeResourceExhausted:
		ms, parse := strconv.ParseInt(Metadata(err)["retry_after_ms"], 10, 64)
		return time.Duration(ms) * time.Millisecond, parse == nil
	default:
		return 0, false
	}
}
