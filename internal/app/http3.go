package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/internal/config"
)

// quicPort is HTTP/3 (RFC 9114) on the UDP port of the same number as the HTTP port, where that one speaks TLS.
type quicPort struct {
	server   *http3.Server
	socket   net.PacketConn
	listener *boundedQUIC
	served   chan struct{} // closed when it is not served any longer; nil before it is
}

// errBusy is what a client is told that is one too many (RFC 9114, H3_EXCESSIVE_LOAD).
const errBusy = quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad)

// listenQUIC opens the port, on which nobody is answered before serveQUIC. It needs the HTTP port.
func (a *App) listenQUIC(ctx context.Context, cfg config.Serve) error {
	if a.server.TLSConfig == nil || !cfg.HTTP3 {
		return nil
	}
	socket, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", a.HTTPAddr().String())
	if err != nil {
		return fmt.Errorf("open HTTP/3 port %s: %w; --no-http3 goes without it", a.HTTPAddr(), err)
	}
	_, port, err := net.SplitHostPort(socket.LocalAddr().String())
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	l, err := quic.ListenEarly(socket, http3.ConfigureTLSConfig(a.server.TLSConfig.Clone()), &quic.Config{
		MaxIdleTimeout: 2 * time.Minute, KeepAlivePeriod: 30 * time.Second, MaxIncomingStreams: 250,
		Allow0RTT: false, // what is sent so can be sent again by others
	})
	if err != nil {
		return errors.Join(fmt.Errorf("open HTTP/3 port %s: %w", a.HTTPAddr(), err), socket.Close())
	}
	q := &quicPort{
		socket: socket, listener: &boundedQUIC{EarlyListener: l, limit: int64(cfg.MaxConnections)},
		server: &http3.Server{
			MaxHeaderBytes: a.server.MaxHeaderBytes, IdleTimeout: a.server.IdleTimeout,
			Logger: slog.New(slog.DiscardHandler), // of every broken connection
		},
	}
	if _, err := fmt.Sscan(port, &q.server.Port); err != nil {
		return errors.Join(err, l.Close(), socket.Close())
	}
	a.quic = q
	a.onClose("HTTP/3 port", func(context.Context) error {
		err := q.server.Close()
		if q.served != nil {
			<-q.served
		}
		return errors.Join(err, l.Close(), socket.Close())
	})
	return nil
}

// serveQUIC begins to answer.
func (a *App) serveQUIC(handler http.Handler) {
	q := a.quic
	if q == nil {
		return
	}
	q.server.Handler = handler
	q.served = make(chan struct{})
	go func() {
		defer close(q.served)
		if err := q.server.ServeListener(q.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, quic.ErrServerClosed) {
			a.fail(fmt.Errorf("serve HTTP/3: %w", err))
		}
	}()
}

// advertised tells clients that come by TCP that they may come by QUIC (RFC 7838).
func (q *quicPort) advertised(next http.Handler) http.Handler {
	if q == nil {
		return next
	}
	word := gateway.AltSvc(q.server.Port)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", word)
		next.ServeHTTP(w, r)
	})
}

// boundedQUIC bounds the open connections; 0 is no bound.
type boundedQUIC struct {
	*quic.EarlyListener

	limit int64
	open  atomic.Int64
}

// Accept implements http3.QUICListener.
func (l *boundedQUIC) Accept(ctx context.Context) (*quic.Conn, error) {
	for {
		conn, err := l.EarlyListener.Accept(ctx)
		if err != nil || l.limit <= 0 {
			return conn, err
		}
		if l.open.Add(1) > l.limit {
			l.open.Add(-1)
			_ = conn.CloseWithError(errBusy, "too many are connected here") // it is gone, either way
			continue
		}
		context.AfterFunc(conn.Context(), func() { l.open.Add(-1) })
		return conn, nil
	}
}

var _ http3.QUICListener = (*boundedQUIC)(nil)
