package app_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/quic-go/quic-go/http3"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestHTTP3: who comes by TCP is told of it, and calls, streams and pages come by it.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	s, trust := edgeServer(t, true)
	ann := s.User(t, "ann")
	transport := &http3.Transport{TLSClientConfig: trust.Clone()}
	defer transport.Close() //nolint:errcheck // a test
	client := &http.Client{Transport: transport}

	res, err := s.HTTP2.Get(s.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	if said := res.Header.Get("Alt-Svc"); !strings.Contains(said, `h3=":`+port+`"`) {
		t.Errorf("who came by TCP is told %q", said)
	}
	if res, err = client.Get(s.URL + "/"); err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.ProtoMajor != 3 || !strings.Contains(string(page), "the app") {
		t.Errorf("%s %s, %v", res.Proto, page, err)
	}
	for _, options := range [][]connect.ClientOption{{}, {connect.WithGRPC()}, {connect.WithGRPCWeb()}} {
		options = append(options, authntest.WithToken(ann.Token))
		me, err := authv1connect.NewAuthServiceClient(client, s.URL, options...).GetMe(t.Context(), &authv1.GetMeRequest{})
		if err != nil || me.GetUser().GetId() != ann.User.GetId() {
			t.Errorf("got %v, %v", me, err)
		}
		stream, err := edgev1connect.NewEdgeServiceClient(client, s.URL, options...).Connect(t.Context(), &edgev1.ConnectRequest{})
		if err != nil || !stream.Receive() || stream.Msg().GetFrame().GetSignedIn() == nil {
			t.Fatalf("a stream: %v, %v", err, stream.Err())
		}
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHTTP3CanBeClosed.
func TestHTTP3CanBeClosed(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	s := testkit.Start(t, func(c *config.Serve) { c.TLSCert, c.TLSKey, c.HTTP3 = certificate, key, false })
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nobody is there
	defer transport.Close()                                                               //nolint:errcheck // a test
	if res, err := (&http.Client{Transport: transport}).Get(s.URL + "/"); err == nil {
		_ = res.Body.Close()
		t.Errorf("answered by %s", res.Proto)
	}
}
