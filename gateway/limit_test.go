package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

// once lets one request of an address pass in a test's lifetime.
func once(c *gateway.Config) { c.RateLimit = 0.001 }

func TestRateLimitInEveryProtocol(t *testing.T) {
	for _, p := range testkit.Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			w := serve(t, once)
			if _, err := w.client(p).Like(t.Context(), &chatv1.LikeRequest{}); err != nil {
				t.Fatal(err)
			}
			_, err := w.client(p).Like(t.Context(), &chatv1.LikeRequest{})
			if !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
				t.Fatalf("got %v", err)
			}
			wire, _ := errors.AsType[*connect.Error](err)
			if wire.Meta().Get("Retry-After") != "1000" || errs.Metadata(err)["retry_after_ms"] != "1000000" {
				t.Errorf("told to wait %q s, %q ms", wire.Meta().Get("Retry-After"), errs.Metadata(err)["retry_after_ms"])
			}
			stream, err := w.client(p).Connect(t.Context(), &edgev1.ConnectRequest{})
			if err == nil {
				for stream.Receive() {
					t.Error("the stream has events")
				}
				err = stream.Err()
				_ = stream.Close()
			}
			if !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
				t.Errorf("a stream got %v", err)
			}
		})
	}
}

func TestRateLimitElsewhere(t *testing.T) {
	w := serve(t, once, func(c *gateway.Config) { c.CORSOrigins = []string{"https://other.example"} })
	if a := w.do(t, http.MethodGet, "/favicon.svg", ""); a.StatusCode != http.StatusOK {
		t.Fatalf("got %d", a.StatusCode)
	}
	for _, path := range []string{"/", "/favicon.svg", "/nothing", "/.well-known/jwks.json", "/metrics"} {
		a := w.do(t, http.MethodGet, path, "")
		if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, `"resource_exhausted"`) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	a := w.post(t, "Origin", "https://other.example")
	if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Access-Control-Allow-Origin") == "" ||
		!strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("a page of another origin cannot read why: %v", a.Header)
	}
	if a := w.do(t, http.MethodGet, "/healthz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("a probe got %d", a.StatusCode)
	}
	w.peer.Store("192.0.2.2:1234")
	if a := w.post(t); a.StatusCode != http.StatusOK {
		t.Errorf("another address got %d", a.StatusCode)
	}
}

func TestAddressesThatCountAsOne(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		same          bool
	}{
		"one IPv4 address":     {"192.0.2.1:1", "192.0.2.1:2", true},
		"two IPv4 addresses":   {"192.0.2.1:1", "192.0.2.2:1", false},
		"one IPv6 network":     {"[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::2]:1", true},
		"two IPv6 networks":    {"[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		"IPv4 inside of IPv6":  {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		"two inside of IPv6":   {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		"zones of one network": {"[fe80::1%a]:1", "[fe80::1%b]:1", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, once)
			w.peer.Store(c.first)
			if a := w.post(t); a.StatusCode != http.StatusOK {
				t.Fatalf("the first got %d", a.StatusCode)
			}
			w.peer.Store(c.second)
			if refused := w.post(t).StatusCode == http.StatusTooManyRequests; refused != c.same {
				t.Errorf("refused: %v", refused)
			}
		})
	}
}

func TestRateLimitCountsManyAtOnce(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.RateLimit = 0.001 })
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			res, err := w.http2.Post(w.server.URL+like, "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d passed, want 1", passed.Load())
	}
}

// unsized hides the length of a body, so that it is sent in chunks.
type unsized struct{ io.Reader }

func TestBodyLimit(t *testing.T) {
	for name, change := range map[string]func(*testing.T) func(*gateway.Config){
		"local":  func(*testing.T) func(*gateway.Config) { return func(*gateway.Config) {} },
		"remote": func(t *testing.T) func(*gateway.Config) { return remote(t, services(make(chan http.Header, 1))) },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, change(t))
			for _, p := range testkit.Protocols() {
				t.Run(p.Name, func(t *testing.T) {
					_, err := w.client(p).Like(t.Context(), &chatv1.LikeRequest{ConversationId: strings.Repeat("x", maxBody-100)})
					if err != nil {
						t.Errorf("just below: %v", err)
					}
					for _, size := range []int{maxBody + 1, 100 * maxBody} {
						_, err = w.client(p).Like(t.Context(), &chatv1.LikeRequest{ConversationId: strings.Repeat("x", size)})
						if !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRequestTooLarge) {
							t.Errorf("%d bytes: %v", size, err)
						}
					}
				})
			}
			for _, http2 := range []bool{false, true} {
				for _, size := range []int{maxBody + 100, 1 << 20} {
					body := unsized{bytes.NewReader([]byte(`{"conversationId":"` + strings.Repeat("x", size) + `"}`))}
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+like, body)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "application/json")
					res, err := w.http(http2).Do(r)
					if err != nil {
						t.Fatalf("%d bytes of unknown length: %v", size, err)
					}
					raw, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if res.StatusCode != http.StatusTooManyRequests || !strings.Contains(string(raw), `"resource_exhausted"`) ||
						!strings.Contains(string(raw), errs.ReasonRequestTooLarge) {
						t.Errorf("%d bytes of unknown length, HTTP2 %v: %d %s", size, http2, res.StatusCode, raw)
					}
				}
			}
		})
	}
}
