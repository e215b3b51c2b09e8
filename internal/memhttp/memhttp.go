// Package memhttp is a real http.Server on a listener that lives in memory, and the http.Client that reaches it.
//
// Services of one process call each other through it: the same handlers, interceptors, deadlines and HTTP/2 streams as
// over a network, without a port. What must never happen here: a shortcut around HTTP, by which a service could behave
// differently once it moves out.
package memhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxStreams is how many calls share one connection before the client opens another one.
const maxStreams = 1000

// Server serves one handler in memory over HTTP/1.1 and HTTP/2 without TLS (h2c).
type Server struct {
	server    *http.Server
	listener  *listener
	transport *http.Transport
	client    *http.Client
	url       string
	serving   sync.WaitGroup
	err       error // of Serve, read after serving
}

// Option changes how a Server serves.
type Option func(*Server)

// WithName sets the host of the server's URL, which shows in logs and traces. The default is "memory".
func WithName(name string) Option {
	return func(s *Server) { s.url = "http://" + name }
}

// WithBaseContext makes ctx the parent of every request's context: its end ends the open streams.
func WithBaseContext(ctx context.Context) Option {
	return func(s *Server) { s.server.BaseContext = func(net.Listener) context.Context { return ctx } }
}

// WithLogger logs what net/http complains about; without it that is dropped.
func WithLogger(logger *slog.Logger) Option {
	return func(s *Server) { s.server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn) }
}

// NewServer starts serving handler. The caller ends it by Shutdown or Close.
func NewServer(handler http.Handler, options ...Option) *Server {
	l := newListener()
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	s := &Server{
		listener: l,
		url:      "http://memory",
		server: &http.Server{
			Handler:           handler,
			Protocols:         both,
			HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn),
		},
		transport: &http.Transport{Protocols: http2, DialContext: l.dial, DisableCompression: true},
	}
	s.client = &http.Client{Transport: s.transport}
	for _, option := range options {
		option(s)
	}
	s.serving.Go(func() { s.err = s.server.Serve(l) })
	return s
}

// URL is the base URL that Client understands. No other client reaches it.
func (s *Server) URL() string { return s.url }

// Client speaks HTTP/2 to the server, whatever host its request names. It has no timeout: calls bring their own.
func (s *Server) Client() *http.Client { return s.client }

// HTTP1Client returns a new client that speaks HTTP/1.1 to the server, for what must work over both.
func (s *Server) HTTP1Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: s.listener.dial, DisableKeepAlives: true, DisableCompression: true,
	}}
}

// Dial opens a connection to the server, for protocols that begin with HTTP and go on without it.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	return s.listener.dial(ctx, "memory", "memory")
}

// Shutdown stops accepting, waits for running calls until ctx ends, then cuts what is left. It returns after the last
// connection is closed, with an error if any call was cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.transport.CloseIdleConnections()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("shut down in-memory server: %w", err)
		_ = s.server.Close()
	}
	return errors.Join(err, s.wait())
}

// Close cuts every connection.
func (s *Server) Close() error {
	s.transport.CloseIdleConnections()
	err := s.server.Close()
	return errors.Join(err, s.wait())
}

func (s *Server) wait() error {
	s.serving.Wait()
	s.transport.CloseIdleConnections()
	if errors.Is(s.err, http.ErrServerClosed) {
		return nil
	}
	return s.err
}
