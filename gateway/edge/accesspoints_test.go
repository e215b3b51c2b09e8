package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gobwas/ws"

	"github.com/stoa-live/stoa/gateway/edge"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// accessPoints asks as a client does who calls a base address; anybody may.
func (w *world) accessPoints(base, zone string, options ...connect.ClientOption) []*edgev1.AccessPoint {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a test's own
	defer client.CloseIdleConnections()
	res, err := edgev1connect.NewEdgeServiceClient(client, base, options...).
		ListAccessPoints(w.t.Context(), &edgev1.ListAccessPointsRequest{Zone: zone})
	w.must(err)
	return res.GetAccessPoints()
}

// hosted is a client that calls the server under another name.
type hosted struct{ host string }

func (h hosted) Do(r *http.Request) (*http.Response, error) {
	r.Host = h.host
	return http.DefaultClient.Do(r)
}

func (w *world) accessPointAt(host string) []*edgev1.AccessPoint {
	w.t.Helper()
	res, err := edgev1connect.NewEdgeServiceClient(hosted{host}, w.http.URL).
		ListAccessPoints(w.t.Context(), &edgev1.ListAccessPointsRequest{})
	w.must(err)
	return res.GetAccessPoints()
}

// TestAccessPointsCanBeOpened opens the addresses that a client is told, as they are.
func TestAccessPointsCanBeOpened(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Node: "here", Zone: "a"})
	for _, base := range []string{w.http.URL, strings.Replace(w.http.URL, "127.0.0.1", "localhost", 1)} {
		points := w.accessPoints(base, "")
		if len(points) != 1 || points[0].GetNode() != "here" || points[0].GetZone() != "a" {
			t.Fatalf("got %v", points)
		}
		p := points[0]
		if want := "ws" + strings.TrimPrefix(base, "http") + "/edge/v1"; p.GetWebsocketUrl() != want {
			t.Errorf("told %s, want %s", p.GetWebsocketUrl(), want)
		}
		conn, _, _, err := ws.Dialer{Protocols: []string{edge.Subprotocol}}.Dial(t.Context(), p.GetWebsocketUrl())
		w.must(err)
		w.must(conn.Close())
		plain, err := net.Dial("tcp", p.GetTcpAddress())
		w.must(err)
		secure, err := tls.Dial("tcp", p.GetTlsAddress(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own
		w.must(err)
		for _, conn := range []net.Conn{plain, secure} {
			_, err := io.WriteString(conn, "STOA\x01")
			w.must(err)
			d := delimited(conn)
			w.must(d.send(signIn(w.Token(t, w.member("ann")))))
			if f, err := d.receive(); err != nil || f.GetSignedIn() == nil {
				t.Errorf("got %v, %v", f, err)
			}
			w.must(conn.Close())
		}
	}
	secure := httptest.NewTLSServer(w.http.Config.Handler)
	defer secure.Close()
	if p := w.accessPoints(secure.URL, "")[0]; p.GetWebsocketUrl() != "wss"+strings.TrimPrefix(secure.URL, "https")+"/edge/v1" {
		t.Errorf("who called by TLS is told %v", p)
	}
	// Ports that only this machine can open are told to nobody else.
	if p := w.accessPointAt("stoa.example:8080")[0]; p.GetWebsocketUrl() != "ws://stoa.example:8080/edge/v1" || p.GetTcpAddress() != "" || p.GetTlsAddress() != "" {
		t.Errorf("who called from elsewhere is told %v", p)
	}
}

// TestAddressesOfAccessPoints: what is told follows from what is open, what the operator said and what the client called.
func TestAddressesOfAccessPoints(t *testing.T) {
	t.Parallel()
	every := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv6unspecified, Port: port} }
	for name, c := range map[string]struct {
		cfg            edge.Config
		called         string
		ws, tcp, ofTLS string
	}{
		"as called":       {edge.Config{TCP: every(7700)}, "stoa.example", "ws://stoa.example/edge/v1", "stoa.example:7700", ""},
		"port of another": {edge.Config{TLS: every(7701)}, "10.1.2.3:8080", "ws://10.1.2.3:8080/edge/v1", "", "10.1.2.3:7701"},
		"IPv6":            {edge.Config{TCP: every(7700)}, "[2001:db8::1]:80", "ws://[2001:db8::1]:80/edge/v1", "[2001:db8::1]:7700", ""},
		"closed":          {edge.Config{}, "stoa.example", "ws://stoa.example/edge/v1", "", ""},
		"configured": {
			edge.Config{PublicURL: "wss://e1.example.org:444/long", TCP: every(7700), TLS: every(7701)},
			"10.1.2.3:8080",
			"wss://e1.example.org:444/long", "e1.example.org:7700", "e1.example.org:7701",
		},
		"configured short": {edge.Config{PublicURL: "ws://e1.example.org"}, "x", "ws://e1.example.org/edge/v1", "", ""},
		"one address": {
			edge.Config{TCP: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 7700}},
			"stoa.example", "ws://stoa.example/edge/v1",
			"stoa.example:7700", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := serveAt(t, c.cfg)
			points := w.accessPointAt(c.called)
			if len(points) != 1 {
				t.Fatalf("got %v", points)
			}
			if p := points[0]; p.GetWebsocketUrl() != c.ws || p.GetTcpAddress() != c.tcp || p.GetTlsAddress() != c.ofTLS {
				t.Errorf("told %v", p)
			}
		})
	}
}

