package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/config"
)

// neighbours is the port on which other processes of the house call this one's services, internal ones included. Who calls
// an internal RPC has to prove to be a service: no token of a user opens it.
type neighbours struct {
	server   *http.Server
	listener net.Listener
	served   chan struct{} // closed when it is not served any longer; nil before it is
}

// listenNeighbours opens the port, on which nobody is answered before serveNeighbours.
func (a *App) listenNeighbours(ctx context.Context, cfg config.Serve) error {
	if cfg.InternalAddr == "" {
		return nil
	}
	l, err := listenTCP(ctx, cfg.InternalAddr, deadPeer)
	if err != nil {
		return fmt.Errorf("open internal port %s: %w", cfg.InternalAddr, err)
	}
	n := &neighbours{listener: l, server: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 10_000, SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}}
	n.server.Protocols.SetHTTP1(true)
	n.server.Protocols.SetUnencryptedHTTP2(true)
	a.internal = n
	a.onClose("internal port", func(ctx context.Context) error {
		if n.served == nil {
			return l.Close()
		}
		ctx, cancel := context.WithTimeout(ctx, a.drain)
		defer cancel()
		err := n.server.Shutdown(ctx)
		if err != nil { // calls of neighbours, who call again
			err = n.server.Close()
		}
		<-n.served
		return err
	})
	return nil
}

// serveNeighbours begins to answer other processes.
func (a *App) serveNeighbours(handler http.Handler) {
	n := a.internal
	if n == nil {
		return
	}
	n.server.Handler = handler
	n.served = make(chan struct{})
	go func() {
		defer close(n.served)
		if err := n.server.Serve(n.listener); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve neighbours: %w", err))
		}
	}()
}

// InternalAddr returns where other processes call this one, nil where that port is closed.
func (a *App) InternalAddr() net.Addr {
	if a.internal == nil {
		return nil
	}
	return a.internal.listener.Addr()
}

// advertise is where other processes are told to call this one: as the operator says, or at the port for neighbours where that
// has an address of its own.
func (a *App) advertise(cfg config.Serve) string {
	if cfg.Advertise != "" || a.internal == nil {
		return cfg.Advertise
	}
	at, err := netip.ParseAddrPort(a.InternalAddr().String())
	if err != nil || at.Addr().IsUnspecified() {
		return ""
	}
	return "http://" + at.String()
}

// serviceTokens signs with the key that all processes of the house share, or with one of this process alone.
func serviceTokens(cfg config.Serve) (*authn.ServiceTokens, error) {
	key, err := authn.NewServiceKey()
	if cfg.ServiceKey != "" {
		key, err = authn.ParseServiceKey(cfg.ServiceKey)
	}
	if err != nil {
		return nil, err
	}
	return authn.NewServiceTokens(key, time.Now), nil
}
