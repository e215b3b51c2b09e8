package app_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/errs"
)

// forwarded sends each request as a proxy does that it came to from another address each time.
type forwarded struct {
	*http.Transport

	n *atomic.Int64
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	n := f.n.Add(1)
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", n/250, n%250+1))
	return f.Transport.RoundTrip(r)
}

// TestCallsMeetTheLimitOfTheirAddress: a call over a long connection counts as a request of the client's own address, as one
// knows it at that connection. One request of an address passes.
func TestCallsMeetTheLimitOfTheirAddress(t *testing.T) {
	t.Parallel()
	s, trust := edgeServer(t, true, func(c *config.Serve) {
		c.RateLimit, c.TrustedProxies = 0.0001, []string{"127.0.0.0/8"}
	})
	var n atomic.Int64
	for _, client := range []*http.Client{s.HTTP1, s.HTTP2} {
		transport, ok := client.Transport.(*http.Transport)
		if !ok {
			t.Fatal("another transport")
		}
		client.Transport = forwarded{transport, &n}
	}
	room := as(s, binary, s.User(t, "owner").Token).openRoom(t, "A room").GetConversationId()
	token := func() string { return s.User(t, "person").Token }
	answered := func(l *longConnection) (limited bool) {
		t.Helper()
		if err := l.send(message(room, "hello")); err != nil {
			t.Fatalf("%s: %v", l.name, err)
		}
		for {
			f, err := l.receive()
			if err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			if f.GetId() != 3 {
				continue
			}
			if f.GetReply() == nil && (f.GetError().GetReason() != errs.ReasonRateLimited || f.GetError().GetMetadata()["retry_after_ms"] == "") {
				t.Errorf("%s: %v", l.name, f)
			}
			return f.GetReply() == nil
		}
	}
	from := func(address string) *net.Dialer {
		return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	}
	plain := func(name, address string) *longConnection {
		t.Helper()
		conn, err := from(address).DialContext(t.Context(), "tcp", s.EdgeAddr().String())
		return overTCP(t, name, token(), conn, err)
	}
	behindProxy := func(address string) *longConnection {
		t.Helper()
		return overWebSocket(t, token(), "wss://"+s.HTTPAddr().String()+"/edge/v1", trust, http.Header{"X-Forwarded-For": {address}})
	}
	// The WebSocket itself was the one request of its address. Were its proxy counted, the call would pass.
	if !answered(behindProxy("198.51.100.7")) {
		t.Error("a call behind a proxy passed the limit of its client")
	}
	if answered(plain("the proxy's own address", "127.0.0.1")) {
		t.Error("what comes by a proxy was counted as the proxy's own")
	}
	first := plain("TCP", "127.0.0.2")
	if answered(first) || !answered(first) {
		t.Error("TCP: want one call to pass, and one to be refused")
	}
	if !answered(plain("another connection", "127.0.0.2")) {
		t.Error("another connection of an address has a limit of its own")
	}
	secure, err := tls.DialWithDialer(from("127.0.0.3"), "tcp", s.EdgeTLSAddr().String(), trust)
	over := overTCP(t, "TLS", token(), secure, err)
	if answered(over) || !answered(over) {
		t.Error("TLS: want one call to pass, and one to be refused")
	}
	over.enterStill(t, room)
}

// enterStill holds a connection to be of use after a call was refused.
func (l *longConnection) enterStill(t *testing.T, room string) {
	t.Helper()
	if err := l.enter(room); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the room", func(f *edgev1.ServerFrame) bool { return f.GetEntered() != nil })
}
