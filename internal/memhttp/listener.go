package memhttp

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// addr is the address of both ends of every connection.
type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }

// listener hands the far ends of dialled connections to Accept.
type listener struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newListener() *listener {
	return &listener{incoming: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return addr{} }

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := newPipe()
	select {
	case l.incoming <- far:
		return near, nil
	case <-l.closed:
		return nil, fmt.Errorf("dial in-memory server: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial in-memory server: %w", ctx.Err())
	}
}
