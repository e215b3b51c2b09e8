package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

const month = 30 * 24 * time.Hour

func TestTheMigrationsLeadToTheSchema(t *testing.T) {
	db := storetest.Open(t, "auth", os.DirFS("."))
	storetest.AssertMatches(t, entauth.NewClient(entauth.Driver(db.WriteDriver())).Schema)
}

// published reads the key set over HTTP.
func published(t *testing.T, w *world) authn.Keys {
	t.Helper()
	res, err := w.server.Client().Get(w.server.URL() + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "public, max-age=300" ||
		res.Header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(string(body), `"d"`) {
		t.Errorf("%s %v: %s", res.Status, res.Header, body)
	}
	keys, err := authn.DecodeJWKS(body)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func keyOf(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := parsed.Header["kid"].(string)
	return id
}

func TestRotation(t *testing.T) {
	w := serve(t)
	device := w.device()
	w.signUp(device, "ada")
	first := keyOf(t, w.signIn(device, "ada").GetAccessToken())
	if keys := published(t, w); len(keys) != 1 || keys[first] == nil {
		t.Fatalf("at first: %v", keys)
	}
	w.clock.move(month - time.Hour - time.Second)
	if keys := published(t, w); len(keys) != 1 {
		t.Errorf("too early: %v", keys)
	}
	w.clock.move(time.Second)
	if keys := published(t, w); len(keys) != 2 || keys[first] == nil {
		t.Errorf("an hour ahead: %v", keys)
	}
	w.clock.move(time.Hour - time.Second)
	old := w.signIn(device, "ada").GetAccessToken()
	if keyOf(t, old) != first {
		t.Error("the next key signs before its time")
	}
	w.clock.move(time.Second)
	next := w.signIn(w.device(), "ada").GetAccessToken()
	second := keyOf(t, next)
	if second == first {
		t.Error("the key was not rotated")
	}
	w.clock.move(accessLifetime - 2*time.Second) // the old token's last moment
	remote := authn.NewVerifier(authn.NewRemoteKeys(w.server.Client(), w.server.URL()+"/.well-known/jwks.json", w.clock.Now), w.clock.Now)
	for _, token := range []string{old, next} {
		if err := w.me(token); err != nil {
			t.Error(err)
		}
		if _, err := remote.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	w.clock.move(2*time.Minute + 2*time.Second)
	if keys := published(t, w); len(keys) != 1 || keys[second] == nil {
		t.Errorf("after the old one's tokens: %v", keys)
	}
	wantError(t, w.me(old), connect.CodeUnauthenticated, "TOKEN_INVALID")
	for range 3 { // and so on
		w.clock.move(month)
		w.signIn(device, "ada")
	}
	if keys := published(t, w); len(keys) > 2 {
		t.Errorf("keys pile up: %v", keys)
	}
}

func TestAServiceThatSleptKeepsItsKeyUntilTheNextIsKnown(t *testing.T) {
	p := newPlace(t)
	first := keyOf(t, serveAt(t, p).guestToken())
	p.clock.move(3 * month)
	w := serveAt(t, p)
	if keyOf(t, w.guestToken()) != first {
		t.Error("a key signs that nobody knows yet")
	}
	p.clock.move(time.Hour)
	if keyOf(t, w.guestToken()) == first {
		t.Error("the old key goes on")
	}
}

func (w *world) guestToken() string {
	w.t.Helper()
	return w.guest(w.device()).GetAccessToken()
}

func TestProcessesOfOneDatabaseShareTheirKeys(t *testing.T) {
	p := newPlace(t)
	const processes = 4
	worlds := make([]*world, processes)
	start := make(chan struct{})
	var starts sync.WaitGroup
	seed := serveAt(t, place{clock: p.clock, storeURL: p.storeURL, dataDir: t.TempDir()}) // migrates
	for i := range worlds {
		starts.Go(func() {
			<-start
			worlds[i] = serveAt(t, place{clock: p.clock, storeURL: p.storeURL, dataDir: t.TempDir()})
		})
	}
	close(start)
	starts.Wait()
	worlds = append(worlds, seed)
	for round := range 3 {
		tokens := make([]string, len(worlds))
		var calls sync.WaitGroup
		for i, w := range worlds {
			calls.Go(func() { tokens[i] = w.guestToken() })
		}
		calls.Wait()
		for _, w := range worlds {
			for _, token := range tokens {
				if keyOf(t, token) != keyOf(t, tokens[0]) {
					t.Errorf("round %d: several keys sign", round)
				}
				if _, err := w.verifier.Verify(t.Context(), token); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
		}
		p.clock.move(month - time.Hour)
		for _, w := range worlds {
			calls.Go(func() {
				if n := len(published(t, w)); n != 2 {
					t.Errorf("round %d: %d keys", round, n)
				}
			})
		}
		calls.Wait()
		p.clock.move(time.Hour)
	}
}

func TestForgedAndExpiredTokens(t *testing.T) {
	w := serve(t)
	good := w.guestToken()
	p := w.principal(good)
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(kid string, key ed25519.PrivateKey, p authn.Principal) string {
		token, err := authn.SignAccessToken(kid, key, p, "id", w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	admin := p
	admin.Role = authv1.Role_ROLE_ADMIN
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT","kid":"`+keyOf(t, good)+`"}`)) + "." + parts[1] + "."
	for name, token := range map[string]string{
		"unknown key":    sign("unknown", strange, admin),
		"our key's name": sign(keyOf(t, good), strange, admin),
		"unsigned":       unsigned,
		"cut":            good[:len(good)-4],
		"nonsense":       "x",
		"huge":           strings.Repeat("A", 10_000),
		"other body":     parts[0] + "." + strings.Split(sign("x", strange, admin), ".")[1] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) { wantError(t, w.me(token), connect.CodeUnauthenticated, "TOKEN_INVALID") })
	}
	if err := w.me(good); err != nil {
		t.Error(err)
	}
	w.clock.move(accessLifetime)
	wantError(t, w.me(good), connect.CodeUnauthenticated, "TOKEN_EXPIRED")
}

func TestTheKeySetIsReadOnly(t *testing.T) {
	w := serve(t)
	res, err := w.server.Client().Post(w.server.URL()+"/.well-known/jwks.json", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Error(res.Status)
	}
}
