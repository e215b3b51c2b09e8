package registry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
)

func open(t *testing.T, url string, options ...registry.Option) registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// local is an endpoint in this process that answers "here".
func local(t *testing.T) registry.Endpoint {
	t.Helper()
	s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(func() { _ = s.Close() })
	return registry.Endpoint{BaseURL: s.URL(), Client: s.Client()}
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                                   `unknown scheme ""`,
		"etcd://x":                           `unknown scheme "etcd"`,
		"static:?auth=http://x,":             "no http or https address",
		"static:?auth=http://x,http://x":     "is there twice",
		"consul://u:p@x":                     "want consul://host:port",
		"consul:127.0.0.1:8500":              "want consul://host:port",
		"consul://x/path":                    "want consul://host:port",
		"consul://x:0":                       "not from 1 to 65535",
		"consul://x?tokn=s3cret":             `unknown option "tokn"`,
		"consul://x?token=":                  "token is empty",
		"consul://x?token=s3cret%0a":         "characters that no token has",
		"consul://x?token=s3cret&token=b":    "given 2 times",
		"consul://x?token=s3cret&tokenFile=": "",
		"consul://x?tokenFile=/no/such/file": "read tokenFile",
		"consul://x?datacenter=a/b":          "is no name",
		"consul://x?prefix=A":                "prefix",
		"consul://x?weight=0":                "not from 1 to 100",
		"consul://x?tls=perhaps":             "want true or false",
		"consul://127.0.0.1:1?token=s3cret":  "consul at 127.0.0.1:1 cannot be asked",
		"consul://x:y?token=s3cret":          "invalid port",
		"consul://x?token=s3cret;":           "options are malformed",
		"static:auth":                        "only ?name=address",
		"static://x":                         "only ?name=address",
		"static:?auth=":                      "no http or https address",
		"static:?auth=ftp://x":               "no http or https address",
		"static:?auth=http://x/path":         "more than a host",
		"static:?auth=http://u:p@x":          "more than a host",
		"static:?Auth=http://x":              "bad service name",
		"static:?auth=http://x&auth=http://": "separate its addresses by commas",
	} {
		if _, err := registry.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): %v, want %q", url, err, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	if name, err := registry.NameOf("stoa.chat.v1.ConversationService"); err != nil || name != "chat" {
		t.Errorf("got %q, %v", name, err)
	}
	for _, bad := range []string{"", "chat", "grpc.health.v1.Health", "stoa..v1.X", "stoa.chat.v1"} {
		if name, err := registry.NameOf(bad); err == nil {
			t.Errorf("NameOf(%q) = %q", bad, name)
		}
	}
}
