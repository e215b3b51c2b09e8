package xds_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/xds"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestEverythingGoesThroughEnvoy: calls in every protocol, streams, long connections, pages and keys; and nothing internal.
func TestEverythingGoesThroughEnvoy(t *testing.T) {
	t.Parallel()
	s := house(t)
	f := serve(t, everywhere(s), nil)
	through := f.through(s)
	ann := through.User(t, "ann")
	for _, p := range testkit.Protocols() {
		me, err := testkit.Client(through, p, ann.Token, authv1connect.NewAuthServiceClient).GetMe(t.Context(), &authv1.GetMeRequest{})
		if err != nil || me.GetUser().GetId() != ann.User.GetId() {
			t.Errorf("%s: %v, %v", p.Name, me, err)
		}
		_, err = testkit.Client(through, p, "", authv1connect.NewAuthServiceClient).GetMe(t.Context(), &authv1.GetMeRequest{})
		if code(err) != connect.CodeUnauthenticated || errs.Reason(err) != authn.ReasonTokenMissing {
			t.Errorf("%s without a token: %v", p.Name, err)
		}
		_, err = testkit.Client(through, p, ann.Token, edgev1connect.NewPushServiceClient).PushToEveryone(t.Context(), &edgev1.PushToEveryoneRequest{})
		if code(err) == 0 || code(err) == connect.CodePermissionDenied {
			t.Errorf("%s reaches an internal RPC: %v", p.Name, err)
		}
		stream, err := testkit.Client(through, p, ann.Token, edgev1connect.NewEdgeServiceClient).Connect(t.Context(), &edgev1.ConnectRequest{})
		if err != nil || !stream.Receive() || stream.Msg().GetFrame().GetSignedIn() == nil {
			t.Errorf("%s: a stream: %v, %v", p.Name, err, stream.Err())
		}
		_ = stream.Close()
	}
	conn, _, _, err := ws.Dialer{Protocols: []string{"stoa.edge.v1"}}.Dial(t.Context(), "ws"+strings.TrimPrefix(f.url, "http")+"/edge/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	first, err := proto.Marshal(&edgev1.ClientFrame{Id: 1, Kind: &edgev1.ClientFrame_SignIn{SignIn: &edgev1.SignIn{AccessToken: ann.Token}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := wsutil.WriteClientBinary(conn, first); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b, err := wsutil.ReadServerBinary(conn)
	answer := &edgev1.ServerFrame{}
	if err != nil || proto.Unmarshal(b, answer) != nil || answer.GetSignedIn() == nil {
		t.Errorf("a long connection: %v, %v", answer, err)
	}
	if status, page := f.get("/", nil); status != http.StatusOK || !strings.Contains(page, "the app") {
		t.Errorf("the app: %d %s", status, page)
	}
	if status, keys := f.get("/.well-known/jwks.json", nil); status != http.StatusOK || !strings.Contains(keys, "Ed25519") {
		t.Errorf("keys: %d %s", status, keys)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if status, body := f.get(path, nil); status == http.StatusOK && !strings.Contains(body, "the app") {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestWhoCallsIsSaidByEnvoy: what clients write into our own headers does not arrive.
func TestWhoCallsIsSaidByEnvoy(t *testing.T) {
	t.Parallel()
	at := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, strings.Join(r.Header.Values("X-Stoa-Client-Address"), "+"))
	})
	f := serve(t, xds.Instances{"live": {{Address: at}}}, nil)
	f.eventually("the address is the real one", func() bool {
		status, said := f.get("/live/x", http.Header{"X-Stoa-Client-Address": {"192.0.2.1"}})
		return status == http.StatusOK && said == "127.0.0.1"
	})
}

// TestRefusalsOfEnvoyAreErrors of each protocol: of the limit, and of a service without instances.
func TestRefusalsOfEnvoyAreErrors(t *testing.T) {
	t.Parallel()
	s := house(t)
	in := everywhere(s)
	delete(in, "auth")
	f := serve(t, in, func(c *xds.Config) { c.RateLimit = 2 })
	through := f.through(s)
	for _, p := range testkit.Protocols() {
		if strings.HasPrefix(p.Name, "gRPC JSON") { // Envoy calls its answers application/grpc whatever the codec
			continue
		}
		f.eventually(p.Name+" is refused", func() bool {
			_, err := testkit.Client(through, p, "", authv1connect.NewAuthServiceClient).GetSetup(t.Context(), &authv1.GetSetupRequest{})
			if code(err) != connect.CodeUnavailable && code(err) != connect.CodeResourceExhausted {
				t.Errorf("%s: %v", p.Name, err)
			}
			// Envoy takes gRPC-Web for no gRPC, and its status of HTTP stands for UNAVAILABLE there.
			return code(err) == connect.CodeResourceExhausted || strings.HasPrefix(p.Name, "gRPC-Web")
		})
	}
	f.eventually("nobody is there", func() bool {
		_, err := testkit.Client(through, testkit.Protocols()[0], "", authv1connect.NewAuthServiceClient).GetSetup(t.Context(), &authv1.GetSetupRequest{})
		return code(err) == connect.CodeUnavailable
	})
}

// TestInstancesComeAndGo: a new one takes calls, one that is gone takes none, and a stream on it goes on.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	named := func(name string) string {
		return backend(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, name)
			if r.URL.Path == "/live/stream" {
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		})
	}
	first, second := xds.Instance{Address: named("first")}, xds.Instance{Address: named("second")}
	f := serve(t, xds.Instances{"live": {first}}, nil)
	answered := func(name string) func() bool {
		return func() bool {
			_, who := f.get("/live/x", nil)
			return who == name
		}
	}
	f.eventually("the first answers", answered("first"))
	res, err := http.Get(f.url + "/live/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a test
	word := make([]byte, len("first"))
	if _, err := io.ReadFull(res.Body, word); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := f.Set(t.Context(), xds.Instances{"live": {first, second}}); err != nil {
		t.Fatal(err)
	}
	f.eventually("the second answers, too", answered("second"))
	t.Logf("a new instance took calls after %v", time.Since(start))
	if err := f.Set(t.Context(), xds.Instances{"live": {second}}); err != nil {
		t.Fatal(err)
	}
	f.eventually("the first has no more calls", func() bool {
		for range 20 {
			if !answered("second")() {
				return false
			}
		}
		return true
	})
	ended := make(chan error, 1)
	go func() {
		_, err := res.Body.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("the stream on the first ended: %v", err)
	default:
	}
}

