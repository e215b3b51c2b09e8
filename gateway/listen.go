package gateway

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusalsLogged is how often a full listener says so.
const refusalsLogged = time.Minute

// LimitListener bounds the open connections of a listener, those that playback took over included; 0 is no bound. One
// more is closed at once: a connection that waited in the queue of the system would keep its client, and the balancers'
// probes, waiting without a word.
func LimitListener(l net.Listener, limit int, logger *slog.Logger) net.Listener {
	if limit <= 0 {
		return l
	}
	return &limitListener{Listener: l, limit: int64(limit), log: logger}
}

type limitListener struct {
	net.Listener

	limit int64
	log   *slog.Logger
	open  atomic.Int64

	mu     sync.Mutex
	logged time.Time
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return l.counted(conn), nil
		}
		l.open.Add(-1)
		_ = conn.Close()
		l.refused()
	}
}

func (l *limitListener) counted(conn net.Conn) net.Conn {
	release := sync.OnceFunc(func() { l.open.Add(-1) })
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &countedTCP{tcp, release}
	}
	return &countedConn{conn, release}
}

func (l *limitListener) refused() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.logged) >= refusalsLogged {
		l.logged = now
		l.log.Warn("connections are refused: too many are open", "limit", l.limit)
	}
}

// countedTCP keeps all of a TCP connection in reach: playback writes to the socket itself.
type countedTCP struct {
	*net.TCPConn

	release func()
}

// Close implements net.Conn.
func (c *countedTCP) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

type countedConn struct {
	net.Conn

	release func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
