package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gateway/edge"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

// edgePort is one port for long connections over TCP.
type edgePort struct {
	name     string
	tls      bool
	listener net.Listener
	served   chan struct{} // closed when it is not served any longer; nil before it is
}

// addr returns where it is open; nil for a port that is closed.
func (p *edgePort) addr() net.Addr {
	if p == nil {
		return nil
	}
	return p.listener.Addr()
}

func (a *App) edgeConfig(cfg config.Serve) edge.Config {
	return edge.Config{
		Node: cfg.Node, Zone: cfg.Zone, PublicURL: cfg.EdgePublicURL, TCP: a.tcp.addr(), TLS: a.tls.addr(),
		Policy: edge.Policy(cfg.EdgeDevices), Origins: cfg.CORSOrigins, MaxFrame: int(cfg.MaxBody) + 4<<10,
		FrameRate: cfg.EdgeFrameRate,
	}
}

// edgeDeps gives the edge the gateway's door for calls, which is built after it.
func (a *App) edgeDeps(d service.Deps, stack rpc.Deps) edge.Deps {
	return edge.Deps{
		Deps: d, Verifier: stack.Verifier, Revocations: stack.Revocations, ClientAddressHeader: gateway.ClientAddressHeader,
		Calls: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.gateway.Calls().ServeHTTP(w, r) }),
	}
}

// listenEdge opens the ports for long connections over TCP, on which nobody is answered before serveEdge.
func (a *App) listenEdge(ctx context.Context, cfg config.Serve) (err error) {
	if !cfg.Runs("edge") {
		return nil
	}
	if a.tcp, err = a.openEdge(ctx, "edge", cfg.EdgeAddr, false); err != nil {
		return err
	}
	a.tls, err = a.openEdge(ctx, "edge TLS", cfg.EdgeTLSAddr, true)
	return err
}

func (a *App) openEdge(ctx context.Context, name, address string, secure bool) (*edgePort, error) {
	if address == "" {
		return nil, nil
	}
	l, err := listenTCP(ctx, address, deadPeer)
	if err != nil {
		return nil, fmt.Errorf("open %s port %s: %w", name, address, err)
	}
	p := &edgePort{name: name, tls: secure, listener: l}
	a.onClose(name+" port", func(context.Context) error {
		if p.served != nil { // it was closed before what it served
			return nil
		}
		return l.Close()
	})
	return p, nil
}

// serveEdge begins to take connections.
func (a *App) serveEdge(cfg config.Serve) {
	for _, p := range []*edgePort{a.tcp, a.tls} {
		if p == nil {
			continue
		}
		l := gateway.LimitListener(p.listener, cfg.MaxConnections, a.log.With("service", "edge"))
		if p.tls {
			l = tls.NewListener(l, &tls.Config{Certificates: slices.Clone(a.server.TLSConfig.Certificates), MinVersion: tls.VersionTLS12})
		}
		p.served = make(chan struct{})
		go func() {
			defer close(p.served)
			if err := a.edge.Serve(l); err != nil {
				a.fail(fmt.Errorf("serve %s: %w", p.name, err))
			}
		}()
		a.onClose(p.name+" connections", func(context.Context) error {
			err := l.Close()
			<-p.served
			return err
		})
	}
}

// EdgeAddr returns where long connections over TCP are taken, nil where that port is closed.
func (a *App) EdgeAddr() net.Addr { return a.tcp.addr() }

// EdgeTLSAddr returns where long connections over TLS are taken, nil where that port is closed.
func (a *App) EdgeTLSAddr() net.Addr { return a.tls.addr() }