// TestEnvoySpeaksTLSAndHTTP3 where it has a certificate, and packs pages by Brotli.
func TestEnvoySpeaksTLSAndHTTP3(t *testing.T) {
	t.Parallel()
	s := house(t)
	certificate, key, trust := selfSigned(t)
	f := serve(t, everywhere(s), func(c *xds.Config) { c.Certificate, c.Key = certificate, key })
	url := "https" + strings.TrimPrefix(f.url, "http")
	quic := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer quic.Close() //nolint:errcheck // a test
	tcp := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true, DisableCompression: true}
	defer tcp.CloseIdleConnections()
	for version, transport := range map[int]http.RoundTripper{2: tcp, 3: quic} {
		client := &http.Client{Transport: transport}
		f.eventually(fmt.Sprint("HTTP/", version, " answers"), func() bool {
			res, err := client.Get(url + "/")
			if err != nil {
				return false
			}
			defer res.Body.Close() //nolint:errcheck // a test
			page, err := io.ReadAll(res.Body)
			return err == nil && res.StatusCode == http.StatusOK && res.ProtoMajor == version && strings.Contains(string(page), "the app") &&
				strings.Contains(res.Header.Get("Alt-Svc"), "h3=")
		})
		me, err := authv1connect.NewAuthServiceClient(client, url).GetSetup(t.Context(), &authv1.GetSetupRequest{})
		if err != nil {
			t.Errorf("HTTP/%d: %v, %v", version, me, err)
		}
	}
	at := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "["+strings.Repeat(`"again and again",`, 1000)+"0]")
	})
	in := everywhere(s)
	in["live"] = []xds.Instance{{Address: at}}
	if err := f.Set(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	f.eventually("it is packed", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/live/list", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "br")
		res, err := tcp.RoundTrip(r)
		if err != nil {
			return false
		}
		defer res.Body.Close() //nolint:errcheck // a test
		body, err := io.ReadAll(res.Body)
		return err == nil && res.Header.Get("Content-Encoding") == "br" && len(body) < 1000
	})
}
