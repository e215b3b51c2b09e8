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

func edgeConfig(cfg config.Serve) edge.Config {
	return edge.Config{
		Node: cfg.EdgeNode, Zone: cfg.EdgeZone, PublicURL: cfg.EdgePublicURL, TCPAddress: cfg.EdgeAddr,
		TLSAddress: cfg.EdgeTLSAddr, Policy: edge.Policy(cfg.EdgeDevices), Origins: cfg.CORSOrigins,
		MaxFrame: int(cfg.MaxBody) + 4<<10, FrameRate: cfg.EdgeFrameRate,
	}
}

// edgeDeps gives the edge the gateway's door for calls, which is built after it.
func (a *App) edgeDeps(d service.Deps, stack rpc.Deps) edge.Deps {
	return edge.Deps{
		Deps: d, Verifier: stack.Verifier, Revocations: stack.Revocations, ClientAddressHeader: gateway.ClientAddressHeader,
		Calls: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.gateway.Calls().ServeHTTP(w, r) }),
	}
}

// listenEdge opens the ports for long connections over TCP.
func (a *App) listenEdge(ctx context.Context, cfg config.Serve) error {
	for _, address := range []struct {
		name, value string
		tls         bool
	}{{"edge", cfg.EdgeAddr, false}, {"edge TLS", cfg.EdgeTLSAddr, true}} {
		if address.value == "" {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.value)
		if err != nil {
			return fmt.Errorf("open %s port %s: %w", address.name, address.value, err)
		}
		a.edges = append(a.edges, l.Addr())
		l = gateway.LimitListener(l, cfg.MaxConnections, a.log.With("service", "edge"))
		if address.tls {
			l = tls.NewListener(l, &tls.Config{Certificates: slices.Clone(a.server.TLSConfig.Certificates), MinVersion: tls.VersionTLS12})
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := a.edge.Serve(l); err != nil {
				a.failed <- fmt.Errorf("serve %s: %w", address.name, err)
			}
		}()
		a.onClose(address.name+" port", func(context.Context) error {
			err := l.Close()
			<-done
			return err
		})
	}
	return nil
}

// EdgeAddrs returns where long connections over TCP are taken: without TLS, and then with it, as far as they are open.
func (a *App) EdgeAddrs() []net.Addr { return a.edges }
