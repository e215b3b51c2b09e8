package netaddr_test

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stoa-live/stoa/internal/netaddr"
)

func TestClient(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":                "192.0.2.7",
		"::ffff:192.0.2.7":         "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1%eth": "2001:db8:1:2::/64",
	} {
		if got := netaddr.ClientName(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
	if p := netaddr.Client(netip.Addr{}); p.IsValid() {
		t.Errorf("no address is %v", p)
	}
	if netaddr.Client(netip.MustParseAddr("192.0.2.7")) == netaddr.Client(netip.MustParseAddr("192.0.2.8")) {
		t.Error("two addresses are one client")
	}
}

func TestIsReachable(t *testing.T) {
	for text, want := range map[string]bool{
		"wss://e1.example.org":            true,
		"wss://e1.example.org:8443/edge":  true,
		"ws://192.0.2.7:8080":             true,
		"ws://[2001:db8::1]:8080/edge/v1": true,
		"ws://:8080":                      false,
		"ws://0.0.0.0:8080":               false,
		"ws://[::]:8080":                  false,
		"ws://example.org:70000":          false,
		"wss://ann@example.org":           false,
		"wss://example.org?a=b":           false,
		"wss://example.org/#here":         false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := netaddr.IsReachable(u); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
