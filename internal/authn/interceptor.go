package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
)

// NewInterceptor returns the interceptor that stands in front of every handler: it reads the bearer token of the
// Authorization header, refuses revoked sessions, asks the policy, and puts the [Principal] into the context.
//
// Errors: UNAUTHENTICATED (TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, SESSION_REVOKED), PERMISSION_DENIED (FORBIDDEN).
// A public RPC goes on without a principal instead. A stream whose session is revoked has its context cancelled with
// SESSION_REVOKED as its cause, can send no more, and ends with that error as soon as its handler returns; unless the
// handler took that over by [EndRevoked].
//
// On clients it does nothing. It must stand inside of the translation of errors.
func NewInterceptor(
	verifier *Verifier, services *ServiceTokens, revocations *Revocations, policy Policy,
) connect.Interceptor {
	return &interceptor{verifier: verifier, services: services, revocations: revocations, policy: policy}
}

type interceptor struct {
	verifier    *Verifier
	services    *ServiceTokens
	revocations *Revocations
	policy      Policy
}

// WrapUnary implements connect.Interceptor.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		p, ok, err := i.admit(ctx, req.Spec().Procedure, req.Header())
		if err != nil {
			return nil, err
		}
		if ok {
			ctx = With(ctx, p)
		}
		return next(ctx, req)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		p, ok, err := i.admit(ctx, conn.Spec().Procedure, conn.RequestHeader())
		if err != nil {
			return err
		}
		if !ok {
			return next(ctx, conn)
		}
		ctx = With(ctx, p)
		if p.IsService() {
			return next(ctx, conn)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		g := &guard{revoked: sessionRevoked(), cancel: cancel}
		ctx = context.WithValue(ctx, guardKey{}, g)
		stop := i.revocations.OnRevoke(p.SessionID, g.end)
		defer stop()
		err = next(ctx, &guardedConn{StreamingHandlerConn: conn, guard: g})
		if g.over.Load() {
			return g.revoked
		}
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// admit decides about a call by its header alone.
func (i *interceptor) admit(ctx context.Context, procedure string, header http.Header) (Principal, bool, error) {
	p, ok, err := i.authenticate(ctx, header)
	if err != nil && i.policy[procedure] != Public {
		if i.policy[procedure] == denied {
			err = i.policy.Authorize(procedure, Principal{}, false)
		}
		return Principal{}, false, err
	}
	if err := i.policy.Authorize(procedure, p, ok); err != nil {
		return Principal{}, false, err
	}
	return p, ok, nil
}

// authenticate returns the caller that a header proves, and false when it does not try to prove one.
func (i *interceptor) authenticate(ctx context.Context, header http.Header) (Principal, bool, error) {
	token, ok, err := bearer(header)
	if err != nil || !ok {
		return Principal{}, false, err
	}
	if p, known := i.verifier.remembered(ctx, token); known { // most calls; whose token it is need not be read again
		if i.revocations.Check(p.SessionID) {
			return Principal{}, false, sessionRevoked()
		}
		return p, true, nil
	}
	if issuerOf(token) == ServiceIssuer {
		p, err := i.services.Verify(token)
		return p, err == nil, err
	}
	p, err := i.verifier.Verify(ctx, token)
	if err != nil {
		return Principal{}, false, err
	}
	if i.revocations.Check(p.SessionID) {
		return Principal{}, false, sessionRevoked()
	}
	return p, true, nil
}

// bearer reads the token of RFC 6750, section 2.1. Two headers are as bad as a malformed one.
func bearer(header http.Header) (token string, ok bool, err error) {
	values := header.Values("Authorization")
	if len(values) == 0 || (len(values) == 1 && values[0] == "") {
		return "", false, nil
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if len(values) > 1 || !found || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false, errs.Unauthenticated(ReasonTokenInvalid, "the Authorization header holds no bearer token")
	}
	return token, true, nil
}

// issuerOf peeks at the issuer of a token that is not checked yet, only to choose who checks it.
func issuerOf(token string) string {
	if len(token) > maxToken {
		return ""
	}
	_, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

func sessionRevoked() *errs.Error {
	return errs.Unauthenticated(ReasonSessionRevoked, "this session was signed out")
}

// guard ends one stream when its session is revoked.
type guard struct {
	revoked *errs.Error
	cancel  context.CancelCauseFunc
	over    atomic.Bool // nothing goes through any longer

	mu    sync.Mutex
	taken bool // the handler ends the stream by itself
}

type guardKey struct{}

func (g *guard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.taken {
		g.over.Store(true)
		g.cancel(g.revoked)
	}
}

// EndRevoked says that the handler of a stream ends it by itself when its session is revoked, to say goodbye before: its
// context is not cancelled for that, and what it sends goes through. It returns false when the session was revoked before,
// and the stream has ended.
func EndRevoked(ctx context.Context) bool {
	g, ok := ctx.Value(guardKey{}).(*guard)
	if !ok { // nobody would end it
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = !g.over.Load()
	return g.taken
}

// guardedConn lets nothing more through once its guard says so.
type guardedConn struct {
	connect.StreamingHandlerConn

	guard *guard
}

func (c *guardedConn) Send(msg any) error {
	if c.guard.over.Load() {
		return c.guard.revoked
	}
	return c.StreamingHandlerConn.Send(msg)
}

func (c *guardedConn) Receive(msg any) error {
	if c.guard.over.Load() {
		return c.guard.revoked
	}
	return c.StreamingHandlerConn.Receive(msg)
}
