package playback

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

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
	transport string
	write     func(batch []*hub.Block) (int64, error)
	done      chan struct{} // closed when the other side is gone or we cut it
	once      sync.Once
	conn      net.Conn   // nil on HTTP/2
	writing   sync.Mutex // keeps WebSocket frames whole
}

// cut ends the connection from any goroutine.
func (v *viewer) cut() {
	v.once.Do(func() {
		close(v.done)
		if v.conn != nil {
			_ = v.conn.Close()
		}
	})
}

// flv opens one viewer's connection and serves it.
func (s *Server) flv(w http.ResponseWriter, r *http.Request, room string, stream *hub.Stream) {
	v := &viewer{done: make(chan struct{})}
	if !s.enter(v) {
		writeError(w, http.StatusServiceUnavailable, errs.ResourceExhausted("TOO_MANY_VIEWERS", "This node serves as many viewers as it may. Try again soon."))
		return
	}
	log := s.log.With("room", room, "remote", r.RemoteAddr)
	if r.ProtoMajor >= 2 {
		s.openHTTP2(v, w, r)
		s.serve(v, stream, log)
		return
	}
	open := s.openHTTP1
	if isWebSocket(r) {
		open = s.openWebSocket
	}
	if !open(v, w, r) {
		s.leave(v)
		return
	}
	// Returning from here gives net/http's buffers for this connection back.
	go s.serve(v, stream, log)
}

// serve sends one viewer its stream until either ends.
func (s *Server) serve(v *viewer, stream *hub.Stream, log *slog.Logger) {
	defer s.leave(v)
	defer v.cut()
	s.metrics.viewers.WithLabelValues(v.transport).Inc()
	defer s.metrics.viewers.WithLabelValues(v.transport).Dec()
	sent := s.metrics.bytes.WithLabelValues(v.transport)

	reader := stream.NewReader()
	defer reader.Close()
	var batch []*hub.Block
	for {
		var err error
		batch, err = reader.Next(v.done, batch[:0])
		if len(batch) == 0 {
			if errors.Is(err, hub.ErrClosed) {
				s.farewell(v)
			}
			return
		}
		n, err := v.write(batch)
		sent.Add(float64(n))
		clear(batch)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.metrics.stalled.Inc()
				log.Info("viewer cut: it took no bytes", "transport", v.transport)
			}
			return
		}
	}
}

func (s *Server) enter(v *viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.viewers) >= s.config.MaxViewers {
		return false
	}
	s.viewers[v] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *Server) leave(v *viewer) {
	s.mu.Lock()
	delete(s.viewers, v)
	s.mu.Unlock()
	s.running.Done()
}

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// openHTTP1 takes the connection over: one write call sends shared blocks without copying them.
func (s *Server) openHTTP1(v *viewer, w http.ResponseWriter, _ *http.Request) bool {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, http.StatusNotImplemented, errs.FailedPrecondition("NOT_SUPPORTED", "This connection cannot carry FLV."))
		return false
	}
	_ = conn.SetDeadline(time.Time{})
	head := []byte(flvHeader)
	if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "" {
		head = append(head, "Access-Control-Allow-Origin: "+origin+"\r\n"...)
	}
	head = append(head, "\r\n"...)
	v.transport, v.conn = transportHTTP1, conn
	v.write = s.rawWriter(v, (*hub.Block).FLV)
	_ = conn.SetWriteDeadline(time.Now().Add(s.config.StallTimeout))
	if _, err := conn.Write(head); err != nil {
		v.cut()
		return false
	}
	go v.watch(rw.Reader)
	return true
}

func (s *Server) openWebSocket(v *viewer, w http.ResponseWriter, r *http.Request) bool {
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return false // the upgrader has answered
	}
	_ = conn.SetDeadline(time.Time{})
	v.transport, v.conn = transportWebSocket, conn
	v.write = s.rawWriter(v, (*hub.Block).WebSocket)
	go v.watchWebSocket(rw.Reader)
	return true
}

// rawWriter writes blocks by as few system calls as can be: one for a block, one writev for several. It gives up when
// the other side takes no byte for the stall timeout.
func (s *Server) rawWriter(v *viewer, form func(*hub.Block) []byte) func([]*hub.Block) (int64, error) {
	var buffers net.Buffers
	return func(batch []*hub.Block) (total int64, err error) {
		buffers = buffers[:0]
		for _, b := range batch {
			buffers = append(buffers, form(b))
		}
		v.writing.Lock()
		defer v.writing.Unlock()
		if len(buffers) == 1 {
			return s.writeOne(v, buffers[0])
		}
		for sending := buffers; ; {
			if err := v.conn.SetWriteDeadline(time.Now().Add(s.config.StallTimeout)); err != nil {
				return total, err
			}
			n, err := sending.WriteTo(v.conn) // leaves in sending what was not taken
			total += n
			if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				clear(buffers)
				return total, err
			}
		}
	}
}

// writeOne is rawWriter's way for a viewer that is up to date, which is nearly every write.
func (s *Server) writeOne(v *viewer, b []byte) (total int64, err error) {
	for {
		if err := v.conn.SetWriteDeadline(time.Now().Add(s.config.StallTimeout)); err != nil {
			return total, err
		}
		n, err := v.conn.Write(b[total:])
		total += int64(n)
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return total, err
		}
	}
}

func (s *Server) openHTTP2(v *viewer, w http.ResponseWriter, r *http.Request) {
	v.transport = transportHTTP2
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "video/x-flv")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	go func() {
		select {
		case <-r.Context().Done():
			v.cut()
		case <-v.done:
		}
	}()
	v.write = func(batch []*hub.Block) (int64, error) {
		_ = control.SetWriteDeadline(time.Now().Add(s.config.StallTimeout))
		var total int64
		for _, b := range batch {
			n, err := w.Write(b.FLV())
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		return total, control.Flush()
	}
}

// farewell ends a WebSocket as its protocol asks (RFC 6455, section 7.4.1); the others just end.
func (s *Server) farewell(v *viewer) {
	if v.transport != transportWebSocket {
		return
	}
	_ = v.control(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "broadcast ended")))
}

// control sends a control frame between media frames.
func (v *viewer) control(frame ws.Frame) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	if err := v.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return ws.WriteFrame(v.conn, frame)
}

// watch waits for the end of a connection on which the client has nothing to say.
func (v *viewer) watch(r *bufio.Reader) {
	defer v.cut()
	_, _ = io.Copy(io.Discard, io.LimitReader(v.afterBuffered(r), 64<<10))
}

// afterBuffered lets go of net/http's read buffer once it is empty.
func (v *viewer) afterBuffered(r *bufio.Reader) io.Reader {
	if r.Buffered() > 0 {
		return r
	}
	return v.conn
}

// watchWebSocket answers pings and waits for the close frame or the end.
func (v *viewer) watchWebSocket(r *bufio.Reader) {
	defer v.cut()
	src := v.afterBuffered(r)
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
