// Package gateway is the front door: it decides which requests come in, who they say they come from, and where they go.
// It serves RPCs over Connect, gRPC and gRPC-Web, playback, the web app and the operators' endpoints on one port, over
// HTTP/1.1 and HTTP/2 with and without TLS.
//
// What must never happen here: a route to an internal service; a header from outside that services take for ours; media
// copied through a proxy.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	connectcors "connectrpc.com/cors"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// Config is what the gateway needs.
type Config struct {
	// Services are the protobuf services that clients may call. All others do not exist from outside.
	Services []string
	// Local serves those services that live in this process, internal ones included.
	Local http.Handler
	// IsLocal tells whether a service (by its registry name, such as "chat") is one of them.
	IsLocal func(name string) bool
	// Registry finds the others.
	Registry registry.Registry
	// Playback serves /live/; nil where this process serves no streams.
	Playback http.Handler
	// JWKS serves /.well-known/jwks.json; nil where this process has no auth service.
	JWKS http.Handler
	// Web is the built web app; nil for none.
	Web fs.FS

	Metrics        *telemetry.Metrics
	Logger         *slog.Logger
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	MetricsAllow   []netip.Prefix
	RateLimit      float64 // requests a second and address; 0 for no limit
	MaxBody        int64   // bytes
}

// Gateway is an http.Handler.
type Gateway struct {
	config  Config
	handler http.Handler
	ready   atomic.Bool
	limits  *limiter
	metrics *metrics
}

// New builds the gateway. It is not ready until SetReady.
func New(config Config) (*Gateway, error) {
	g := &Gateway{config: config, limits: newLimiter(config.RateLimit), metrics: newMetrics(config.Metrics.Registry)}
	mux := http.NewServeMux()
	for _, service := range config.Services {
		handler, err := g.route(service)
		if err != nil {
			return nil, err
		}
		mux.Handle("/"+service+"/", g.rpc(handler))
	}
	if config.Playback != nil {
		mux.Handle("/live/", g.cors().Handler(config.Playback))
	}
	if config.JWKS != nil {
		mux.Handle("GET /.well-known/jwks.json", config.JWKS)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", g.serveReady)
	mux.Handle("GET /metrics", g.onlyFrom(config.MetricsAllow, config.Metrics.Handler()))
	if config.Web != nil {
		web, err := newWeb(config.Web)
		if err != nil {
			return nil, err
		}
		mux.Handle("/", web)
		mux.Handle("/live", web) // a page; without this the mux would send it on to playback
	} else {
		mux.HandleFunc("/", notFound)
	}
	g.handler = g.observe(g.identify(g.limit(mux)), mux)
	return g, nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// SetReady says whether new work is welcome; balancers ask /readyz.
func (g *Gateway) SetReady(ready bool) { g.ready.Store(ready) }

func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	if !g.ready.Load() {
		writeText(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	writeText(w, http.StatusOK, "ready")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	errs.WriteHTTP(w, r, errs.NotFound("NOT_FOUND", "There is nothing at this address."))
}

// route returns what answers a service: this process, or a proxy to where the registry finds it.
func (g *Gateway) route(service string) (http.Handler, error) {
	name, err := registry.NameOf(service)
	if err != nil {
		// Health and reflection are about this process.
		return g.config.Local, nil //nolint:nilerr // not a service of ours
	}
	if g.config.IsLocal(name) {
		return g.config.Local, nil
	}
	endpoint, err := g.config.Registry.Resolve(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", service, err)
	}
	target, err := url.Parse(endpoint.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", service, err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:     endpoint.Client.Transport,
		FlushInterval: -1, // streams
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			g.config.Logger.WarnContext(r.Context(), "proxy", "service", service, "error", err)
			writeRPCError(w, r, errs.Unavailable("UNAVAILABLE", "The service cannot be reached right now. Try again soon."))
		},
	}, nil
}

// rpc puts what RPCs need in front of their handler.
func (g *Gateway) rpc(next http.Handler) http.Handler {
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > g.config.MaxBody {
			writeRPCError(w, r, errs.ResourceExhausted(errs.ReasonRequestTooLarge, "The request has %d bytes; at most %d are taken.", r.ContentLength, g.config.MaxBody))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, g.config.MaxBody)
		next.ServeHTTP(w, r)
	})
	return g.cors().Handler(limited)
}

// cors lets other origins in that the operator named; without any, browsers keep them out.
func (g *Gateway) cors() *cors.Cors {
	if len(g.config.CORSOrigins) == 0 {
		return cors.New(cors.Options{AllowOriginFunc: func(string) bool { return false }})
	}
	return cors.New(cors.Options{
		AllowedOrigins: g.config.CORSOrigins,
		AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", telemetry.RequestIDHeader),
		ExposedHeaders: append(connectcors.ExposedHeaders(), telemetry.RequestIDHeader, "Retry-After"),
		MaxAge:         int((2 * time.Hour).Seconds()),
	})
}

// onlyFrom serves next to peers in the networks; to others it does not exist.
func (g *Gateway) onlyFrom(networks []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if addr, err := netip.ParseAddr(clientAddress(r)); err != nil || !contains(networks, addr) {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// errRefused marks requests that the gateway answered itself, in the access log.
var errRefused = errors.New("refused by the gateway")

// metrics are the gateway's own figures; those of RPCs are the handlers'.
type metrics struct {
	requests *prometheus.CounterVec
	inFlight prometheus.Gauge
	limited  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stoa_gateway_requests_total", Help: "HTTP requests by route and status."}, []string{"route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "stoa_gateway_requests_in_flight", Help: "HTTP requests being answered."}),
		limited:  prometheus.NewCounter(prometheus.CounterOpts{Name: "stoa_gateway_rate_limited_total", Help: "Requests refused by the rate limit."}),
	}
	reg.MustRegister(m.requests, m.inFlight, m.limited)
	return m
}

// routeLabel is a route as metrics name it: never what a client typed.
func routeLabel(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}
