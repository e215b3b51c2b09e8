package playback

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live/hub"
)

// Transports, as metrics name them.
const (
	transportWebSocket = "websocket"
	transportHTTP1     = "http1"
	transportHTTP2     = "http2"
)

// flvHeader precedes FLV on a connection that we took over from net/http.
const flvHeader = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nCache-Control: no-store\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"

// viewer is one open FLV connection.
type viewer struct {
	stream    *hub.Stream
	session   string // that asked for the address; the connection ends with it
	transport string
	log       *slog.Logger
	sent      prometheus.Counter
	done      chan struct{} // closed when the other side is gone or we cut it
	once      sync.Once
	reader    *hub.Reader
	write     func(batch unsent) (int64, error)

	// On HTTP/2 these are nil, and the viewer is always served by its own goroutine.
	conn    net.Conn
	form    func(*hub.Block) []byte
	raw     *rawSocket
	writing sync.Mutex // keeps WebSocket frames whole

	shard atomic.Pointer[shard] // that serves it now; changed under the shard's lock
	index int                   // in the shard's list
	next  uint64                // first block that the shard owes it
}

// cut ends the connection from any goroutine. Whoever serves the viewer notices and counts it out.
func (v *viewer) cut() {
	v.once.Do(func() {
		close(v.done)
		if v.conn != nil {
			_ = v.conn.Close()
		}
	})
}

func (v *viewer) isCut() bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// flv opens one viewer's connection and serves it.
func (s *Server) flv(w http.ResponseWriter, r *http.Request, room, session string, stream *hub.Stream) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "video/x-flv")
		w.Header().Set("Cache-Control", "no-store")
		return
	}
	v := &viewer{
		stream: stream, session: session, done: make(chan struct{}), reader: stream.NewReader(),
		log: s.log.With("room", room, "remote", r.RemoteAddr), transport: transportHTTP1,
	}
	open := s.openHTTP1
	switch {
	case r.ProtoMajor >= 2:
		v.transport, open = transportHTTP2, s.openHTTP2
	case isWebSocket(r):
		v.transport, open = transportWebSocket, s.openWebSocket
	}
	v.sent = s.metrics.bytes.WithLabelValues(v.transport)
	if !s.enter(v) {
		errs.WriteHTTP(w, r, errs.ResourceExhausted("TOO_MANY_VIEWERS", "This node serves as many viewers as it may. Try again soon."))
		return
	}
	if _, err := s.admitted(session, nil); err != nil { // revoked while it came in
		s.leave(v)
		errs.WriteHTTP(w, r, err)
		return
	}
	if !open(v, w, r) {
		v.cut()
		s.leave(v)
		return
	}
	if v.conn == nil {
		s.serve(v, unsent{})
		return
	}
	// Returning from here gives net/http's buffers for this connection back.
	s.running.Go(func() { s.serve(v, unsent{}) })
}

// serve sends one viewer its stream, first what is unsent, until it is up to date and the fanout takes it over, or
// until the stream or the connection ends.
func (s *Server) serve(v *viewer, rest unsent) {
	for {
		if len(rest.blocks) > 0 {
			n, err := v.write(rest)
			v.sent.Add(float64(n))
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					s.metrics.stalled.Inc()
					v.log.Info("viewer cut: it took no bytes", "transport", v.transport)
				}
				break
			}
		}
		if v.raw != nil && v.reader.CaughtUp() {
			v.setDeadline(time.Time{})
			position := v.reader.Position()
			v.reader = nil
			if s.fanout(v.stream).add(v, position) {
				if v.isCut() {
					s.dropped(v) // it went between the look and the hand-over
				}
				return
			}
			v.reader = v.stream.ReaderAt(position)
		}
		if s.isClosed() {
			s.farewell(v) // it left a shard while Close let the others go
			break
		}
		var err error
		clear(rest.blocks)
		rest.offset = 0
		rest.blocks, err = v.reader.Next(v.done, rest.blocks[:0])
		if len(rest.blocks) == 0 {
			if errors.Is(err, hub.ErrClosed) {
				s.farewell(v)
			}
			break
		}
	}
	v.cut()
	s.leave(v)
}

// dropped counts a viewer out that a shard holds, unless someone else does.
func (s *Server) dropped(v *viewer) {
	if sh := v.shard.Load(); sh != nil && sh.remove(v) {
		s.leave(v)
	}
}

func (s *Server) enter(v *viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.viewers) >= s.config.MaxViewers {
		return false
	}
	s.viewers[v] = struct{}{}
	s.running.Add(1) // under the lock, so that Close waits for every viewer that got in before it
	v.stream.Enter()
	s.metrics.viewers.WithLabelValues(v.transport).Inc()
	return true
}

func (s *Server) leave(v *viewer) {
	s.mu.Lock()
	delete(s.viewers, v)
	s.mu.Unlock()
	v.stream.Leave()
	s.metrics.viewers.WithLabelValues(v.transport).Dec()
	s.running.Done()
}

