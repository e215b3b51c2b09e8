package authn

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// Issuer and Audience of access tokens.
const (
	Issuer   = "stoa"
	Audience = "stoa"
)

// Reasons of refused tokens.
const (
	ReasonTokenMissing   = "TOKEN_MISSING"
	ReasonTokenInvalid   = "TOKEN_INVALID"
	ReasonTokenExpired   = "TOKEN_EXPIRED"
	ReasonSessionRevoked = "SESSION_REVOKED"
)

// maxToken bounds a token before it is parsed, in bytes. Ours have about 400.
const maxToken = 4096

// maxKeyID bounds the kid of a token, in bytes.
const maxKeyID = 128

// accessClaims is the body of an access token.
type accessClaims struct {
	jwt.RegisteredClaims

	SessionID string `json:"sid"`
	DeviceID  string `json:"did"`
	Role      string `json:"role"`
	Platform  int32  `json:"plt,omitempty"` // a number of stoa.auth.v1.Platform
}

// SignAccessToken signs a token for the user p until p.ExpiresAt. tokenID becomes its jti. It is for the auth service,
// the only one that holds the private key.
func SignAccessToken(keyID string, key ed25519.PrivateKey, p Principal, tokenID string, issuedAt time.Time) (string, error) {
	role, err := roleName(p.Role)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	if p.UserID == "" || p.SessionID == "" || p.DeviceID == "" || p.ExpiresAt.IsZero() || p.IsService() {
		return "", errors.New("sign access token: principal is no complete user session")
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: p.UserID, ID: tokenID,
			IssuedAt: jwt.NewNumericDate(issuedAt), ExpiresAt: jwt.NewNumericDate(p.ExpiresAt),
		},
		SessionID: p.SessionID, DeviceID: p.DeviceID, Role: role, Platform: int32(p.Platform),
	})
	token.Header["kid"] = keyID
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

// Verifier checks access tokens. It knows nothing of revocations.
type Verifier struct {
	keys   KeySource
	now    func() time.Time
	parser *jwt.Parser
	// known are tokens that were checked lately. A signature costs more than the rest of a call, and a client sends the same
	// token for minutes. A token cannot become bad before its end but by its key, which is asked for each time.
	known *lru.Cache[[sha256.Size]byte, knownToken]
}

type knownToken struct {
	principal Principal
	keyID     string
	notBefore time.Time
}

// knownTokens is how many tokens are remembered.
const knownTokens = 20_000

// NewVerifier returns a verifier that finds keys in keys and tells the time by now (time.Now when nil).
func NewVerifier(keys KeySource, now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	known, err := lru.New[[sha256.Size]byte, knownToken](knownTokens)
	if err != nil {
		panic(err) // only a size below 1 is an error
	}
	return &Verifier{keys: keys, now: now, parser: newParser(Issuer, now), known: known}
}

// newParser is strict: EdDSA only, our issuer and audience, and an end that has not passed, without leeway.
func newParser(issuer string, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(Audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)
}

// Verify returns whom an access token stands for. Errors: UNAUTHENTICATED (TOKEN_INVALID, TOKEN_EXPIRED), UNAVAILABLE
// when the keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	if p, ok := v.remembered(ctx, token); ok {
		return p, nil
	}
	var claims accessClaims
	var usedKey string
	if err := parse(v.parser, token, &claims, func(keyID string) (ed25519.PublicKey, error) {
		usedKey = keyID
		return v.keys.Key(ctx, keyID)
	}); err != nil {
		return Principal{}, err
	}
	role, err := parseRole(claims.Role)
	if err != nil {
		return Principal{}, invalidToken(err)
	}
	if claims.Subject == "" || claims.SessionID == "" || claims.DeviceID == "" {
		return Principal{}, invalidToken(errors.New("a claim is missing"))
	}
	p := Principal{
		UserID: claims.Subject, SessionID: claims.SessionID, DeviceID: claims.DeviceID, Role: role,
		Platform: authv1.Platform(claims.Platform), ExpiresAt: claims.ExpiresAt.UTC(),
	}
	t := knownToken{principal: p, keyID: usedKey}
	if claims.NotBefore != nil {
		t.notBefore = claims.NotBefore.Time
	}
	v.known.Add(sha256.Sum256([]byte(token)), t)
	return p, nil
}

// remembered returns whom a token stands for that was checked before and is still good.
func (v *Verifier) remembered(ctx context.Context, token string) (Principal, bool) {
	sum := sha256.Sum256([]byte(token))
	t, ok := v.known.Get(sum)
	if !ok {
		return Principal{}, false
	}
	now := v.now()
	if _, err := v.keys.Key(ctx, t.keyID); err != nil || !now.Before(t.principal.ExpiresAt) || now.Before(t.notBefore) {
		v.known.Remove(sum) // what is wrong with it is found out as if it were new
		return Principal{}, false
	}
	return t.principal, true
}

// parse fills claims from a token whose signature, issuer, audience and times hold.
func parse(
	parser *jwt.Parser, token string, claims jwt.Claims, find func(keyID string) (ed25519.PublicKey, error),
) error {
	if len(token) > maxToken {
		return invalidToken(errors.New("token is too long"))
	}
	_, err := parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		keyID, ok := t.Header["kid"].(string)
		if !ok || keyID == "" || len(keyID) > maxKeyID {
			return nil, errors.New("no key id")
		}
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("critical extensions are not understood") // RFC 7515, section 4.1.11
		}
		return find(keyID)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errKeysUnavailable):
		return errs.Unavailable(errs.ReasonUnavailable, "tokens cannot be checked now").Because(err)
	case onlyExpired(err):
		return errs.Unauthenticated(ReasonTokenExpired, "the access token has expired").Because(err)
	default:
		return invalidToken(err)
	}
}

// onlyExpired reports whether the end of a token is all that is wrong with it.
func onlyExpired(err error) bool {
	return errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenInvalidIssuer) &&
		!errors.Is(err, jwt.ErrTokenInvalidAudience) && !errors.Is(err, jwt.ErrTokenSignatureInvalid) &&
		!errors.Is(err, jwt.ErrTokenNotValidYet)
}

func invalidToken(cause error) error {
	return errs.Unauthenticated(ReasonTokenInvalid, "the access token is not valid").Because(cause)
}
