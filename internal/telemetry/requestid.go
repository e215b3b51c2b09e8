package telemetry

import (
	"context"
	"crypto/rand"
	"log/slog"

	"connectrpc.com/connect"
)

// RequestIDHeader carries the request id between clients, the gateway and services.
const RequestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// NewRequestID returns a fresh id of 26 letters and digits.
func NewRequestID() string { return rand.Text() }

// WithRequestID returns a context that carries id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id that ctx carries, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// ValidRequestID reports whether a client's id may be taken over: 1 to 64 letters, digits, '.', '_' and '-', so that it
// can do no harm in a log.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// NewRequestIDInterceptor returns the interceptor that takes the id of an incoming call, or makes one, puts it into the
// context and the response header, and sends the context's id along with outgoing calls.
func NewRequestIDInterceptor() connect.Interceptor { return requestIDInterceptor{} }

type requestIDInterceptor struct{}

// WrapUnary implements connect.Interceptor.
func (requestIDInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			if id := RequestID(ctx); id != "" && req.Header().Get(RequestIDHeader) == "" {
				req.Header().Set(RequestIDHeader, id)
			}
			return next(ctx, req)
		}
		id := incoming(req.Header().Get(RequestIDHeader))
		if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
			info.ResponseHeader().Set(RequestIDHeader, id) // sent with errors, too
		}
		return next(WithRequestID(ctx, id), req)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (requestIDInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		id := incoming(conn.RequestHeader().Get(RequestIDHeader))
		conn.ResponseHeader().Set(RequestIDHeader, id)
		return next(WithRequestID(ctx, id), conn)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (requestIDInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		if id := RequestID(ctx); id != "" {
			conn.RequestHeader().Set(RequestIDHeader, id)
		}
		return conn
	}
}

func incoming(id string) string {
	if ValidRequestID(id) {
		return id
	}
	return NewRequestID()
}

// requestIDHandler adds the context's request id to every record.
type requestIDHandler struct {
	slog.Handler
}

func (h requestIDHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestIDHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestIDHandler) WithGroup(name string) slog.Handler {
	return requestIDHandler{h.Handler.WithGroup(name)}
}
