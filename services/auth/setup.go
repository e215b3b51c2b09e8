package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"sync"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	setupTokenBytes = 32
	setupGuesses    = 10
)

// setup is the way to the first administrator: a token that whoever starts the process is shown, and that is good once.
// It is kept in memory only, so each start makes another one.
type setup struct {
	mu    sync.Mutex
	token string // empty when there is none, or no more
}

func newSetup() *setup {
	return &setup{token: base64.RawURLEncoding.EncodeToString(random(setupTokenBytes))}
}

// is compares in constant time; nothing is the empty token.
func (s *setup) is(presented string) bool {
	token := s.get()
	return subtle.ConstantTimeCompare(hashOf([]byte(presented)), hashOf([]byte(token))) == 1 && token != ""
}

func (s *setup) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

func (s *setup) use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = ""
}

// SetupToken returns what makes the first administrator, "" if there was one at the start or has been made since. It
// must not be logged, nor sent anywhere but to who started the process.
func (s *Service) SetupToken() string { return s.setup.get() }

// createFirstAdmin makes a user an administrator and signs it in, if there is no other one. Errors: PERMISSION_DENIED
// (SETUP_TOKEN_INVALID), FAILED_PRECONDITION (SETUP_DONE), and those of register but SIGN_UP_DISABLED.
func (s *Service) createFirstAdmin(ctx context.Context, address, token string, who newcomer) (Grant, error) {
	if err := s.noAdmin(ctx, s.storage.read); err != nil {
		return Grant{}, err
	}
	// Only wrong ones are counted: 256 bits are not guessed, and strangers must not lock the owner out.
	if !s.setup.is(token) {
		if err := s.guesses.take(try{"setup " + address, setupGuesses}); err != nil {
			return Grant{}, err
		}
		return Grant{}, errs.PermissionDenied(ReasonSetupTokenInvalid, "the setup link is not the one of the last start")
	}
	grant, err := s.register(ctx, who, authv1.Role_ROLE_ADMIN, func(ctx context.Context, tx *entauth.Client) error {
		return s.noAdmin(ctx, tx) // again: of two at once, one is the first
	})
	if err != nil {
		return Grant{}, err
	}
	s.setup.use()
	s.logger.InfoContext(ctx, "the first administrator was made", "user_id", grant.User.ID, "address", address)
	return grant, nil
}

// noAdmin refuses when there is an administrator. Errors: FAILED_PRECONDITION (SETUP_DONE).
func (s *Service) noAdmin(ctx context.Context, c *entauth.Client) error {
	done, err := s.storage.hasAdmin(ctx, c)
	if err == nil && done {
		return errs.FailedPrecondition(ReasonSetupDone, "there is an administrator already: sign in")
	}
	return err
}
