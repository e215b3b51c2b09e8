// Package rpc is the one stack of options that every Connect handler and every client between services is built with, so
// that no service can forget a part of it.
//
// A call passes, from the outside in: request id → trace (otelconnect) → metrics → translation of errors (package errs) →
// default deadline → caller and authorization (package authn) → validation of the message (protovalidate) → handler.
//
// What must never happen here: a handler without authorization, or a body without a limit.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/otelconnect"
	"connectrpc.com/validate"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// Defaults of Deps.
const (
	DefaultMaxBytes = 1 << 20 // of one message, uncompressed
	DefaultTimeout  = 10 * time.Second
)

// compressMin is from which size on a reply is compressed, in bytes; below it gzip costs more than it saves.
const compressMin = 1024

// Deps is what the stack is made of.
type Deps struct {
	// Logger is required.
	Logger *slog.Logger
	// Metrics, Verifier, ServiceTokens and Revocations are required for handlers. ServiceTokens alone is used by clients,
	// which call anonymously without it.
	Metrics       *telemetry.Metrics
	Verifier      *authn.Verifier
	ServiceTokens *authn.ServiceTokens
	Revocations   *authn.Revocations
	// Policy is the authorization table; authn.Table() when nil.
	Policy authn.Policy
	// Tracer makes spans; none when nil.
	Tracer trace.TracerProvider
	// MaxBytes limits a message that is received; DefaultMaxBytes when 0.
	MaxBytes int
	// Timeout ends unary calls that come without a deadline; DefaultTimeout when 0.
	Timeout time.Duration
}

func (d Deps) withDefaults() Deps {
	if d.Policy == nil {
		d.Policy = authn.Table()
	}
	if d.Tracer == nil {
		d.Tracer = noop.NewTracerProvider()
	}
	if d.MaxBytes == 0 {
		d.MaxBytes = DefaultMaxBytes
	}
	if d.Timeout == 0 {
		d.Timeout = DefaultTimeout
	}
	return d
}

// HandlerOptions returns the option for every generated New…Handler. Register the handler by Handle.
func HandlerOptions(d Deps) (connect.HandlerOption, error) {
	d = d.withDefaults()
	if d.Logger == nil || d.Metrics == nil || d.Verifier == nil || d.ServiceTokens == nil || d.Revocations == nil {
		return nil, errors.New("build handler options: a part is missing")
	}
	tracing, err := newTracing(d)
	if err != nil {
		return nil, fmt.Errorf("build handler options: %w", err)
	}
	validator, err := protovalidate.New(protovalidate.WithFailFast()) // a message with a million defects must not cost a million answers
	if err != nil {
		return nil, fmt.Errorf("build handler options: %w", err)
	}
	return connect.WithHandlerOptions(
		connect.WithReadMaxBytes(d.MaxBytes),
		connect.WithCompressMinBytes(compressMin),
		connect.WithInterceptors(
			telemetry.NewRequestIDInterceptor(),
			tracing,
			d.Metrics.Interceptor(),
			errs.NewInterceptor(d.Logger),
			timeoutInterceptor(d.Timeout),
			authn.NewInterceptor(d.Verifier, d.ServiceTokens, d.Revocations, d.Policy),
			validate.NewInterceptor(validate.WithValidator(validator)),
		),
	), nil
}

// ClientOptions returns the option for every generated New…Client by which the named service calls its neighbours: as
// itself, with the trace and request id of the call it serves. Errors of its calls may be returned from handlers as they
// are.
func ClientOptions(d Deps, service string) (connect.ClientOption, error) {
	d = d.withDefaults()
	tracing, err := newTracing(d)
	if err != nil {
		return nil, fmt.Errorf("build client options: %w", err)
	}
	interceptors := []connect.Interceptor{
		telemetry.NewRequestIDInterceptor(), tracing, timeoutInterceptor(d.Timeout),
	}
	if d.ServiceTokens != nil {
		interceptors = append(interceptors, d.ServiceTokens.ClientInterceptor(service))
	}
	return connect.WithClientOptions(
		connect.WithReadMaxBytes(d.MaxBytes),
		connect.WithAcceptCompression("gzip", nil, nil), // neighbours are near: bytes cost less than gzip
		connect.WithInterceptors(interceptors...),
	), nil
}

// Client builds a client of the neighbour that registers under name:
//
//	conversations, err := rpc.Client(ctx, reg, "chat", chatv1connect.NewConversationServiceClient, options)
func Client[C any](
	ctx context.Context, reg registry.Registry, name string,
	build func(connect.HTTPClient, string, ...connect.ClientOption) C, options ...connect.ClientOption,
) (C, error) {
	endpoint, err := reg.Resolve(ctx, name)
	if err != nil {
		var none C
		return none, fmt.Errorf("build client: %w", err)
	}
	return build(endpoint.Client, endpoint.BaseURL, options...), nil
}

// Handle registers what a generated New…Handler returned, so that it can be written in one line:
//
//	rpc.Handle(mux)(livev1connect.NewLiveServiceHandler(service, options))
//
// Errors that connect answers before the first interceptor get their reason here.
func Handle(mux *http.ServeMux) func(path string, handler http.Handler) {
	return func(path string, handler http.Handler) { mux.Handle(path, errs.Middleware(handler)) }
}

// Mount adds gRPC health and reflection (v1 and v1alpha) for the named services ("stoa.live.v1.LiveService"). The checker
// answers SERVING for each until it is told otherwise, as a server does that drains.
func Mount(mux *http.ServeMux, logger *slog.Logger, services ...string) *grpchealth.StaticChecker {
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(64<<10), connect.WithInterceptors(errs.NewInterceptor(logger)),
	)
	checker := grpchealth.NewStaticChecker(services...)
	reflector := grpcreflect.NewStaticReflector(services...)
	handle := Handle(mux)
	handle(grpchealth.NewHandler(checker, options))
	handle(grpcreflect.NewHandlerV1(reflector, options))
	handle(grpcreflect.NewHandlerV1Alpha(reflector, options))
	return checker
}

// newTracing makes spans only: package telemetry has the metrics, under names and labels of its own. A caller's span is
// taken as the parent, so that a trace goes through all services; a gateway may drop what strangers send.
func newTracing(d Deps) (*otelconnect.Interceptor, error) {
	return otelconnect.NewInterceptor(
		otelconnect.WithTracerProvider(d.Tracer), otelconnect.WithPropagator(propagation.TraceContext{}),
		otelconnect.WithoutMetrics(), otelconnect.WithTrustRemote(), otelconnect.WithoutTraceEvents(),
		otelconnect.WithoutServerPeerAttributes(),
	)
}