func TestAccessPointsAreRanked(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Node: "here", Zone: "a", MaxSessions: 4})
	for _, p := range []*edgev1.AccessPoint{
		{Node: "far", Zone: "a", LoadPercent: 50, WebsocketUrl: "wss://far.example/edge/v1"},
		{Node: "near-full", Zone: "b", LoadPercent: 90, WebsocketUrl: "wss://full.example/edge/v1"},
		{Node: "near", Zone: "b", LoadPercent: 10, WebsocketUrl: "wss://near.example/edge/v1", TcpAddress: "near.example:7700"},
		{Node: "stops", Zone: "b", Draining: true, WebsocketUrl: "wss://stops.example/edge/v1"},
		{Node: "unreachable", Zone: "b"},
	} {
		tell(w, edge.TopicNodeReport, p.GetNode(), &edgev1.NodeReport{Node: p.GetNode(), AccessPoint: p})
	}
	names := func(zone string) string {
		var all string
		for _, p := range w.accessPoints(w.http.URL, zone) {
			all += p.GetNode() + " "
		}
		return all
	}
	w.eventually("they are ranked", func() bool { return names("b") == "near near-full here far " })
	if got := names(""); got != "here near far near-full " {
		t.Errorf("who is nowhere is told %s", got)
	}
	if got := names("a"); got != "here far near near-full " {
		t.Errorf("zone a is told %s", got)
	}
	for _, user := range []string{"one", "two", "three"} {
		w.signInAs((*world).webSocket, w.member(user))
	}
	if got := names("a"); got != "far here near near-full " {
		t.Errorf("zone a is told %s of a node that is at 75 percent", got)
	}
	w.clock.advance(40 * time.Second)
	w.eventually("those that are silent are gone", func() bool { return names("b") == "here " })
}

// TestReportsSayWhatIsKnown: to others an edge says only addresses that the operator set.
func TestReportsSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{"": "", "wss://e1.example.org/edge/v1": "e1.example.org:7700"} {
		w := serveAt(t, edge.Config{PublicURL: public, TCP: &net.TCPAddr{Port: 7700}})
		reports := make(chan *edgev1.AccessPoint, 100)
		_, err := bus.Subscribe(w.bus, edge.TopicNodeReport, "", func(_ context.Context, _ string, r *edgev1.NodeReport) error {
			reports <- r.GetAccessPoint()
			return nil
		})
		w.must(err)
		w.signInAs((*world).webSocket, w.member("ann")) // which is reported
		if p := <-reports; p.GetWebsocketUrl() != public || p.GetTcpAddress() != want {
			t.Errorf("%q: reported %v", public, p)
		}
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]edge.Config{
		"no WebSocket":      {PublicURL: "https://stoa.example/edge/v1"},
		"no host":           {PublicURL: "wss://:443/edge/v1"},
		"every host":        {PublicURL: "ws://0.0.0.0:8080"},
		"every host, IPv6":  {PublicURL: "ws://[::]:8080"},
		"no such port":      {PublicURL: "ws://stoa.example:70000"},
		"a password":        {PublicURL: "wss://user:secret@stoa.example"},
		"a query":           {PublicURL: "wss://stoa.example/edge/v1?token=1"},
		"garbage":           {PublicURL: "wss://%"},
		"a node with a dot": {Node: "e1.example"},
		"a long node":       {Node: strings.Repeat("n", 33)},
		"a long zone":       {Zone: strings.Repeat("z", 65)},
	} {
		e, err := edge.New(cfg, edge.Deps{Deps: service.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()}})
		if err == nil {
			t.Errorf("%s: %v", name, errors.Join(errors.New("it is taken"), e.Close(t.Context())))
		} else if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
