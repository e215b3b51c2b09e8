package main

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/alecthomas/kong"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestServiceToken lets a back end with the server's key push, and nobody with another one.
func TestServiceToken(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	s := testkit.Start(t, func(c *config.Serve) { c.InternalAddr, c.ServiceKey = "127.0.0.1:0", key })
	token := func(key string) (string, error) {
		var cli commands
		var out strings.Builder
		parsed, err := kong.Must(&cli, kong.BindTo(&out, (*io.Writer)(nil))).Parse([]string{"service-token", "shop", "--service-key", key})
		if err != nil {
			return "", err
		}
		err = parsed.Run()
		return strings.TrimSpace(out.String()), err
	}
	push := func(token string) error {
		client := edgev1connect.NewPushServiceClient(s.HTTP2, "http://"+s.InternalAddr().String(), authntest.WithToken(token))
		_, err := client.PushToEveryone(t.Context(), &edgev1.PushToEveryoneRequest{Notice: &edgev1.Notice{Topic: "hello"}})
		return err
	}
	for _, bad := range []string{"", "short", key[1:]} {
		if _, err := token(bad); err == nil || strings.Contains(err.Error(), key[1:]) {
			t.Errorf("key %q: %v", bad, err)
		}
	}
	mine, err := token(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := push(mine); err != nil {
		t.Error(err)
	}
	other, err := token(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32))))
	if err != nil {
		t.Fatal(err)
	}
	if err := push(other); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("another key: %v", err)
	}
}
