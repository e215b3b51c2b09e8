package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Subprotocol names this protocol's version in a WebSocket handshake.
const Subprotocol = "stoa.edge.v1"

// ServeHTTP opens a WebSocket (RFC 6455).
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return
	}
	if !e.mayOpen(r) {
		http.Error(w, "this page may not connect here", http.StatusForbidden)
		return
	}
	if !offers(r.Header, Subprotocol) {
		http.Error(w, "want the subprotocol "+Subprotocol, http.StatusBadRequest)
		return
	}
	if !e.ready.Load() {
		http.Error(w, "the server is starting", http.StatusServiceUnavailable)
		return
	}
	upgrader := ws.HTTPUpgrader{Timeout: 5 * time.Second, Protocol: func(name string) bool { return name == Subprotocol }}
	c, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		return // the upgrader has answered
	}
	_ = c.SetDeadline(time.Time{}) // those of the request
	var before []byte
	if n := rw.Reader.Buffered(); n > 0 {
		before, _ = rw.Reader.Peek(n) // what is buffered can be had
		before = bytes.Clone(before)
	}
	k := newConn(e, c, formWebSocket, &wsFramer{}, e.clientOf(r))
	e.accept(k, before)
}

// accept begins to serve a connection, or refuses it.
func (e *Edge) accept(k *conn, before []byte) {
	if !e.pending.add(k, e.deps.Now().Add(e.cfg.SignIn)) {
		if !e.begin(func() { k.turnAway(goodbyeFull()) }) {
			k.close()
		}
		return
	}
	if !e.begin(func() { k.serve(before) }) {
		k.close()
	}
}

// clientOf returns the address of who calls, as the gateway knows it.
func (e *Edge) clientOf(r *http.Request) string {
	if e.deps.ClientAddressHeader != "" {
		if address := r.Header.Get(e.deps.ClientAddressHeader); address != "" {
			return net.JoinHostPort(address, "0")
		}
	}
	return r.RemoteAddr
}

// mayOpen refuses pages of other origins that the operator does not know: a browser sends its user's page along.
func (e *Edge) mayOpen(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" { // no browser
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := r.Host
	if h := r.Header.Get("X-Forwarded-Host"); h != "" && e.deps.ClientAddressHeader != "" {
		host = h
	}
	return strings.EqualFold(u.Host, host) || slices.ContainsFunc(e.cfg.Origins, func(allowed string) bool {
		return matches(allowed, origin)
	})
}

// matches reports whether an origin is one that is allowed, in which one * stands for any part.
func matches(allowed, origin string) bool {
	head, tail, star := strings.Cut(allowed, "*")
	if !star {
		return strings.EqualFold(allowed, origin)
	}
	origin, head, tail = strings.ToLower(origin), strings.ToLower(head), strings.ToLower(tail)
	return len(origin) >= len(head)+len(tail) && strings.HasPrefix(origin, head) && strings.HasSuffix(origin, tail)
}

func offers(header http.Header, protocol string) bool {
	for _, list := range header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(name) == protocol {
				return true
			}
		}
	}
	return false
}

// wsFramer cuts WebSocket messages out of what a client sends.
type wsFramer struct {
	max    int
	partly []byte // of a message in several frames
	inside bool
}

func (f *wsFramer) allow(size int) { f.max = size }

// errFarewell says that the client closed the connection as it should.
var errFarewell = errors.New("the client closed")

// next implements framer.
func (f *wsFramer) next(b []byte) (payload []byte, n int, control []byte, err error) {
	r := bytes.NewReader(b)
	h, err := ws.ReadHeader(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, nil, nil // not whole
	}
	if err != nil {
		return nil, 0, nil, &badFrameError{"this is no WebSocket frame"}
	}
	switch {
	case !h.Masked:
		return nil, 0, nil, &badFrameError{"a client's WebSocket frames are masked"}
	case h.Rsv != 0:
		return nil, 0, nil, &badFrameError{"no WebSocket extension was agreed on"}
	case h.Length > int64(f.max) || int64(len(f.partly))+h.Length > int64(f.max):
		return nil, 0, nil, &badFrameError{"the frame is too large"}
	case h.OpCode.IsControl() && (h.Length > ws.MaxControlFramePayloadSize || !h.Fin):
		return nil, 0, nil, &badFrameError{"a control frame is too large"}
	}
	head := len(b) - r.Len()
	if int64(r.Len()) < h.Length {
		return nil, 0, nil, nil
	}
	n = head + int(h.Length)
	body := bytes.Clone(b[head:n])
	ws.Cipher(body, h.Mask, 0)
	return f.frame(h, body, n)
}

func (f *wsFramer) frame(h ws.Header, body []byte, n int) (payload []byte, size int, control []byte, err error) {
	switch h.OpCode {
	case ws.OpPing:
		return nil, n, ws.MustCompileFrame(ws.NewPongFrame(body)), nil
	case ws.OpPong:
		return nil, n, nil, nil
	case ws.OpClose:
		return nil, n, ws.MustCompileFrame(ws.NewCloseFrame(nil)), closed(body)
	case ws.OpBinary:
		if f.inside {
			return nil, 0, nil, &badFrameError{"a message began within another one"}
		}
	case ws.OpContinuation:
		if !f.inside {
			return nil, 0, nil, &badFrameError{"a message went on that had not begun"}
		}
	default:
		return nil, 0, nil, &badFrameError{"want binary messages"}
	}
	if f.inside {
		body = append(f.partly, body...)
	}
	if f.inside = !h.Fin; f.inside {
		f.partly = body
		return nil, n, nil, nil
	}
	f.partly = nil
	if body == nil {
		body = []byte{}
	}
	return body, n, nil, nil
}

// closed tells a client that left (1000) from one whose page or network went away, and may come back.
func closed(body []byte) error {
	if code, _ := ws.ParseCloseFrameData(body); code == ws.StatusNormalClosure {
		return errFarewell
	}
	return io.EOF
}
