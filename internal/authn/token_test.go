package authn_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
)

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "stoa", "aud": []string{"stoa"}, "sub": "u1", "sid": "s1", "did": "d1", "role": "user", "jti": "t1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
}

// with returns good claims with some replaced, or removed by nil.
func with(changes jwt.MapClaims) jwt.MapClaims {
	claims := goodClaims()
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func sign(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestGoodToken(t *testing.T) {
	house := authntest.New(t)
	for _, role := range []authv1.Role{
		authv1.Role_ROLE_GUEST, authv1.Role_ROLE_USER, authv1.Role_ROLE_MODERATOR, authv1.Role_ROLE_ADMIN,
	} {
		want := house.User("u1", role)
		got, err := house.Verifier.Verify(t.Context(), house.Token(t, want))
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if got, err := house.Verifier.Verify(t.Context(), sign(t, jwt.SigningMethodEdDSA, house.Key,
		map[string]any{"kid": house.KeyID}, goodClaims())); err != nil || got.UserID != "u1" {
		t.Errorf("the tests' own good token: %+v, %v", got, err)
	}
}

func TestBadTokens(t *testing.T) {
	house := authntest.New(t)
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	kid := map[string]any{"kid": house.KeyID}
	public := house.Keys[house.KeyID]
	der, _ := x509.MarshalPKIXPublicKey(public)
	good := sign(t, jwt.SigningMethodEdDSA, house.Key, kid, goodClaims())
	parts := strings.Split(good, ".")
	admin := base64.RawURLEncoding.EncodeToString(mustJSON(t, with(jwt.MapClaims{"role": "admin"})))
	service, err := house.Services.Token("live")
	if err != nil {
		t.Fatal(err)
	}
	ours := func(changes jwt.MapClaims) string {
		return sign(t, jwt.SigningMethodEdDSA, house.Key, kid, with(changes))
	}
	for name, c := range map[string]struct{ token, reason string }{
		"empty":                   {"", "TOKEN_INVALID"},
		"garbage":                 {"garbage", "TOKEN_INVALID"},
		"three garbage parts":     {"a.b.c", "TOKEN_INVALID"},
		"huge":                    {strings.Repeat("a", 1<<20), "TOKEN_INVALID"},
		"forged by a stranger":    {sign(t, jwt.SigningMethodEdDSA, stranger, kid, goodClaims()), "TOKEN_INVALID"},
		"changed body":            {parts[0] + "." + admin + "." + parts[2], "TOKEN_INVALID"},
		"cut signature":           {parts[0] + "." + parts[1] + ".", "TOKEN_INVALID"},
		"padded signature":        {good + "=", "TOKEN_INVALID"},
		"alg none":                {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, goodClaims()), "TOKEN_INVALID"},
		"HMAC by the public key":  {sign(t, jwt.SigningMethodHS256, []byte(public), kid, goodClaims()), "TOKEN_INVALID"},
		"HMAC by its DER":         {sign(t, jwt.SigningMethodHS256, der, kid, goodClaims()), "TOKEN_INVALID"},
		"no kid":                  {sign(t, jwt.SigningMethodEdDSA, house.Key, nil, goodClaims()), "TOKEN_INVALID"},
		"wrong kid":               {sign(t, jwt.SigningMethodEdDSA, house.Key, map[string]any{"kid": "x"}, goodClaims()), "TOKEN_INVALID"},
		"numeric kid":             {sign(t, jwt.SigningMethodEdDSA, house.Key, map[string]any{"kid": 7}, goodClaims()), "TOKEN_INVALID"},
		"critical extension":      {sign(t, jwt.SigningMethodEdDSA, house.Key, map[string]any{"kid": house.KeyID, "crit": []string{"x"}}, goodClaims()), "TOKEN_INVALID"},
		"wrong issuer":            {ours(jwt.MapClaims{"iss": "other"}), "TOKEN_INVALID"},
		"no issuer":               {ours(jwt.MapClaims{"iss": nil}), "TOKEN_INVALID"},
		"wrong audience":          {ours(jwt.MapClaims{"aud": "other"}), "TOKEN_INVALID"},
		"no audience":             {ours(jwt.MapClaims{"aud": nil}), "TOKEN_INVALID"},
		"no end":                  {ours(jwt.MapClaims{"exp": nil}), "TOKEN_INVALID"},
		"not yet":                 {ours(jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}), "TOKEN_INVALID"},
		"no subject":              {ours(jwt.MapClaims{"sub": nil}), "TOKEN_INVALID"},
		"no session":              {ours(jwt.MapClaims{"sid": nil}), "TOKEN_INVALID"},
		"no device":               {ours(jwt.MapClaims{"did": nil}), "TOKEN_INVALID"},
		"no role":                 {ours(jwt.MapClaims{"role": nil}), "TOKEN_INVALID"},
		"unknown role":            {ours(jwt.MapClaims{"role": "root"}), "TOKEN_INVALID"},
		"expired":                 {ours(jwt.MapClaims{"exp": time.Now().Add(-time.Second).Unix()}), "TOKEN_EXPIRED"},
		"expired, wrong audience": {ours(jwt.MapClaims{"exp": 1, "aud": "other"}), "TOKEN_INVALID"},
		"expired and forged":      {sign(t, jwt.SigningMethodEdDSA, stranger, kid, with(jwt.MapClaims{"exp": 1})), "TOKEN_INVALID"},
		"a service's token":       {service, "TOKEN_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := house.Verifier.Verify(t.Context(), c.token)
			if !errs.Is(err, connect.CodeUnauthenticated, c.reason) || p != (authn.Principal{}) {
				t.Errorf("got %+v, %v, want %s", p, err, c.reason)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSignRefusesHalfPrincipals(t *testing.T) {
	house := authntest.New(t)
	whole := house.User("u1", authv1.Role_ROLE_USER)
	for name, spoil := range map[string]func(p *authn.Principal){
		"user": func(p *authn.Principal) { p.UserID = "" }, "session": func(p *authn.Principal) { p.SessionID = "" },
		"device": func(p *authn.Principal) { p.DeviceID = "" }, "role": func(p *authn.Principal) { p.Role = 0 },
		"end": func(p *authn.Principal) { p.ExpiresAt = time.Time{} }, "service": func(p *authn.Principal) { p.Service = "x" },
	} {
		p := whole
		spoil(&p)
		if token, err := authn.SignAccessToken(house.KeyID, house.Key, p, "t", time.Now()); err == nil {
			t.Errorf("signed without a good %s: %s", name, token)
		}
	}
}

func TestServiceTokens(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	key, err := authn.NewServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	seed := base64.StdEncoding.EncodeToString(key.Seed())
	parsed, err := authn.ParseServiceKey(seed)
	if err != nil || !parsed.Equal(key) {
		t.Fatalf("key did not come back: %v", err)
	}
	here, there := authn.NewServiceTokens(key, clock), authn.NewServiceTokens(parsed, clock)
	token, err := here.Token("live")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := there.Verify(token); err != nil || p.Service != "live" || !p.IsService() || p.UserID != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	now = now.Add(29 * time.Second)
	if again, _ := here.Token("live"); again != token {
		t.Error("a fresh token was signed too early")
	}
	now = now.Add(2 * time.Second)
	if again, _ := here.Token("live"); again == token {
		t.Error("an old token is still used")
	}
	if _, err := there.Verify(token); err != nil {
		t.Errorf("a token that was just replaced: %v", err)
	}
	now = now.Add(30 * time.Second)
	if _, err := there.Verify(token); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_EXPIRED") {
		t.Errorf("after a minute: %v", err)
	}
	if _, err := here.Token(""); err == nil {
		t.Error("a token for nobody")
	}
	stranger := authntest.New(t)
	token, _ = stranger.Services.Token("live")
	user := stranger.Token(t, stranger.User("u1", authv1.Role_ROLE_ADMIN))
	for _, bad := range []string{token, user, "", "x"} {
		if _, err := here.Verify(bad); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_INVALID") {
			t.Errorf("Verify(%.10q): %v", bad, err)
		}
	}
	for _, bad := range []string{"", "hunter2", seed[:20], seed + seed} {
		if _, err := authn.ParseServiceKey(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseServiceKey(%q): %v", bad, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	house := authntest.New(f)
	f.Add(house.Token(f, house.User("u1", authv1.Role_ROLE_USER)) + "x")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := house.Verifier.Verify(t.Context(), token); err == nil || p != (authn.Principal{}) {
			t.Errorf("%q was taken for %+v", token, p)
		}
	})
}

func ExampleVerifier() {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	id := authn.KeyID(public)
	token, _ := authn.SignAccessToken(id, private, authn.Principal{
		UserID: "u1", SessionID: "s1", DeviceID: "d1", Role: authv1.Role_ROLE_USER, ExpiresAt: time.Now().Add(time.Minute),
	}, "t1", time.Now())
	p, err := authn.NewVerifier(authn.Keys{id: public}, nil).Verify(context.Background(), token)
	fmt.Println(p.UserID, p.Role, err)
	// Output: u1 ROLE_USER <nil>
}
