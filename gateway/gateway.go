// Package gateway is the front door: it decides which requests come in, who they say they come from, and where they go.
// It serves RPCs over Connect, gRPC and gRPC-Web, playback, the web app and the operators' endpoints on one port, over
// HTTP/1.1 and HTTP/2 with and without TLS.
//
// What must never happen here: a route to an internal service; a header from outside that services take for ours; media
// copied through a proxy.
package gateway

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	connectcors "connectrpc.com/cors"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"

	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// Config is what the gateway needs.
type Config struct {
	// Services are the protobuf services that clients may call. All others do not exist from outside.
	Services []string
	// Local serves those services that live in this process, internal ones included.
	Local http.Handler
	// IsLocal tells whether a service (by its registry name, such as "chat") is one of them; all are when nil.
	IsLocal func(name string) bool
	// Registry finds the others.
	Registry registry.Registry
	// Playback serves /live/ and /auth/avatars/; nil where this process serves no streams.
	Playback http.Handler
	// Edge opens long connections; nil where this process has none.
	Edge http.Handler
	// JWKS serves /.well-known/jwks.json; nil where this process has no auth service.
	JWKS http.Handler
	// Web is the built web apps in the folders app and console; nil for none.
	Web fs.FS

	Metrics        *telemetry.Metrics
	Logger         *slog.Logger
	CORSOrigins    []string
	TrustedProxies []netip.Prefix
	MetricsAllow   []netip.Prefix
	RateLimit      float64 // requests a second and address; 0 for no limit
	MaxBody        int64   // bytes
	// ClientTimeout is how long a client may take to send the body of a request, or of a stream each part of it, and to
	// take each part of an answer that is no stream; 30 s when 0. Playback has its own.
	ClientTimeout time.Duration
	// PlaybackOrigin is where the web app plays from, such as https://cdn.example.org; "" where that is here.
	PlaybackOrigin string
}

// Gateway is an http.Handler.
type Gateway struct {
	config  Config
	handler http.Handler
	calls   http.Handler
	ready   atomic.Bool
	limits  *limiter
	paces   map[string]pace // by the path of an RPC
	metrics *metrics
	warned  sync.Once // that a proxy is not trusted
}

// New builds the gateway. It is not ready until SetReady.
func New(config Config) (*Gateway, error) {
	if config.IsLocal == nil {
		config.IsLocal = func(string) bool { return true }
	}
	if config.ClientTimeout == 0 {
		config.ClientTimeout = defaultClientTimeout
	}
	g := &Gateway{
		config: config, limits: newLimiter(config.RateLimit), paces: paces(config.Services), metrics: newMetrics(config.Metrics.Registry),
	}
	mux, calls := http.NewServeMux(), http.NewServeMux()
	for _, route := range Routes(config.Services) {
		handler, err := g.handlerOf(route)
		if err != nil {
			return nil, err
		}
		switch {
		case handler == nil:
		case route.Kind == RPC:
			mux.Handle(route.Path, g.open(handler))
			calls.Handle(route.Path, g.limit(handler))
		case route.Kind == Keys:
			mux.Handle("GET "+route.Path, g.open(handler))
		case route.Kind == Socket:
			mux.Handle("GET "+route.Path, g.limit(handler))
		case route.Kind == Playback:
			mux.Handle(route.Path, g.open(handler))
		default:
			mux.Handle(route.Path, g.limit(handler))
		}
	}
	g.calls = calls
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET "+readyPath, g.serveReady)
	mux.Handle("GET "+metricsPath, g.limit(g.onlyFrom(config.MetricsAllow, config.Metrics.Handler())))
	g.handler = g.observe(g.hurry(mux))
	return g, nil
}

// handlerOf returns what answers a route, nil where nothing here does.
func (g *Gateway) handlerOf(r Route) (http.Handler, error) {
	switch r.Kind {
	case RPC:
		handler, err := g.route(r)
		if err != nil {
			return nil, err
		}
		return g.rpc(handler), nil
	case Keys:
		if g.config.IsLocal(r.Service) {
			return g.config.JWKS, nil
		}
		return g.neighbour(r)
	case Playback:
		if g.config.IsLocal(r.Service) {
			return g.config.Playback, nil
		}
		return g.neighbour(r)
	case Socket:
		return g.config.Edge, nil
	default:
		return g.web()
	}
}

// neighbour is route for what comes with a service: nothing where clients are not served that one. Media comes from the node
// that has it, and from no proxy.
func (g *Gateway) neighbour(r Route) (http.Handler, error) {
	served := slices.ContainsFunc(g.config.Services, func(s string) bool {
		name, err := registry.NameOf(s)
		return err == nil && name == r.Service
	})
	if !served || r.Path == livePath {
		return nil, nil //nolint:nilnil // nothing answers
	}
	return g.route(r)
}

// web serves the web apps, and what is nowhere.
func (g *Gateway) web() (http.Handler, error) {
	if g.config.Web == nil {
		return http.HandlerFunc(notFound), nil
	}
	return newWeb(g.config.Web, g.config.PlaybackOrigin)
}

// open is for what other origins may call. A refusal by the limit carries CORS headers, too: without them a browser
// keeps the reason from the page.
func (g *Gateway) open(next http.Handler) http.Handler { return g.cors().Handler(g.limit(next)) }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Calls answers RPCs that come over a long connection, with the limits of any other request. A request's RemoteAddr must be
// the client's address.
func (g *Gateway) Calls() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.calls.ServeHTTP(w, g.identify(r)) })
}

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

// onlyFrom serves next to peers in the networks; to others it does not exist. Nor to whom a proxy forwards that we do not
// know: behind a local one the whole world has a local address.
func (g *Gateway) onlyFrom(networks []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := clientOf(r)
		if addr, err := netip.ParseAddr(caller.address); err != nil || caller.forwarded || !contains(networks, addr) {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

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
