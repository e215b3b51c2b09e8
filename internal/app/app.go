// Package app is the one composition point: it wires every part of a Stoa process, starts them, and closes them in
// reverse. Tests boot the real thing by it. No rule of the product lives here.
package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gateway/edge"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/admin"
	"github.com/stoa-live/stoa/services/auth"
	"github.com/stoa-live/stoa/services/chat"
	"github.com/stoa-live/stoa/services/live"
	"github.com/stoa-live/stoa/services/presence"
)

// AccessLifetime is how long access tokens live, and so how long revocations are remembered.
const AccessLifetime = 15 * time.Minute

// publicServices may be called from outside. Everything else is for neighbours only.
func publicServices() []string {
	return []string{
		authv1connect.AuthServiceName, livev1connect.LiveServiceName, chatv1connect.ChatServiceName, chatv1connect.GroupServiceName, adminv1connect.AdminServiceName,
		sitev1connect.SiteServiceName, edgev1connect.EdgeServiceName, presencev1connect.PresenceServiceName,
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
	}
}

// App is a running process.
type App struct {
	log      *slog.Logger
	gateway  *gateway.Gateway
	chat     *chat.Service
	live     *live.Service
	admin    *admin.Service
	edge     *edge.Edge
	tcp, tls *edgePort // nil where they are closed
	server   *http.Server
	listener net.Listener
	drain    time.Duration
	serving  chan struct{} // closed when the server has ended
	health   func(serving bool)
	setup    func() string
	closers  []closer   // in the order in which they were made
	failed   chan error // has room for the first
}

type closer struct {
	name  string
	close func(context.Context) error
}

