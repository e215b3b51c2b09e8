// Package authn knows who calls and what they may do.
//
// People carry access tokens: short-lived EdDSA-signed JWTs that the auth service issues and that every service checks by
// itself against the published keys ([Verifier]). Services carry tokens of their own ([ServiceTokens]). A session that
// was revoked is refused at once and its open streams end ([Revocations]). What each RPC asks of its caller stands in one
// table ([Table]). [NewInterceptor] puts these together in front of every handler.
//
// What must never happen here: a token taken from anywhere but the Authorization header, an algorithm or key that the
// token itself chooses, or a procedure that is open because nobody listed it.
package authn

import (
	"context"
	"fmt"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

// Principal is a caller whose token was checked: a user's session or a service, never both.
type Principal struct {
	// UserID, SessionID and DeviceID are set for users.
	UserID    string
	SessionID string
	DeviceID  string
	// Platform is the kind of software of the user's device; unspecified in tokens that older versions signed.
	Platform authv1.Platform
	// Role is set for users: guest, user, moderator or admin.
	Role authv1.Role
	// Service is the caller's name when it is a service, such as "live".
	Service string
	// ExpiresAt is when the token ends, UTC.
	ExpiresAt time.Time
}

// IsService reports whether the caller is a service.
func (p Principal) IsService() bool { return p.Service != "" }

// IsStaff reports whether the caller is a moderator or an administrator.
func (p Principal) IsStaff() bool { return p.Role >= authv1.Role_ROLE_MODERATOR }

// IsAdmin reports whether the caller is an administrator.
func (p Principal) IsAdmin() bool { return p.Role == authv1.Role_ROLE_ADMIN }

type principalKey struct{}

// With returns a context of a call by p.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns who calls. It is false for anonymous calls, which only public RPCs see.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// MustFrom returns who calls, in handlers whose RPC the table does not make public. Without a principal it panics, since
// the interceptor is missing then.
func MustFrom(ctx context.Context) Principal {
	p, ok := From(ctx)
	if !ok {
		panic("authn: no principal in context: is the interceptor installed, and the RPC not public?")
	}
	return p
}

// Roles as tokens and error metadata spell them.
const (
	roleGuest     = "guest"
	roleUser      = "user"
	roleModerator = "moderator"
	roleAdmin     = "admin"
)

func roleName(r authv1.Role) (string, error) {
	switch r {
	case authv1.Role_ROLE_GUEST:
		return roleGuest, nil
	case authv1.Role_ROLE_USER:
		return roleUser, nil
	case authv1.Role_ROLE_MODERATOR:
		return roleModerator, nil
	case authv1.Role_ROLE_ADMIN:
		return roleAdmin, nil
	default:
		return "", fmt.Errorf("no such role: %v", r)
	}
}

func parseRole(name string) (authv1.Role, error) {
	switch name {
	case roleGuest:
		return authv1.Role_ROLE_GUEST, nil
	case roleUser:
		return authv1.Role_ROLE_USER, nil
	case roleModerator:
		return authv1.Role_ROLE_MODERATOR, nil
	case roleAdmin:
		return authv1.Role_ROLE_ADMIN, nil
	default:
		return 0, fmt.Errorf("no such role: %q", name)
	}
}
