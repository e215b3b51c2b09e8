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
	"strings"
	"time"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gateway/edge"
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
	"github.com/stoa-live/stoa/services/live"
)

// AccessLifetime is how long access tokens live, and so how long revocations are remembered.
const AccessLifetime = 15 * time.Minute

// App is a running process.
type App struct {
	log      *slog.Logger
	gateway  *gateway.Gateway
	auth     *auth.Service // nil where this process does not run it, like the three below
	live     *live.Service
	admin    *admin.Service
	edge     *edge.Edge
	tcp, tls *edgePort   // nil where they are closed
	internal *neighbours // nil where it is closed
	quic     *quicPort   // nil where it is closed
	server   *http.Server
	listener net.Listener
	drain    time.Duration
	serving  chan struct{} // closed when the server has ended
	health   func(serving bool)
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
	if err := a.listenQUIC(ctx, cfg); err != nil {
		return nil, err
	}
	if err := a.listenEdge(ctx, cfg); err != nil {
		return nil, err
	}
	if err := a.listenNeighbours(ctx, cfg); err != nil {
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
	metrics := telemetry.NewMetrics()
	events, err := bus.Open(ctx, cfg.Bus, log, bus.WithMetrics(metrics.Registry))
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	a.onClose("bus", events.Close)
	reg, err := registry.Open(ctx, cfg.Registry,
		registry.WithNode(registry.Node{ID: cfg.Node, Zone: cfg.Zone, Version: cfg.Version, Address: a.advertise(cfg)}),
		registry.WithLogger(log.With("part", "registry")), registry.WithMetrics(metrics.Registry),
	)
	if err != nil {
		return nil, err
	}
	a.onClose("registry", func(context.Context) error { return reg.Close() })
	tokens, err := serviceTokens(cfg)
	if err != nil {
		return nil, err
	}
	h := &house{
		App: a, cfg: cfg, registry: reg,
		deps: service.Deps{Logger: log, Metrics: metrics, Bus: events, Registry: reg, StoreURL: cfg.Store, DataDir: cfg.DataDir, Now: time.Now},
		stack: rpc.Deps{
			Logger: log, Metrics: metrics, ServiceTokens: tokens, Revocations: authn.NewRevocations(AccessLifetime, time.Now),
		},
		services: make(map[string]service.Service),
	}
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	mux, err := h.mount()
	if err != nil {
		return nil, err
	}
	memory := memhttp.NewServer(mux, memhttp.WithName("stoa"), memhttp.WithLogger(log))
	a.onClose("memory transport", func(context.Context) error { return memory.Close() })
	if err := h.register(ctx, registry.Endpoint{BaseURL: memory.URL(), Client: memory.Client()}); err != nil {
		return nil, err
	}
	a.serveNeighbours(mux)
	if err := a.followRevocations(ctx, events, reg, h.stack); err != nil {
		return nil, err
	}
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	if err := h.openGateway(mux, web); err != nil {
		return nil, err
	}
	if err := a.listenProfiles(ctx, cfg); err != nil {
		return nil, err
	}
	a.serveEdge(cfg)
	a.serve()
	rtmp := "none"
	if a.live != nil {
		rtmp = a.RTMPAddr().String()
	}
	log.Info("stoa is up", "http", a.HTTPAddr().String(), "rtmp", rtmp, "services", strings.Join(h.names(), ","), "data", cfg.DataDir)
	return a, nil
}

func (a *App) onClose(name string, fn func(context.Context) error) {
	a.closers = append(a.closers, closer{name, fn})
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
	a.server.Handler = a.quic.advertised(a.gateway)
	a.serveQUIC(a.gateway)
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
	a.health(true)
	a.gateway.SetReady(true)
}

// HTTPAddr returns where the process answers HTTP.
func (a *App) HTTPAddr() net.Addr { return a.listener.Addr() }

// RTMPAddr returns where encoders connect, nil where this process takes none.
func (a *App) RTMPAddr() net.Addr {
	if a.live == nil {
		return nil
	}
	return a.live.RTMPAddr()
}

// SetupToken returns what makes the first administrator, "" if there is one, or where another process knows. It is for the
// eyes of who started the process and for no log.
func (a *App) SetupToken() string {
	if a.auth == nil {
		return ""
	}
	return a.auth.SetupToken()
}

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
	if a.admin != nil {
		a.admin.Drain()
	}
	if a.edge != nil {
		a.edge.Drain()
	}
	if a.live != nil {
		a.live.Drain()
	}
	drain, cancel := context.WithTimeout(ctx, a.drain)
	defer cancel()
	var all []error
	if err := a.shutdown(drain); err != nil {
		a.log.Warn("calls were cut at shutdown", "error", err)
		all = append(all, a.server.Close())
	}
	return errors.Join(append(all, a.closeAll(ctx))...)
}

// shutdown waits for the calls that run, on both ports at once.
func (a *App) shutdown(ctx context.Context) error {
	over := make(chan error, 1)
	go func() {
		if a.quic == nil {
			over <- nil
			return
		}
		over <- a.quic.server.Shutdown(ctx)
	}()
	return errors.Join(a.server.Shutdown(ctx), <-over)
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