// Start wires and starts everything. It returns once requests are answered; the caller closes it. web is the built web
// app, or nil.
func Start(ctx context.Context, cfg config.Serve, web fs.FS, log *slog.Logger) (_ *App, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: log, drain: cfg.DrainTimeout, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closeAll(context.WithoutCancel(ctx)))
		}
	}()
	// The port before the data: a second process that was started by mistake ends here, before it takes up the
	// broadcasts and empties the folders of the first one.
	if err := a.listen(ctx, cfg); err != nil {
		return nil, err
	}
	if err := a.listenEdge(ctx, cfg); err != nil {
		return nil, err
	}
	if cfg.Node == "" {
		cfg.Node = rand.Text()[:12]
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if cfg.Store == "" {
		if cfg.Store, err = storeURL(cfg.DataDir); err != nil {
			return nil, err
		}
	}
	events, err := bus.Open(ctx, cfg.Bus, log)
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	a.onClose("bus", events.Close)
	metrics := telemetry.NewMetrics()
	reg, err := registry.Open(ctx, cfg.Registry,
		registry.WithNode(registry.Node{ID: cfg.Node, Zone: cfg.Zone, Version: cfg.Version, Address: cfg.Advertise}),
		registry.WithLogger(log.With("part", "registry")), registry.WithMetrics(metrics.Registry),
	)
	if err != nil {
		return nil, err
	}
	a.onClose("registry", func(context.Context) error { return reg.Close() })
	serviceKey, err := authn.NewServiceKey()
	if err != nil {
		return nil, fmt.Errorf("make service key: %w", err)
	}
	deps := service.Deps{Logger: log, Metrics: metrics, Bus: events, Registry: reg, StoreURL: cfg.Store, DataDir: cfg.DataDir, Now: time.Now}
	stack := rpc.Deps{
		Logger: log, Metrics: metrics,
		ServiceTokens: authn.NewServiceTokens(serviceKey, time.Now),
		Revocations:   authn.NewRevocations(AccessLifetime, time.Now),
	}
	named := func(name string) (service.Deps, error) {
		client, err := rpc.ClientOptions(stack, name)
		d := deps
		d.Client = client
		return d, err
	}
	// The gateway in front of everything sets the client's address on each request, so it may be believed.
	authService, err := opened(a, "auth", func(d service.Deps) (*auth.Service, error) {
		return auth.New(ctx, auth.Config{AccessLifetime: AccessLifetime, TrustClientAddress: true}, d)
	}, named)
	if err != nil {
		return nil, err
	}
	a.chat, err = opened(a, "chat", func(d service.Deps) (*chat.Service, error) {
		return chat.New(ctx, chat.Config{UserRate: cfg.ChatUserRate, RoomRate: cfg.ChatRoomRate}, d)
	}, named)
	if err != nil {
		return nil, err
	}
	present, err := opened(a, "presence", func(d service.Deps) (*presence.Service, error) {
		return presence.New(ctx, presence.Config{}, d)
	}, named)
	if err != nil {
		return nil, err
	}
	liveConfig, err := liveConfig(cfg)
	if err != nil {
		return nil, err
	}
	a.live, err = opened(a, "live", func(d service.Deps) (*live.Service, error) { return live.New(ctx, liveConfig, d) }, named)
	if err != nil {
		return nil, err
	}
	a.admin, err = opened(a, "admin", func(d service.Deps) (*admin.Service, error) {
		return admin.New(ctx, admin.Config{Version: cfg.Version}, d)
	}, named)
	if err != nil {
		return nil, err
	}
	stack.Verifier = authn.NewVerifier(authService.KeySource(), time.Now)
	a.edge, err = opened(a, "edge", func(d service.Deps) (*edge.Edge, error) { return edge.New(a.edgeConfig(cfg), a.edgeDeps(d, stack)) }, named)
	if err != nil {
		return nil, err
	}
	services := map[string]service.Service{
		"auth": authService, "chat": a.chat, "live": a.live, "admin": a.admin, "presence": present, "edge": a.edge,
	}
	mux, err := a.mount(services, stack, cfg.MaxBody)
	if err != nil {
		return nil, err
	}
	memory := memhttp.NewServer(mux, memhttp.WithName("stoa"), memhttp.WithLogger(log))
	a.onClose("memory transport", func(context.Context) error { return memory.Close() })
	for _, s := range services {
		if err := a.register(ctx, reg, s, registry.Endpoint{BaseURL: memory.URL(), Client: memory.Client()}); err != nil {
			return nil, err
		}
	}
	if err := a.followRevocations(ctx, events, reg, stack); err != nil {
		return nil, err
	}
	// Auth first: the others look people up when they start.
	for _, name := range []string{"auth", "chat", "presence", "live", "admin", "edge"} {
		if err := services[name].Start(ctx); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
	}
	if err := a.openGateway(cfg, mux, reg, metrics, authService.JWKS(), web); err != nil {
		return nil, err
	}
	if err := a.listenProfiles(ctx, cfg); err != nil {
		return nil, err
	}
	a.setup = authService.SetupToken
	a.serveEdge(cfg)
	a.serve()
	log.Info("stoa is up", "http", a.HTTPAddr().String(), "rtmp", a.RTMPAddr().String(), "data", cfg.DataDir)
	return a, nil
}

// opened makes a service, which says itself what it could not do, and remembers to close it.
func opened[S service.Service](a *App, name string, open func(service.Deps) (S, error), deps func(string) (service.Deps, error)) (s S, err error) {
	d, err := deps(name)
	if err != nil {
		return s, err
	}
	if s, err = open(d); err != nil {
		return s, err
	}
	a.onClose(name, s.Close)
	return s, nil
}

func (a *App) onClose(name string, fn func(context.Context) error) {
	a.closers = append(a.closers, closer{name, fn})
}

// mount puts all handlers of this process, internal ones included, on one mux, and holds the authorization table to
// what is really served.
func (a *App) mount(services map[string]service.Service, stack rpc.Deps, maxBody int64) (*http.ServeMux, error) {
	stack.MaxBytes = int(max(maxBody, rpc.DefaultMaxBytes))
	options, err := rpc.HandlerOptions(stack)
	if err != nil {
		return nil, err
	}
	options = connect.WithHandlerOptions(options, strictJSON())
	mux := http.NewServeMux()
	var names []string
	var descriptors []protoreflect.ServiceDescriptor
	for _, s := range services {
		s.Mount(rpc.Handle(mux), options)
		names = append(names, s.Names()...)
	}
	for _, name := range names {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("find descriptor of %s: %w", name, err)
		}
		descriptors = append(descriptors, d.(protoreflect.ServiceDescriptor))
	}
	if err := authn.Table().Check(descriptors...); err != nil {
		return nil, fmt.Errorf("authorization table: %w", err)
	}
	// What clients may not call they are not told of, either.
	open := slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(publicServices(), name) })
	checker := rpc.Mount(mux, a.log, open...)
	a.health = func(serving bool) { setHealth(checker, open, serving) }
	return mux, nil
}

