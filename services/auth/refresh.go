package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// Parts of a refresh token, in bytes.
const (
	familyBytes = 16
	secretBytes = 32
)

// refreshToken is a family, which all tokens of a session share, and a secret, which is this token's own. Whoever shows
// a known family with another secret than the latest has used a token twice, or retries with the former one; so no list
// of used tokens is needed. Both are random, and the database holds only their hashes.
type refreshToken struct {
	family [familyBytes]byte
	secret [secretBytes]byte
}

func newRefreshToken() (t refreshToken) {
	copy(t.family[:], random(familyBytes))
	copy(t.secret[:], random(secretBytes))
	return t
}

func parseRefreshToken(text string) (t refreshToken, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != familyBytes+secretBytes {
		return t, false
	}
	copy(t.family[:], raw)
	copy(t.secret[:], raw[familyBytes:])
	return t, true
}

// next is another token of the same family.
func (t refreshToken) next() refreshToken {
	copy(t.secret[:], random(secretBytes))
	return t
}

// String is the token as the client keeps it.
func (t refreshToken) String() string {
	return base64.RawURLEncoding.EncodeToString(append(t.family[:], t.secret[:]...))
}

func (t refreshToken) familyHash() []byte { return hashOf(t.family[:]) }

func (t refreshToken) hash() []byte { return hashOf(t.secret[:]) }

func hashOf(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}

// refresh exchanges a refresh token. Several exchanges of one token within the grace are retries of the first: each is
// answered, and the last answer is the one that counts. Errors: UNAUTHENTICATED (REFRESH_TOKEN_INVALID,
// REFRESH_TOKEN_REUSED), PERMISSION_DENIED (BANNED).
func (s *Service) refresh(ctx context.Context, text string) (Grant, error) {
	token, ok := parseRefreshToken(text)
	if !ok {
		return Grant{}, errTokenInvalid()
	}
	// What was made up does not get as far as the write connection.
	if _, known, err := s.storage.sessionByFamily(ctx, s.storage.read, token.familyHash()); err != nil {
		return Grant{}, err
	} else if !known {
		return Grant{}, errTokenInvalid()
	}
	key, err := s.keys.signer(ctx)
	if err != nil {
		return Grant{}, err
	}
	var (
		user    User
		one     Session
		refused *errs.Error // what is answered although the transaction commits
		ended   []Revocation
		cause   string
		now     = s.now()
		fresh   = token.next()
	)
	err = s.storage.tx(ctx, func(tx *entauth.Client) (err error) {
		one, ok, err = s.storage.sessionByFamily(ctx, tx, token.familyHash())
		if err != nil {
			return err
		}
		if !ok {
			return errTokenInvalid()
		}
		if user, err = s.storage.userByID(ctx, tx, one.UserID); err != nil {
			return err
		}
		if refused, cause = s.judge(one, user, token, now); refused != nil {
			if cause == "" {
				return refused
			}
			ended, err = s.storage.revoke(ctx, tx, now, session.ID(one.ID))
			return err
		}
		moved := one
		moved.TokenHash, moved.RefreshedAt, moved.ExpiresAt = fresh.hash(), now, now.Add(s.config.RefreshLifetime)
		if one.latest(token) { // a retry has the same former token as the first try, and its time
			moved.FormerHash, moved.ReplacedAt = one.TokenHash, now
		}
		won, err := s.storage.rotate(ctx, tx, moved, one.TokenHash)
		if err != nil {
			return err
		}
		if !won { // another process was between the two statements: it decides what the client's next try is
			return errs.Unavailable(errs.ReasonUnavailable, "the session changed meanwhile: try again")
		}
		return s.storage.seen(ctx, tx, user, now)
	})
	if err != nil {
		return Grant{}, err
	}
	if refused != nil {
		s.announceRevoked(ctx, one.UserID, cause, ended)
		if cause == causeReused && len(ended) > 0 {
			s.logger.WarnContext(ctx, "a refresh token was used twice: its session has ended",
				"user_id", one.UserID, "session_id", one.ID)
		}
		return Grant{}, refused
	}
	return s.grant(ctx, key, user, one, fresh.String(), now)
}

// judge says why a token is refused, nil if it is not, and for which cause its session has to end, "" if it has not.
func (s *Service) judge(one Session, user User, token refreshToken, now time.Time) (*errs.Error, string) {
	ban := user.BannedAt(now)
	switch {
	case !one.latest(token) && !one.retried(token, now, s.config.RefreshGrace):
		return errTokenReused(), causeReused
	case ban != nil:
		return errBanned(*ban), causeBanned
	case !one.RevokedAt.IsZero(), !now.Before(one.ExpiresAt):
		return errTokenInvalid(), ""
	}
	return nil, ""
}

// latest reports whether a token is the one that is good now. Both are hashes of secrets, so how long the comparison
// takes tells nothing.
func (one Session) latest(token refreshToken) bool { return bytes.Equal(one.TokenHash, token.hash()) }

// retried reports whether a token is the one before the latest, shown again within the grace. That the latest was not
// used needs no look: its use makes it the former one.
func (one Session) retried(token refreshToken, now time.Time, grace time.Duration) bool {
	return bytes.Equal(one.FormerHash, token.hash()) && now.Before(one.ReplacedAt.Add(grace))
}

// grant signs an access token for a session.
func (s *Service) grant(ctx context.Context, key signingKey, user User, one Session, refreshToken string, now time.Time) (Grant, error) {
	platform, err := s.storage.platformOf(ctx, one.DeviceID)
	if err != nil {
		return Grant{}, err
	}
	expiresAt := now.Add(s.config.AccessLifetime).Truncate(time.Second) // as precise as a token is
	access, err := authn.SignAccessToken(key.id, key.private, authn.Principal{
		UserID: user.ID, SessionID: one.ID, DeviceID: one.DeviceID, Role: user.Role, Platform: platform,
		ExpiresAt: expiresAt,
	}, rand.Text(), now)
	if err != nil {
		return Grant{}, fmt.Errorf("grant access: %w", err)
	}
	return Grant{User: user, AccessToken: access, RefreshToken: refreshToken, ExpiresAt: expiresAt}, nil
}
