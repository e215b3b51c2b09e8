package errs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/stoa-live/stoa/internal/errs"
)

// away is the error of a database that cannot be reached.
type away struct{}

func (away) Error() string     { return "dial tcp 10.0.0.7:5432: connection refused" }
func (away) Unavailable() bool { return true }

func TestToConnect(t *testing.T) {
	driver := errors.New("pq: secret table is on fire")
	neighbour := errs.ToConnect(errs.NotFound("ROOM_NOT_FOUND", "no such room").With("room_id", "r1"))
	for name, c := range map[string]struct {
		err      error
		code     connect.Code
		reason   string
		message  string
		metadata map[string]string
	}{
		"refusal": {
			err: errs.ResourceExhausted("RATE_LIMITED", "wait %d ms", 50).With("retry_after_ms", "50"), code: connect.CodeResourceExhausted,
			reason: "RATE_LIMITED", message: "wait 50 ms", metadata: map[string]string{"retry_after_ms": "50"},
		},
		"wrapped refusal": {
			err:  fmt.Errorf("open room: %w", errs.PermissionDenied("NOT_OWNER", "not your room").Because(driver)),
			code: connect.CodePermissionDenied, reason: "NOT_OWNER", message: "not your room",
		},
		"unknown": {err: driver, code: connect.CodeInternal, reason: "INTERNAL", message: "internal error"},
		"joined": {
			err: errors.Join(driver, errs.AlreadyExists("TAKEN", "taken")), code: connect.CodeAlreadyExists, reason: "TAKEN",
			message: "taken",
		},
		"canceled": {
			err: fmt.Errorf("query: %w", context.Canceled), code: connect.CodeCanceled, reason: "CANCELED",
			message: "the call was canceled",
		},
		"deadline": {
			err: fmt.Errorf("query: %w", context.DeadlineExceeded), code: connect.CodeDeadlineExceeded,
			reason: "DEADLINE_EXCEEDED", message: "the call took too long",
		},
		"neighbour": {
			err: fmt.Errorf("ask live: %w", neighbour), code: connect.CodeNotFound, reason: "ROOM_NOT_FOUND", message: "no such room",
			metadata: map[string]string{"room_id": "r1"},
		},
		"neighbour replaced": {
			err: errs.Unavailable("LIVE_DOWN", "later").Because(neighbour), code: connect.CodeUnavailable, reason: "LIVE_DOWN",
			message: "later",
		},
		"a database that is away": {
			err: fmt.Errorf("store room: %w", away{}), code: connect.CodeUnavailable, reason: "UNAVAILABLE",
			message: "the service is not available, try again later",
		},
		"bare unavailable": {
			err: connect.NewError(connect.CodeUnavailable, driver), code: connect.CodeUnavailable, reason: "UNAVAILABLE",
			message: "the service is not available, try again later",
		},
		"bare unknown": {
			err: connect.NewError(connect.CodeUnknown, driver), code: connect.CodeInternal, reason: "INTERNAL",
			message: "internal error",
		},
		"bare not found": {
			err: connect.NewError(connect.CodeNotFound, driver), code: connect.CodeNotFound, reason: "NOT_FOUND", message: "not found",
		},
		"bare invalid": {
			err: connect.NewError(connect.CodeInvalidArgument, driver), code: connect.CodeInvalidArgument,
			reason: "INVALID_ARGUMENT", message: "the request is invalid",
		},
		"too large": {
			err: fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 5}), code: connect.CodeResourceExhausted,
			reason: "REQUEST_TOO_LARGE", message: "the message is larger than the limit",
		},
		"not UTF-8": {
			err: errs.NotFound("GONE", "no such thing").With("name", "\xff"), code: connect.CodeNotFound, reason: "GONE",
			message: "no such thing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := errs.ToConnect(c.err)
			if got.Code() != c.code || got.Message() != c.message {
				t.Errorf("got %v %q, want %v %q", got.Code(), got.Message(), c.code, c.message)
			}
			info := detail[*errdetails.ErrorInfo](t, got)
			if info.GetReason() != c.reason || info.GetDomain() != "stoa" || fmt.Sprint(info.GetMetadata()) != fmt.Sprint(c.metadata) {
				t.Errorf("info is %v, want %s %v", info, c.reason, c.metadata)
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("%v leaks", got)
			}
			if errs.Reason(c.err) != "" && errs.Reason(got) != c.reason {
				t.Errorf("Reason(%v) = %q", got, errs.Reason(got))
			}
			if !errs.Is(got, c.code, c.reason) {
				t.Errorf("Is(%v) is false", got)
			}
		})
	}
	if errs.ToConnect(nil) != nil {
		t.Error("an error for nil")
	}
}

// detail returns the only detail of a type, nil if there is none.
func detail[T any](t *testing.T, err *connect.Error) T {
	t.Helper()
	var found []T
	for _, d := range err.Details() {
		value, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := value.(T); ok {
			found = append(found, v)
		}
	}
	if len(found) > 1 {
		t.Fatalf("%d details of %T", len(found), found[0])
	}
	if len(found) == 0 {
		var zero T
		return zero
	}
	return found[0]
}

func TestErrorsAreValues(t *testing.T) {
	base := errs.NotFound("ROOM_NOT_FOUND", "no such room")
	if base.With("a", "1"); base.Metadata != nil {
		t.Error("With changed its receiver")
	}
	two := base.With("a", "1").With("b", "2").Because(io.EOF)
	if fmt.Sprint(errs.Metadata(two)) != "map[a:1 b:2]" || fmt.Sprint(errs.Metadata(errs.ToConnect(two))) != "map[a:1 b:2]" {
		t.Errorf("metadata is %v", errs.Metadata(two))
	}
	if !errors.Is(two, io.EOF) || !errors.Is(fmt.Errorf("get room: %w", two), base) {
		t.Error("errors.Is finds neither cause nor kind")
	}
	if errors.Is(two, errs.NotFound("USER_NOT_FOUND", "")) || errs.Is(two, connect.CodeAborted, "ROOM_NOT_FOUND") {
		t.Error("kinds are mixed up")
	}
	if errs.Is(nil, connect.CodeNotFound, "") || errs.Reason(nil) != "" || errs.Reason(io.EOF) != "" || errs.Metadata(io.EOF) != nil {
		t.Error("something was read out of nothing")
	}
	if !strings.Contains(two.Error(), "EOF") {
		t.Errorf("logs would not see the cause: %v", two)
	}
}
