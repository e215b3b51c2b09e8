package gateway_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/internal/telemetry"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestRequestIDs(t *testing.T) {
	w := serve(t)
	for name, c := range map[string]struct {
		sent string
		kept bool
	}{
		"valid": {"a-Z_0.9", true}, "none": {"", false}, "too long": {strings.Repeat("a", 65), false},
		"a line of log": {`x" level=ERROR msg="boo`, false}, "not ASCII": {"ümlaut", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.post(t, telemetry.RequestIDHeader, c.sent)
			echoed := a.Header.Values(telemetry.RequestIDHeader)
			if len(echoed) != 1 || !telemetry.ValidRequestID(echoed[0]) || (echoed[0] == c.sent) != c.kept {
				t.Fatalf("%q was answered with %q", c.sent, echoed)
			}
			if got := (<-w.seen).Values(telemetry.RequestIDHeader); len(got) != 1 || got[0] != echoed[0] {
				t.Errorf("the service got %q, the client %q", got, echoed)
			}
			if !strings.Contains(w.log.String(), "request_id="+echoed[0]) {
				t.Errorf("%q is not in the log", echoed[0])
			}
		})
	}
	a := w.do(t, http.MethodGet, "/nothing/here", "", telemetry.RequestIDHeader, "mine")
	if a.Header.Get(telemetry.RequestIDHeader) != "mine" {
		t.Errorf("a refusal has the id %q", a.Header.Get(telemetry.RequestIDHeader))
	}
}

// claims is what a stranger may write.
func claims() []string {
	return []string{
		"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example",
		"X-Forwarded-Port", "1", "X-Forwarded-Prefix", "/x", "X-Forwarded-Anything", "x",
		"X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Stoa-Client-Address", "203.0.113.9",
		"X-Stoa-Anything", "x", "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"Tracestate", "a=b", "Baggage", "a=b",
	}
}

func TestWhatStrangersClaimIsDropped(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.TrustedProxies = networks("10.0.0.0/8") })
	got := w.arrived(t, claims()...)
	want := map[string]string{
		gateway.ClientAddressHeader: "192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "stoa.example",
	}
	for i := 0; i < len(claims()); i += 2 {
		name := http.CanonicalHeaderKey(claims()[i])
		if values := got.Values(name); strings.Join(values, ",") != want[name] {
			t.Errorf("%s reached the service as %q, want %q", name, values, want[name])
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.TrustedProxies = networks("10.0.0.0/8", "fd00::/8") })
	for name, c := range map[string]struct {
		peer    string
		headers []string
		address string
		proto   string
		host    string
	}{
		"one hop": {
			"10.0.0.1:80",
			[]string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "live.example"},
			"203.0.113.9", "https", "live.example",
		},
		"the right-most stranger counts": {
			"10.0.0.1:80", []string{"X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", "http", "stoa.example",
		},
		"several headers are one list": {
			"10.0.0.1:80",
			[]string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "10.0.0.2"},
			"203.0.113.9", "http", "stoa.example",
		},
		"only proxies":     {"10.0.0.1:80", []string{"X-Forwarded-For", "10.0.0.3,10.0.0.2"}, "10.0.0.3", "http", "stoa.example"},
		"nonsense ends it": {"10.0.0.1:80", []string{"X-Forwarded-For", "203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2", "http", "stoa.example"},
		"says nothing":     {"10.0.0.1:80", nil, "10.0.0.1", "http", "stoa.example"},
		"unknown scheme":   {"10.0.0.1:80", []string{"X-Forwarded-Proto", "javascript"}, "10.0.0.1", "http", "stoa.example"},
		"the last word is the proxy's": {
			"10.0.0.1:80",
			[]string{"X-Forwarded-Proto", "http, https", "X-Forwarded-Host", "evil.example, live.example"},
			"10.0.0.1", "https", "live.example",
		},
		"in the last of several headers": {
			"10.0.0.1:80",
			[]string{"X-Forwarded-Proto", "http", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-Host", "live.example"},
			"10.0.0.1", "https", "live.example",
		},
		"a list that ends in nothing": {
			"10.0.0.1:80", []string{"X-Forwarded-Proto", "https,", "X-Forwarded-Host", "evil.example, "}, "10.0.0.1", "http", "stoa.example",
		},
		"IPv6 proxy":          {"[fd00::1]:80", []string{"X-Forwarded-For", "2001:db8::7"}, "2001:db8::7", "http", "stoa.example"},
		"IPv6 with a zone":    {"[fd00::1%eth0]:80", []string{"X-Forwarded-For", "2001:db8::7"}, "2001:db8::7", "http", "stoa.example"},
		"IPv4 inside of IPv6": {"[::ffff:10.0.0.1]:80", []string{"X-Forwarded-For", "::ffff:203.0.113.9"}, "203.0.113.9", "http", "stoa.example"},
		"a stranger's word":   {"192.0.2.1:80", []string{"X-Forwarded-For", "203.0.113.9"}, "192.0.2.1", "http", "stoa.example"},
	} {
		t.Run(name, func(t *testing.T) {
			w.peer.Store(c.peer)
			got := w.arrived(t, c.headers...)
			if a := got.Get(gateway.ClientAddressHeader); a != c.address {
				t.Errorf("the client is %q, want %q", a, c.address)
			}
			if p, h := got.Get("X-Forwarded-Proto"), got.Get("X-Forwarded-Host"); p != c.proto || h != c.host {
				t.Errorf("the address is %s://%s, want %s://%s", p, h, c.proto, c.host)
			}
			if !strings.Contains(w.log.String(), "client="+c.address) {
				t.Errorf("the access log does not name %s", c.address)
			}
		})
	}
}

func TestUntrustedProxiesAreNamedOnce(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.TrustedProxies = networks("10.0.0.0/8") })
	said := func() int { return strings.Count(w.log.String(), "--trusted-proxies") }
	w.post(t)
	w.peer.Store("10.0.0.1:80")
	w.post(t, "X-Forwarded-For", "203.0.113.9")
	if said() != 0 {
		t.Errorf("without a reason:\n%s", w.log)
	}
	w.peer.Store("127.0.0.1:80")
	for range 3 {
		w.post(t, "X-Real-Ip", "203.0.113.9")
	}
	if said() != 1 || !strings.Contains(w.log.String(), "level=WARN") || !strings.Contains(w.log.String(), "peer=127.0.0.1") {
		t.Errorf("said %d times:\n%s", said(), w.log)
	}
}

func TestTLS(t *testing.T) {
	w := serve(t)
	server := httptest.NewUnstartedServer(w.gateway)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	res, err := server.Client().Post(server.URL+like, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	got := <-w.seen
	if res.Proto != "HTTP/2.0" || got.Get("X-Forwarded-Proto") != "https" || got.Get(gateway.ClientAddressHeader) != "127.0.0.1" {
		t.Errorf("%s with %v", res.Proto, got)
	}
}
