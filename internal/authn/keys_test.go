package authn_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
)

func TestJWKS(t *testing.T) {
	a, b := authntest.New(t), authntest.New(t)
	want := authn.Keys{a.KeyID: a.Keys[a.KeyID], b.KeyID: b.Keys[b.KeyID]}
	raw, err := authn.EncodeJWKS(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := authn.DecodeJWKS(raw)
	if err != nil || len(got) != 2 || !got[a.KeyID].Equal(want[a.KeyID]) || !got[b.KeyID].Equal(want[b.KeyID]) {
		t.Errorf("got %v, %v", got, err)
	}
	if raw, err := authn.EncodeJWKS(nil); err != nil || string(raw) != `{"keys":[]}` {
		t.Errorf("no keys: %s, %v", raw, err)
	}
	// The key and thumbprint of RFC 8037, appendix A.2 and A.3.
	doc := `{"keys":[{"kty":"RSA","n":"x","e":"AQAB","kid":"r"},{"kty":"OKP","crv":"X25519","x":"AA","kid":"x"},
		{"kty":"OKP","crv":"Ed25519","use":"enc","x":"AA","kid":"e"},
		{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ok","extra":1}]}`
	got, err = authn.DecodeJWKS([]byte(doc))
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if id := authn.KeyID(got["ok"]); len(id) != 22 || !strings.HasPrefix("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", id[:21]) {
		t.Errorf("thumbprint is %s", id)
	}
	for _, bad := range []string{
		"", "[]", `{"keys":5}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"short"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%%","kid":"odd"}]}`,
	} {
		if keys, err := authn.DecodeJWKS([]byte(bad)); err == nil {
			t.Errorf("DecodeJWKS(%s) = %v", bad, keys)
		}
	}
}

// jwksServer publishes keys and counts how often they are fetched.
type jwksServer struct {
	*memhttp.Server

	fetches atomic.Int32
	mu      sync.Mutex
	keys    authn.Keys
	status  int
	body    []byte
}

func serveJWKS(t *testing.T) *jwksServer {
	t.Helper()
	s := &jwksServer{status: http.StatusOK}
	s.Server = memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		raw, err := authn.EncodeJWKS(s.keys)
		if err != nil {
			t.Error(err)
		}
		if s.body != nil {
			raw = s.body
		}
		w.WriteHeader(s.status)
		_, _ = w.Write(raw)
	}))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *jwksServer) publish(status int, keys authn.Keys, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.keys, s.body = status, keys, body
}

func TestRemoteKeys(t *testing.T) {
	old, fresh := authntest.New(t), authntest.New(t)
	s := serveJWKS(t)
	s.publish(http.StatusOK, old.Keys, nil)
	now := time.Now()
	keys := authn.NewRemoteKeys(s.Client(), s.URL()+"/.well-known/jwks.json", func() time.Time { return now })
	find := func(id string) (ed25519.PublicKey, error) { return keys.Key(t.Context(), id) }
	fetched := func(want int32) {
		t.Helper()
		if got := s.fetches.Load(); got != want {
			t.Fatalf("fetched %d times, want %d", got, want)
		}
	}

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if key, err := find(old.KeyID); err != nil || !key.Equal(old.Keys[old.KeyID]) {
				t.Errorf("got %v, %v", key, err)
			}
		})
	}
	all.Wait()
	fetched(1)

	// Made-up ids cost one fetch in ten seconds, however many there are.
	for i := range 100 {
		if _, err := find(fmt.Sprint("made up ", i)); !errors.Is(err, authn.ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	fetched(1)
	now = now.Add(10 * time.Second)
	_, _ = find("made up")
	_, _ = find("made up")
	fetched(2)

	// A rotation is noticed when the first token names the new key.
	s.publish(http.StatusOK, fresh.Keys, nil)
	now = now.Add(10 * time.Second)
	if key, err := find(fresh.KeyID); err != nil || key == nil {
		t.Fatal(err)
	}
	fetched(3)
	if _, err := find(old.KeyID); !errors.Is(err, authn.ErrUnknownKey) {
		t.Errorf("a withdrawn key: %v", err)
	}

	// While the document cannot be had, known keys are good for an hour.
	for name, spoil := range map[string]func(){
		"status": func() { s.publish(http.StatusBadGateway, nil, nil) },
		"body":   func() { s.publish(http.StatusOK, nil, []byte("<html>")) },
		"size":   func() { s.publish(http.StatusOK, nil, make([]byte, 1<<20)) },
	} {
		spoil()
		now = now.Add(11 * time.Minute)
		if key, err := find(fresh.KeyID); err != nil || key == nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := find("unknown"); err == nil || errors.Is(err, authn.ErrUnknownKey) {
			t.Errorf("%s: an unknown key in the dark: %v", name, err)
		}
	}
	now = now.Add(time.Hour)
	if _, err := find(fresh.KeyID); err == nil {
		t.Error("an hour in the dark")
	}
	s.publish(http.StatusOK, fresh.Keys, nil)
	now = now.Add(time.Second)
	if _, err := find(fresh.KeyID); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	// A withdrawal is noticed after ten minutes even if no token asks for another key.
	s.publish(http.StatusOK, old.Keys, nil)
	now = now.Add(10 * time.Minute)
	if _, err := find(fresh.KeyID); !errors.Is(err, authn.ErrUnknownKey) {
		t.Errorf("a withdrawn key after ten minutes: %v", err)
	}
}

func TestKeysThatCannotBeHadAreNotTheTokensFault(t *testing.T) {
	house := authntest.New(t)
	s := serveJWKS(t)
	s.publish(http.StatusServiceUnavailable, nil, nil)
	verifier := authn.NewVerifier(authn.NewRemoteKeys(s.Client(), s.URL(), nil), nil)
	token := house.Token(t, house.User("u1", authv1.Role_ROLE_USER))
	if _, err := verifier.Verify(t.Context(), token); !errs.Is(err, connect.CodeUnavailable, "UNAVAILABLE") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := authn.NewRemoteKeys(s.Client(), s.URL(), nil).Key(ctx, "x"); err == nil {
		t.Error("no error for a caller that is gone")
	}
}
