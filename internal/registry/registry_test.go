package registry_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
)

func open(t *testing.T, url string) registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), url)
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

func get(t *testing.T, e registry.Endpoint) string {
	t.Helper()
	res, err := e.Client.Get(e.BaseURL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestNeighbourInTheSameProcess(t *testing.T) {
	r := open(t, "static:")
	s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer s.Close() //nolint:errcheck // a test
	if _, err := r.Resolve(t.Context(), "auth"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := r.Register(t.Context(), "auth", registry.Endpoint{BaseURL: s.URL() + "/", Client: s.Client()}); err != nil {
		t.Fatal(err)
	}
	e, err := r.Resolve(t.Context(), "auth")
	if err != nil || strings.HasSuffix(e.BaseURL, "/") || get(t, e) != "here" {
		t.Errorf("got %+v, %v", e, err)
	}
	if err := r.Deregister(t.Context(), "auth"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), "auth"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := r.Deregister(t.Context(), "auth"); err != nil {
		t.Errorf("twice: %v", err)
	}
}

func TestNeighbourByAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	r := open(t, "static:?chat=http://"+listener.Addr().String()+"&auth=https://auth.internal")
	e, err := r.Resolve(t.Context(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, e); got != "HTTP/2.0" {
		t.Errorf("neighbours speak %s", got)
	}
	if names, err := r.Names(t.Context()); err != nil || !slices.Equal(names, []string{"auth", "chat"}) {
		t.Errorf("got %v, %v", names, err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                                   `unknown scheme ""`,
		"etcd://x":                           `unknown scheme "etcd"`,
		"static:?auth=http://x,":             "no http or https address",
		"static:?auth=http://x,http://x":     "is there twice",
		"static:auth":                        "only ?name=address",
		"static://x":                         "only ?name=address",
		"static:?auth=":                      "no http or https address",
		"static:?auth=ftp://x":               "no http or https address",
		"static:?auth=http://x/path":         "more than a host",
		"static:?auth=http://u:p@x":          "more than a host",
		"static:?Auth=http://x":              "bad service name",
		"static:?auth=http://x&auth=http://": "separate its addresses by commas",
	} {
		if _, err := registry.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, want %q", url, err, want)
		}
	}
	r := open(t, "static:")
	for _, e := range []registry.Endpoint{{}, {BaseURL: "http://x"}, {BaseURL: "x", Client: http.DefaultClient}} {
		if err := r.Register(t.Context(), "auth", e); err == nil {
			t.Errorf("registered %+v", e)
		}
	}
	if err := r.Register(t.Context(), "a/b", registry.Endpoint{BaseURL: "http://x", Client: http.DefaultClient}); err == nil {
		t.Error("registered a bad name")
	}
}

func TestClosed(t *testing.T) {
	r := open(t, "static:?auth=http://x")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), "auth"); !errors.Is(err, registry.ErrClosed) {
		t.Errorf("Resolve: %v", err)
	}
	if err := r.Register(t.Context(), "auth", registry.Endpoint{BaseURL: "http://x", Client: http.DefaultClient}); !errors.Is(err, registry.ErrClosed) {
		t.Errorf("Register: %v", err)
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
