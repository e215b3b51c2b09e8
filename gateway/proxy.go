package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// envelope is how much longer than a message a body may be: gRPC and Connect streams put five bytes before each. One
// more lets the handler see that a message is too large and say so in its own words.
const envelope = 6

// route returns what answers a route: this process, or a proxy to where the registry finds its service.
func (g *Gateway) route(r Route) (http.Handler, error) {
	if r.Service == "" || g.config.IsLocal(r.Service) {
		return g.config.Local, nil
	}
	endpoint, err := g.config.Registry.Resolve(context.Background(), r.Service)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", r.Path, err)
	}
	target, err := url.Parse(endpoint.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", r.Path, err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			// ReverseProxy drops what strangers could have written, and what a client names in Connection; these are
			// our own.
			for _, name := range []string{ClientAddressHeader, telemetry.RequestIDHeader, forwardedProto, forwardedHost} {
				p.Out.Header[name] = p.In.Header[name]
			}
		},
		Transport:     endpoint.Client.Transport,
		FlushInterval: -1, // streams
		ErrorLog:      slog.NewLogLogger(g.config.Logger.Handler(), slog.LevelDebug),
		ErrorHandler:  func(w http.ResponseWriter, req *http.Request, err error) { g.proxyFailed(w, req, r.Service, err) },
	}, nil
}

func (g *Gateway) proxyFailed(w http.ResponseWriter, r *http.Request, service string, err error) {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		g.writeTooLarge(w, r)
	case errors.Is(err, errSlowBody):
		writeRPCError(w, r, errs.New(connect.CodeDeadlineExceeded, errs.ReasonDeadlineExceeded, "The request did not come in time."))
	case r.Context().Err() != nil: // the client has gone
		writeRPCError(w, r, err)
	default:
		g.config.Logger.WarnContext(r.Context(), "service cannot be reached", "service", service, "error", err)
		writeRPCError(w, r, errs.Unavailable(errs.ReasonUnavailable, "The service cannot be reached right now. Try again soon."))
	}
}

// rpc puts what RPCs need in front of their handler: a bound on the body, and a reason in every refusal.
func (g *Gateway) rpc(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > g.config.MaxBody+envelope {
			g.writeTooLarge(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, g.config.MaxBody+envelope)
		next.ServeHTTP(&explained{ResponseWriter: w, request: r}, r)
	})
}

func (g *Gateway) writeTooLarge(w http.ResponseWriter, r *http.Request) {
	writeRPCError(w, r, errs.ResourceExhausted(errs.ReasonRequestTooLarge, "A request has at most %d bytes.", g.config.MaxBody))
}
