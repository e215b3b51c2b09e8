package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"
)

// ServiceIssuer is the issuer of service tokens, which tells them from access tokens.
const ServiceIssuer = "stoa-service"

// Lifetimes of service tokens: one is used until half of it has passed, so that clocks may differ by the other half.
const (
	serviceTokenLifetime = 60 * time.Second
	serviceTokenReuse    = 30 * time.Second
)

// ServiceTokens signs and checks the tokens by which services prove to each other that they are part of this house. All
// processes of a house share one key.
type ServiceTokens struct {
	key    ed25519.PrivateKey
	keyID  string
	now    func() time.Time
	parser *jwt.Parser

	mu     sync.Mutex
	signed map[string]signedToken // by service name
}

type signedToken struct {
	token string
	until time.Time // sign a new one from then on
}

// NewServiceTokens returns the tokens of a key from ParseServiceKey or NewServiceKey. now is time.Now when nil.
func NewServiceTokens(key ed25519.PrivateKey, now func() time.Time) *ServiceTokens {
	if now == nil {
		now = time.Now
	}
	return &ServiceTokens{
		key: key, keyID: KeyID(publicOf(key)), now: now, parser: newParser(ServiceIssuer, now),
		signed: make(map[string]signedToken),
	}
}

// NewServiceKey makes a key for a house that is one process.
func NewServiceKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make service key: %w", err)
	}
	return key, nil
}

// ParseServiceKey reads a key that all processes of a mesh share: 32 random bytes in base64, with or without padding.
func ParseServiceKey(encoded string) (ed25519.PrivateKey, error) {
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		if seed, err := encoding.DecodeString(encoded); err == nil && len(seed) == ed25519.SeedSize {
			return ed25519.NewKeyFromSeed(seed), nil
		}
	}
	return nil, fmt.Errorf("service key: want %d bytes in base64", ed25519.SeedSize) // never show what it was
}

// Token returns a token of the named service that is good for at least 30 seconds.
func (s *ServiceTokens) Token(service string) (string, error) {
	if service == "" {
		return "", errors.New("sign service token: no name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if t, ok := s.signed[service]; ok && now.Before(t.until) {
		return t.token, nil
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer: ServiceIssuer, Audience: jwt.ClaimStrings{Audience}, Subject: service,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(serviceTokenLifetime)),
	})
	token.Header["kid"] = s.keyID
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign service token: %w", err)
	}
	s.signed[service] = signedToken{token: signed, until: now.Add(serviceTokenReuse)}
	return signed, nil
}

// Verify returns the service that a token stands for. Errors: UNAUTHENTICATED (TOKEN_INVALID, TOKEN_EXPIRED).
func (s *ServiceTokens) Verify(token string) (Principal, error) {
	var claims jwt.RegisteredClaims
	if err := parse(s.parser, token, &claims, func(keyID string) (ed25519.PublicKey, error) {
		if keyID != s.keyID {
			return nil, fmt.Errorf("key %q: %w", keyID, ErrUnknownKey)
		}
		return publicOf(s.key), nil
	}); err != nil {
		return Principal{}, err
	}
	if claims.Subject == "" {
		return Principal{}, invalidToken(errors.New("a claim is missing"))
	}
	return Principal{Service: claims.Subject, ExpiresAt: claims.ExpiresAt.UTC()}, nil
}

// ClientInterceptor returns the interceptor by which the named service calls its neighbours as itself. A call that
// brings an Authorization header of its own keeps it.
func (s *ServiceTokens) ClientInterceptor(service string) connect.Interceptor {
	return &serviceIdentity{tokens: s, service: service}
}

type serviceIdentity struct {
	tokens  *ServiceTokens
	service string
}

// WrapUnary implements connect.Interceptor.
func (i *serviceIdentity) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient && req.Header().Get("Authorization") == "" {
			token, err := i.tokens.Token(i.service)
			if err != nil {
				return nil, err
			}
			req.Header().Set("Authorization", "Bearer "+token)
		}
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i *serviceIdentity) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		if conn.RequestHeader().Get("Authorization") == "" {
			// Signing fails only without a name; the call is refused as anonymous then.
			if token, err := i.tokens.Token(i.service); err == nil {
				conn.RequestHeader().Set("Authorization", "Bearer "+token)
			}
		}
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i *serviceIdentity) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(key[ed25519.SeedSize:])
}
