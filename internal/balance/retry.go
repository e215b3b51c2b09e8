package balance

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxAttempts is how often a call is made, the first time included.
const maxAttempts = 3

// dialError says that there was no connection, so that nothing was sent.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// worth returns what counts a retry of a call that went like this, nil if it may not or need not be made again.
func worth(r *http.Request, res *http.Response, err error) func(*counters) prometheus.Counter {
	switch {
	case err == nil && !isGateway(res):
		return nil
	case err != nil && unsent(err):
		return func(c *counters) prometheus.Counter { return c.unsent }
	case idempotent(r):
		return func(c *counters) prometheus.Counter { return c.repeated }
	default:
		return nil
	}
}

// What net/http says of a request that the server has not looked at, and will not. It exports neither error.
const (
	refusedStream = "REFUSED_STREAM"
	goneAway      = "http2: Transport received Server's graceful shutdown GOAWAY"
)

// unsent reports whether the error proves that no handler has seen the request.
func unsent(err error) bool {
	if _, ok := errors.AsType[*dialError](err); ok {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "stream error: stream ID ") && strings.Contains(text, refusedStream) || strings.Contains(text, goneAway)
}

// idempotent reports whether making the call twice is like making it once: by its method, or by its contract.
func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	service, method, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !ok {
		return false
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return false
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return false
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return false
	}
	options, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}

// remaining returns the header of a retry, which promises no more time than is left.
func remaining(r *http.Request) http.Header {
	deadline, ok := r.Context().Deadline()
	if !ok {
		return r.Header
	}
	left := strconv.FormatInt(max(1, time.Until(deadline).Milliseconds()), 10)
	header := r.Header
	for name, value := range map[string]string{"Connect-Timeout-Ms": left, "Grpc-Timeout": left + "m"} {
		if header.Get(name) != "" {
			header = header.Clone()
			header.Set(name, value)
		}
	}
	return header
}

// body gives each attempt the body of the request. One that cannot be had again is kept open until something of it was
// read, so that a call that found no connection can be made elsewhere.
type body struct {
	request *http.Request
	held    *heldBody
}

func newBody(r *http.Request) *body {
	b := &body{request: r}
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		b.held = &heldBody{ReadCloser: r.Body}
	}
	return b
}

// take returns the body of the n-th attempt.
func (b *body) take(n int) (io.ReadCloser, error) {
	switch {
	case b.held != nil:
		return b.held, nil
	case n == 0 || b.request.Body == nil || b.request.Body == http.NoBody:
		return b.request.Body, nil
	default:
		return b.request.GetBody()
	}
}

// again reports whether there can be one more attempt, and prepares it.
func (b *body) again() bool {
	if b.held == nil {
		return true
	}
	next := b.held.pass()
	if next == nil {
		return false
	}
	b.held = next
	return true
}

// drop lets go of the body after the last attempt, which closes it.
func (b *body) drop() {
	if b.held != nil {
		b.held.drop()
	}
}

// abandon closes the body where there is no attempt to do it.
func (b *body) abandon() {
	if b.request.Body != nil {
		_ = b.request.Body.Close()
	}
}

// heldBody is a body whose Close waits until it is certain that nobody else needs it.
type heldBody struct {
	io.ReadCloser

	mu                            sync.Mutex
	read, closed, passed, dropped bool
}

// Read implements io.Reader.
func (h *heldBody) Read(p []byte) (int, error) {
	h.mu.Lock()
	if h.passed {
		h.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	h.read = true
	h.mu.Unlock()
	return h.ReadCloser.Read(p)
}

// Close implements io.Closer.
func (h *heldBody) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.passed || h.closed {
		return nil
	}
	h.closed = true
	if h.read || h.dropped {
		return h.ReadCloser.Close()
	}
	return nil
}

// pass returns the body for the next attempt, and cuts this one off; nil if something was read.
func (h *heldBody) pass() *heldBody {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.read {
		return nil
	}
	h.passed = true
	return &heldBody{ReadCloser: h.ReadCloser}
}

func (h *heldBody) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped = true
	if h.closed && !h.read {
		_ = h.ReadCloser.Close()
	}
}
