package edge_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-live/stoa/gateway/edge"
)

// TestSubprotocolIsNamed: a WebSocket that does not speak this version is refused in words, before it is one.
func TestSubprotocolIsNamed(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	for name, c := range map[string]struct {
		header http.Header
		status int
		says   string
	}{
		"none":           {http.Header{}, http.StatusBadRequest, edge.Subprotocol},
		"another":        {http.Header{"Sec-Websocket-Protocol": {"stoa.edge.v2"}}, http.StatusBadRequest, edge.Subprotocol},
		"one in part":    {http.Header{"Sec-Websocket-Protocol": {"stoa.edge.v11, x-stoa.edge.v1"}}, http.StatusBadRequest, edge.Subprotocol},
		"ours of two":    {http.Header{"Sec-Websocket-Protocol": {"stoa.edge.v2, stoa.edge.v1"}}, http.StatusSwitchingProtocols, ""},
		"ours in a line": {http.Header{"Sec-Websocket-Protocol": {"stoa.edge.v2", "stoa.edge.v1"}}, http.StatusSwitchingProtocols, ""},
		"no WebSocket":   {http.Header{"Upgrade": {"h2c"}, "Sec-Websocket-Protocol": {edge.Subprotocol}}, http.StatusUpgradeRequired, "WebSocket"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http.URL+"/edge/v1", nil)
		w.must(err)
		r.Header = c.header
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Sec-Websocket-Version", "13")
		r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if r.Header.Get("Upgrade") == "" {
			r.Header.Set("Upgrade", "websocket")
		}
		res, err := w.http.Client().Do(r)
		w.must(err)
		if res.StatusCode != c.status {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			if got := res.Header.Get("Sec-WebSocket-Protocol"); got != edge.Subprotocol {
				t.Errorf("%s: agreed on %q", name, got)
			}
		} else if said, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(said), c.says) {
			t.Errorf("%s: said %q, %v", name, said, err)
		}
		w.must(res.Body.Close())
	}
	w.eventually("nobody waits", func() bool { return w.metric("stoa_edge_waiting") == 0 })
}

// TestHeadsThatPromiseMuch: what a WebSocket frame's head promises takes no memory, and no frame comes of less.
func TestHeadsThatPromiseMuch(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	head := func(size uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, size), 1, 2, 3, 4)
	}
	raw := func(n wire) *netWire {
		t.Helper()
		conn, ok := n.(*netWire)
		if !ok {
			t.Fatal("no connection of bytes")
		}
		return conn
	}
	for _, signedIn := range []bool{false, true} {
		for name, b := range map[string][]byte{
			"2^40":             head(1 << 40),
			"2^63":             head(1 << 63),
			"all bits":         head(1<<64 - 1),
			"more than signed": head(1<<20 + 4<<10 + 1),
		} {
			var n wire
			if signedIn {
				n = w.signInAs((*world).webSocket, w.onDevice("ann", name)).wire
			} else {
				n = w.webSocket()
			}
			_, err := raw(n).conn.Write(b)
			w.must(err)
			if g := last(t, n); g.GetReason() != badFrame {
				t.Errorf("%s, signed in %v: %v", name, signedIn, g)
			}
		}
	}
	// Less comes than was promised, and then the end.
	short := append(head(1000), make([]byte, 999)...)
	for i := range 4 {
		n := raw(w.webSocket())
		_, err := n.conn.Write(short[:len(short)-i*300])
		w.must(err)
		tcp, ok := n.conn.(interface{ CloseWrite() error })
		if !ok {
			t.Fatal("it cannot be closed by half")
		}
		w.must(tcp.CloseWrite())
		if f, err := n.receive(); err == nil {
			t.Errorf("half a frame got %v", f)
		}
	}
	// More comes than was promised: what is over is no frame.
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	_, err := raw(ann.wire).conn.Write(append(ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame([]byte{0x22, 0x00}))), 0x03, 0x80, 1, 2, 3, 4))
	w.must(err)
	if g := last(t, ann.wire); g.GetReason() != badFrame {
		t.Errorf("got %v", g)
	}
	w.eventually("they are all gone", func() bool {
		return w.metric("stoa_edge_waiting")+w.metric("stoa_edge_sessions") == 0
	})
}
