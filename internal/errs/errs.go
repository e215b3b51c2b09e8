// Package errs is the only place where errors become what a client sees.
//
// Inside the house, a rule that says no returns one of the constructors below; everything else returns plain wrapped
// errors. At the border, [NewInterceptor] turns both into a Connect error that always carries a google.rpc.ErrorInfo
// with a reason word and the domain "stoa", and, for wrong requests, a google.rpc.BadRequest that names the fields.
//
// What must never happen here: the text of a driver, a neighbour's transport or a Go type reaching a client. An error
// that is not an [*Error] is shown as "internal error" and logged in full.
package errs

import (
	"errors"
	"fmt"
	"maps"

	"connectrpc.com/connect"
)

// Domain is the domain of every ErrorInfo that Stoa sends.
const Domain = "stoa"

// Reasons that any RPC may return; the RPCs document their own in their contracts.
const (
	ReasonInternal         = "INTERNAL"
	ReasonInvalidArgument  = "INVALID_ARGUMENT"
	ReasonUnauthenticated  = "UNAUTHENTICATED"
	ReasonForbidden        = "FORBIDDEN"
	ReasonRateLimited      = "RATE_LIMITED"
	ReasonRequestTooLarge  = "REQUEST_TOO_LARGE"
	ReasonUnavailable      = "UNAVAILABLE"
	ReasonDeadlineExceeded = "DEADLINE_EXCEEDED"
	ReasonCanceled         = "CANCELED"
)

// Error is a refusal that a client may see: all of it except its cause.
//
// Errors are values: With and Because return changed copies, so a package may keep one and answer with it many times.
type Error struct {
	// Code says how the client should take it.
	Code connect.Code
	// Reason is an UPPER_SNAKE_CASE word that programs act on. Once published it does not change.
	Reason string
	// Message is one sentence for people, in English.
	Message string
	// Metadata holds what a program needs to act, such as "retry_after_ms".
	Metadata map[string]string

	cause error
}

// Error implements error for logs: it includes the cause, which clients never see.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Reason + ": " + e.Message
	}
	return e.Reason + ": " + e.Message + ": " + e.cause.Error()
}

// Unwrap returns the cause given to Because.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error of the same code and reason, so that errors.Is compares kinds and not texts.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Reason == e.Reason
}

// With returns a copy with one more entry in its metadata.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return &c
}

// Because returns a copy that wraps err: seen in logs and by errors.Is, never by a client.
func (e *Error) Because(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// New makes a refusal of any code. The constructors below read better where they fit.
func New(code connect.Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// NotFound says that what the request names does not exist, or that the caller may not know whether it does.
func NotFound(reason, format string, args ...any) *Error {
	return New(connect.CodeNotFound, reason, format, args...)
}

// InvalidArgument says that the request is wrong whatever the state of the server.
func InvalidArgument(reason, format string, args ...any) *Error {
	return New(connect.CodeInvalidArgument, reason, format, args...)
}

// PermissionDenied says that the caller is known and may not do it.
func PermissionDenied(reason, format string, args ...any) *Error {
	return New(connect.CodePermissionDenied, reason, format, args...)
}

// Unauthenticated says that the caller must sign in, or do so again.
func Unauthenticated(reason, format string, args ...any) *Error {
	return New(connect.CodeUnauthenticated, reason, format, args...)
}

// AlreadyExists says that what the request would make is already there.
func AlreadyExists(reason, format string, args ...any) *Error {
	return New(connect.CodeAlreadyExists, reason, format, args...)
}

// ResourceExhausted says that a limit of the caller or of the server is reached.
func ResourceExhausted(reason, format string, args ...any) *Error {
	return New(connect.CodeResourceExhausted, reason, format, args...)
}

// FailedPrecondition says that the state of the thing does not allow it now.
func FailedPrecondition(reason, format string, args ...any) *Error {
	return New(connect.CodeFailedPrecondition, reason, format, args...)
}

// Unavailable says that the same request may work in a moment.
func Unavailable(reason, format string, args ...any) *Error {
	return New(connect.CodeUnavailable, reason, format, args...)
}

// Reason returns the reason of an error on either side of the wire: of an *Error inside the house, of the ErrorInfo of
// a *connect.Error at a client. It returns "" for nil and for errors that carry none.
func Reason(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	if info := errorInfo(err); info != nil {
		return info.GetReason()
	}
	return ""
}

// Metadata returns the metadata of an error on either side of the wire, nil if it carries none.
func Metadata(err error) map[string]string {
	if e, ok := errors.AsType[*Error](err); ok {
		return maps.Clone(e.Metadata)
	}
	return maps.Clone(errorInfo(err).GetMetadata())
}

// Is reports whether err has the given code and reason on either side of the wire. The empty reason matches any.
func Is(err error, code connect.Code, reason string) bool {
	if err == nil {
		return false
	}
	got := connect.CodeOf(err)
	if e, ok := errors.AsType[*Error](err); ok {
		got = e.Code
	}
	return got == code && (reason == "" || reason == Reason(err))
}
