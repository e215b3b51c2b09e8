// Package authntest makes callers for tests: real keys, real tokens, and the interceptor that checks them.
package authntest

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// Lifetime is how long the tokens of a House live.
const Lifetime = 15 * time.Minute

// House is a set of keys and what checks against them.
type House struct {
	KeyID       string
	Key         ed25519.PrivateKey
	Keys        authn.Keys
	Verifier    *authn.Verifier
	Services    *authn.ServiceTokens
	Revocations *authn.Revocations
}

// New returns a house with fresh keys.
func New(t testing.TB) *House {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serviceKey, err := authn.NewServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	id := authn.KeyID(public)
	keys := authn.Keys{id: public}
	return &House{
		KeyID: id, Key: private, Keys: keys, Verifier: authn.NewVerifier(keys, nil),
		Services: authn.NewServiceTokens(serviceKey, nil), Revocations: authn.NewRevocations(Lifetime, nil),
	}
}

// Interceptor checks callers of this house against the authorization table.
func (h *House) Interceptor() connect.Interceptor {
	return authn.NewInterceptor(h.Verifier, h.Services, h.Revocations, authn.Table())
}

// User returns a principal of the given role whose session is named after its user.
func (h *House) User(userID string, role authv1.Role) authn.Principal {
	return authn.Principal{
		UserID: userID, SessionID: "session-" + userID, DeviceID: "device-" + userID, Role: role,
		ExpiresAt: time.Now().Add(Lifetime).Truncate(time.Second).UTC(),
	}
}

// Token signs an access token for p.
func (h *House) Token(t testing.TB, p authn.Principal) string {
	t.Helper()
	token, err := authn.SignAccessToken(h.KeyID, h.Key, p, rand.Text(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// As returns the client option by which a client calls as p.
func (h *House) As(t testing.TB, p authn.Principal) connect.ClientOption {
	t.Helper()
	return WithToken(h.Token(t, p))
}

// AsService returns the client option by which a client calls as a service.
func (h *House) AsService(name string) connect.ClientOption {
	return connect.WithInterceptors(h.Services.ClientInterceptor(name))
}