func (a *App) openGateway(cfg config.Serve, local *http.ServeMux, reg registry.Registry, metrics *telemetry.Metrics, jwks http.Handler, web fs.FS) error {
	proxies, err1 := config.Networks(cfg.TrustedProxies)
	allow, err2 := config.Networks(cfg.MetricsAllow)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var err error
	a.gateway, err = gateway.New(gateway.Config{
		Services: publicServices(), Local: local, IsLocal: func(string) bool { return true }, Registry: reg, Playback: local, JWKS: jwks, Web: web,
		Edge: a.edge, Metrics: metrics, Logger: a.log.With("service", "gateway"), CORSOrigins: cfg.CORSOrigins, TrustedProxies: proxies, MetricsAllow: allow,
		RateLimit: cfg.RateLimit, MaxBody: cfg.MaxBody, PlaybackOrigin: cfg.PlaybackOrigin(),
	})
	return err
}

// listen opens the HTTP port, on which nobody is answered before serve.
func (a *App) listen(ctx context.Context, cfg config.Serve) error {
	a.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.With("service", "gateway").Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	a.server.Protocols.SetHTTP1(true)
	a.server.Protocols.SetHTTP2(true)
	a.server.Protocols.SetUnencryptedHTTP2(true)
	if cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("load TLS certificate: %w", err)
		}
		a.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	var err error
	if a.listener, err = listenTCP(ctx, cfg.HTTPAddr, deadPeer); err != nil {
		return fmt.Errorf("open HTTP port %s: %w", cfg.HTTPAddr, err)
	}
	a.listener = gateway.LimitListener(a.listener, cfg.MaxConnections, a.log.With("service", "gateway"))
	a.onClose("HTTP port", func(context.Context) error {
		if a.serving != nil { // the server has closed it
			<-a.serving
			return nil
		}
		return a.listener.Close()
	})
	return nil
}

// serve begins to answer.
func (a *App) serve() {
	a.server.Handler = a.gateway
	serve := a.server.Serve
	if a.server.TLSConfig != nil {
		serve = func(l net.Listener) error { return a.server.ServeTLS(l, "", "") }
	}
	a.serving = make(chan struct{})
	go func() {
		defer close(a.serving)
		if err := serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve HTTP: %w", err))
		}
	}()
	a.gateway.SetReady(true)
}

// HTTPAddr returns where the process answers HTTP.
func (a *App) HTTPAddr() net.Addr { return a.listener.Addr() }

// RTMPAddr returns where encoders connect.
func (a *App) RTMPAddr() net.Addr { return a.live.RTMPAddr() }

// SetupToken returns what makes the first administrator, "" if there is one. It is for the eyes of who started the
// process and for no log.
func (a *App) SetupToken() string { return a.setup() }

// fail tells that a part ended on its own. One such error ends the process; those after it are logged, and nobody waits for
// them.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
		a.log.Error("another part ended on its own", "error", err)
	}
}

// Failed delivers the error by which a part ended on its own, the first of them.
func (a *App) Failed() <-chan error { return a.failed }

// Close drains and stops everything: no new work, open streams are told to come back, running calls get the drain
// timeout.
func (a *App) Close(ctx context.Context) error {
	a.gateway.SetReady(false)
	a.health(false)
	a.admin.Drain()
	a.edge.Drain()
	a.live.Drain()
	drain, cancel := context.WithTimeout(ctx, a.drain)
	defer cancel()
	var all []error
	if err := a.server.Shutdown(drain); err != nil {
		a.log.Warn("calls were cut at shutdown", "error", err)
		all = append(all, a.server.Close())
	}
	return errors.Join(append(all, a.closeAll(ctx))...)
}

// closeAll closes in reverse.
func (a *App) closeAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var all []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i].close(ctx); err != nil {
			all = append(all, fmt.Errorf("close %s: %w", a.closers[i].name, err))
		}
	}
	a.closers = nil
	return errors.Join(all...)
}