func (s *Server) isClosed() bool { return s.stopping.Err() != nil }

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// openHTTP1 takes the connection over: one write call sends shared blocks without copying them.
func (s *Server) openHTTP1(v *viewer, w http.ResponseWriter, r *http.Request) bool {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		errs.WriteHTTP(w, r, errs.FailedPrecondition("NOT_SUPPORTED", "This connection cannot carry FLV."))
		return false
	}
	_ = conn.SetDeadline(time.Time{})
	s.takeOver(v, conn, (*hub.Block).FLV)
	head := []byte(flvHeader)
	if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "" {
		head = append(head, "Access-Control-Allow-Origin: "+origin+"\r\n"...)
	}
	head = append(head, "\r\n"...)
	_ = conn.SetWriteDeadline(time.Now().Add(s.config.StallTimeout))
	if _, err := conn.Write(head); err != nil {
		return false
	}
	reader := v.afterBuffered(rw.Reader)
	s.running.Go(func() { s.watch(v, reader) })
	return true
}

func (s *Server) openWebSocket(v *viewer, w http.ResponseWriter, r *http.Request) bool {
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return false // the upgrader has answered
	}
	_ = conn.SetDeadline(time.Time{})
	s.takeOver(v, conn, (*hub.Block).WebSocket)
	reader := v.afterBuffered(rw.Reader)
	s.running.Go(func() { s.watchWebSocket(v, reader) })
	return true
}

// takeOver prepares a connection of net/http's for raw writes.
func (s *Server) takeOver(v *viewer, conn net.Conn, form func(*hub.Block) []byte) {
	s.mu.Lock()
	v.conn = conn
	s.mu.Unlock()
	v.form, v.raw = form, newRawSocket(conn)
	v.write = func(rest unsent) (int64, error) { return s.writeRaw(v, rest) }
	if v.isCut() { // by a Close that did not see the connection yet
		_ = conn.Close()
	}
}

// writeRaw writes blocks by as few system calls as can be: one for a block, one writev for several. It gives up when
// the other side takes no byte for the stall timeout.
func (s *Server) writeRaw(v *viewer, rest unsent) (total int64, err error) {
	buffers := make(net.Buffers, 0, len(rest.blocks))
	for _, b := range rest.blocks {
		buffers = append(buffers, v.form(b))
	}
	buffers[0] = buffers[0][rest.offset:]
	v.writing.Lock()
	defer v.writing.Unlock()
	for {
		if err := v.conn.SetWriteDeadline(time.Now().Add(s.config.StallTimeout)); err != nil {
			return total, err
		}
		n, err := buffers.WriteTo(v.conn) // leaves in buffers what was not taken
		total += n
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return total, err
		}
	}
}

func (s *Server) openHTTP2(v *viewer, w http.ResponseWriter, r *http.Request) bool {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "video/x-flv")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if control.Flush() != nil { // now: the first picture may be long in coming
		return false
	}
	context.AfterFunc(r.Context(), v.cut)
	v.write = func(rest unsent) (total int64, err error) {
		_ = control.SetWriteDeadline(time.Now().Add(s.config.StallTimeout))
		for _, b := range rest.blocks {
			n, err := w.Write(b.FLV())
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		err = control.Flush()
		// A deadline that passes in silence would end the stream as well.
		_ = control.SetWriteDeadline(time.Time{})
		return total, err
	}
	return true
}

// farewell ends a WebSocket as its protocol asks (RFC 6455, section 7.4.1); the others just end.
func (s *Server) farewell(v *viewer) {
	if v.transport != transportWebSocket || v.conn == nil {
		return
	}
	code, reason := ws.StatusNormalClosure, "broadcast ended"
	if s.isClosed() {
		code, reason = ws.StatusGoingAway, "server is stopping"
	}
	_ = v.control(ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
}

// control sends a control frame between media frames.
func (v *viewer) control(frame ws.Frame) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	if err := v.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if err := ws.WriteFrame(v.conn, frame); err != nil {
		return err
	}
	// The fanout writes without one: a deadline that has passed would fail it.
	return v.conn.SetWriteDeadline(time.Time{})
}

func (v *viewer) setDeadline(t time.Time) {
	v.writing.Lock()
	defer v.writing.Unlock()
	_ = v.conn.SetWriteDeadline(t)
}

// watch waits for the end of a connection on which the client has nothing to say.
func (s *Server) watch(v *viewer, r io.Reader) {
	defer s.dropped(v)
	defer v.cut()
	buf := make([]byte, 512)
	for total := 0; total < 64<<10; {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		total += n
	}
}

// afterBuffered lets go of net/http's read buffer once it is empty.
func (v *viewer) afterBuffered(r *bufio.Reader) io.Reader {
	if r.Buffered() > 0 {
		return r
	}
	return v.conn
}

// watchWebSocket answers pings and waits for the close frame or the end.
func (s *Server) watchWebSocket(v *viewer, src io.Reader) {
	defer s.dropped(v)
	defer v.cut()
	for {
		header, err := ws.ReadHeader(src)
		if err != nil || !header.Masked || header.Length > 4096 || (header.OpCode.IsControl() && header.Length > 125) {
			return
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(src, payload); err != nil {
			return
		}
		ws.Cipher(payload, header.Mask, 0)
		switch header.OpCode {
		case ws.OpPing:
			if v.control(ws.NewPongFrame(payload)) != nil {
				return
			}
		case ws.OpClose:
			_ = v.control(ws.NewCloseFrame(payload))
			return
		}
	}
}
