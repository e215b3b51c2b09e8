package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrUnknownKey is returned by a KeySource for a key id that it does not hold.
var ErrUnknownKey = errors.New("no such key")

// errKeysUnavailable marks a KeySource's failure to look at all.
var errKeysUnavailable = errors.New("keys are not available")

// KeySource finds the public key that a token names.
type KeySource interface {
	// Key returns the key of a key id. Errors: ErrUnknownKey when there is none; anything else means that the source
	// could not be asked, which fails the call as UNAVAILABLE and not the token as invalid.
	Key(ctx context.Context, keyID string) (ed25519.PublicKey, error)
}

// Keys is a set of public keys by key id: a KeySource that never changes, and the content of a JWKS document.
type Keys map[string]ed25519.PublicKey

var _ KeySource = Keys(nil)

// Key implements KeySource.
func (k Keys) Key(_ context.Context, keyID string) (ed25519.PublicKey, error) {
	key, ok := k[keyID]
	if !ok {
		return nil, fmt.Errorf("key %q: %w", keyID, ErrUnknownKey)
	}
	return key, nil
}

// KeyID returns a name for a key that follows from it: the start of the JWK thumbprint of RFC 7638.
func KeyID(key ed25519.PublicKey) string {
	thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(key) + `"}`))
	return base64.RawURLEncoding.EncodeToString(thumbprint[:16])
}

// jwk is a public key as RFC 8037 writes it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	KeyID     string `json:"kid"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
}

type jwks struct {
	Keys []jwk `json:"keys"`
}

// EncodeJWKS writes the keys as the JSON Web Key Set for /.well-known/jwks.json, in the order of their ids.
func EncodeJWKS(keys Keys) ([]byte, error) {
	doc := jwks{Keys: []jwk{}}
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		doc.Keys = append(doc.Keys, jwk{
			KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(keys[id]), KeyID: id, Use: "sig",
			Algorithm: "EdDSA",
		})
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return raw, nil
}

// DecodeJWKS reads a JSON Web Key Set. Keys of other kinds or uses are left out, as RFC 7517 asks; a malformed Ed25519
// key fails the whole.
func DecodeJWKS(raw []byte) (Keys, error) {
	var doc jwks
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("decode key set: %w", err)
	}
	keys := make(Keys, len(doc.Keys))
	for _, k := range doc.Keys {
		if k.KeyType != "OKP" || k.Curve != "Ed25519" || (k.Use != "" && k.Use != "sig") || k.KeyID == "" {
			continue
		}
		key, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("decode key set: key %q is malformed", k.KeyID)
		}
		keys[k.KeyID] = key
	}
	return keys, nil
}
