// Package ingest is the RTMP front: it accepts encoders, lets lal speak the protocol behind a connection that checks
// every byte first, and hands media to whoever authorized the publish. Nothing unchecked may reach lal, and no panic
// inside lal may reach another connection.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/lalset"
)

// Publication receives what one encoder sends. Its methods are called from one goroutine.
type Publication interface {
	// Write takes one FLV audio or video payload with its decoding time in ms. It must not keep payload. An error ends
	// the connection.
	Write(kind hub.Kind, timestamp uint32, payload []byte) error
	// Close ends the publication; reason is nil where the encoder unpublished.
	Close(reason error)
}

// Refusal is why a publish is not accepted, in a sentence that the streamer reads in the encoder.
type Refusal struct{ sentence string }

// Refuse returns a refusal; the sentence is formatted as by fmt.Sprintf.
func Refuse(sentence string, args ...any) *Refusal { return &Refusal{fmt.Sprintf(sentence, args...)} }

// Error returns the sentence.
func (r *Refusal) Error() string { return r.sentence }

// Authorizer decides whether a stream key may publish, and claims it. A *Refusal is shown to the encoder; any other
// error is not.
type Authorizer interface {
	Authorize(ctx context.Context, app, key string, kick func(reason error)) (Publication, error)
}

// Config bounds the front. Zero values take the defaults.
type Config struct {
	HandshakeTimeout time.Duration // from accept to publish; default 10 s
	IdleTimeout      time.Duration // without a byte from a publisher; default 10 s
	Gather           time.Duration // how far apart a publisher's bytes are read; default 0, each as it comes
	MaxConnections   int           // at once; default 2000
	MaxPerAddress    int           // not yet publishing, from one address; default 64
}

func (c Config) withDefaults() Config {
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 10 * time.Second
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 2000
	}
	if c.MaxPerAddress <= 0 {
		c.MaxPerAddress = 64
	}
	return c
}

// Server accepts encoders.
type Server struct {
	config     Config
	authorizer Authorizer
	log        *slog.Logger

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	waiting  map[string]int // connections that do not publish yet, by address
	closed   bool
	sessions sync.WaitGroup
}

// NewServer returns a server that asks authorizer about every publish.
func NewServer(config Config, authorizer Authorizer, log *slog.Logger) *Server {
	lalset.Apply()
	return &Server{
		config: config.withDefaults(), authorizer: authorizer, log: log,
		conns: make(map[net.Conn]struct{}), waiting: make(map[string]int),
	}
}

// Serve accepts connections from l until Close; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	backoff := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.isClosed() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if isTemporary(err) {
				s.log.Warn("accept RTMP connection", "error", err, "retry_in", backoff)
				time.Sleep(backoff)
				backoff = min(2*backoff, time.Second)
				continue
			}
			return fmt.Errorf("accept RTMP connection: %w", err)
		}
		backoff = 5 * time.Millisecond
		if !s.admit(conn) {
			_ = conn.Close()
			continue
		}
		go s.serve(conn)
	}
}

// Close cuts all connections and waits for their ends.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.sessions.Wait()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) admit(conn net.Conn) bool {
	host := address(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.config.MaxConnections || s.waiting[host] >= s.config.MaxPerAddress {
		s.log.Warn("RTMP connection refused", "remote", conn.RemoteAddr().String(), "connections", len(s.conns), "from_address", s.waiting[host])
		return false
	}
	s.conns[conn] = struct{}{}
	s.waiting[host]++
	s.sessions.Add(1)
	return true
}

// published takes a connection out of the count of those that only wait.
func (s *Server) published(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[host]--; s.waiting[host] <= 0 {
		delete(s.waiting, host)
	}
}

func address(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}

// serve runs one connection to its end.
func (s *Server) serve(conn net.Conn) {
	defer s.sessions.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sess := &session{server: s, host: address(conn), guard: newGuard(conn, s.config)}
	sess.guard.authorize = func(app, key string) error { return sess.authorize(ctx, app, key) }
	sess.guard.unpublished = func() { sess.unpublished = true }
	err := sess.run()
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	if sess.publication == nil {
		s.published(sess.host)
	} else {
		sess.publication.Close(sess.reason(err))
	}
	s.log.Info("RTMP connection ended", "remote", conn.RemoteAddr().String(), "published", sess.publication != nil, "reason", sess.reason(err))
}

// session is one encoder's connection.
type session struct {
	server      *Server
	host        string
	guard       *guard
	publication Publication
	unpublished bool
	writeErr    error

	mu     sync.Mutex
	kicked error
}

func (s *session) authorize(ctx context.Context, app, key string) error {
	publication, err := s.server.authorizer.Authorize(ctx, app, key, s.kick)
	if err != nil {
		return err
	}
	s.publication = publication
	s.server.published(s.host)
	return nil
}

// kick cuts the connection from outside.
func (s *session) kick(reason error) {
	s.mu.Lock()
	s.kicked = reason
	s.mu.Unlock()
	_ = s.guard.Conn.Close()
}

// reason says why the connection ended; nil where the encoder unpublished.
func (s *session) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kicked != nil:
		return s.kicked
	case s.writeErr != nil:
		return s.writeErr
	case s.guard.err != nil && !errors.Is(s.guard.err, io.EOF):
		return s.guard.err
	case s.unpublished:
		return nil
	}
	return err
}

// run lets lal speak RTMP. A malformed payload can panic inside lal; that ends this connection only.
func (s *session) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.server.log.Error("panic in RTMP session", "remote", s.guard.RemoteAddr().String(), "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in RTMP session: %v", r)
		}
	}()
	return rtmp.NewServerSession(s, s.guard).RunLoop()
}

// OnRtmpConnect is part of lal's observer; the guard has seen the connect already.
func (s *session) OnRtmpConnect(*rtmp.ServerSession, rtmp.ObjectPairArray) {}

// OnNewRtmpPubSession is part of lal's observer; the guard has authorized the publish already.
func (s *session) OnNewRtmpPubSession(lal *rtmp.ServerSession) error {
	if s.publication == nil {
		return fmt.Errorf("%w: publish was not authorized", ErrProtocol)
	}
	lal.SetPubSessionObserver(s)
	return nil
}

// OnNewRtmpSubSession is part of lal's observer; playing over RTMP is refused by the guard.
func (s *session) OnNewRtmpSubSession(*rtmp.ServerSession) error {
	return fmt.Errorf("%w: play is not offered", ErrProtocol)
}

// OnReadRtmpAvMsg takes media from lal, which reuses the payload afterwards.
func (s *session) OnReadRtmpAvMsg(msg base.RtmpMsg) {
	if s.writeErr != nil || (msg.Header.MsgTypeId != typeAudio && msg.Header.MsgTypeId != typeVideo) {
		return
	}
	if err := s.publication.Write(hub.Kind(msg.Header.MsgTypeId), msg.Header.TimestampAbs, msg.Payload); err != nil {
		s.writeErr = err
		_ = s.guard.Conn.Close()
	}
}

func isTemporary(err error) bool {
	var netErr interface{ Temporary() bool }
	return errors.As(err, &netErr) && netErr.Temporary()
}
