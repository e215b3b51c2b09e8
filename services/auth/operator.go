package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/secret"
)

// operatorID is the id of the operator's user and device, and its username.
const operatorID = "operator"

const (
	operatorFile    = "operator.key"
	operatorGuesses = 10
)

// operatorKey is the hash of what the file operator.key holds.
type operatorKey []byte

// openOperatorKey reads the key in the data folder, or writes one that only the owner of the process can read. Who
// replaces the file changes the key at the next start.
func openOperatorKey(folder string) (operatorKey, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	key, err := secret.File(filepath.Join(folder, operatorFile))
	if err != nil {
		return nil, fmt.Errorf("open operator key: %w", err)
	}
	return hashOf([]byte(key)), nil
}

// signInAsOperator signs in whoever knows the operator key, as an administrator without a refresh token. Errors:
// UNAUTHENTICATED (WRONG_CREDENTIALS), RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
//
// Only wrong keys are counted and made to wait: 256 bits are not guessed, and strangers must not lock the operator out.
func (s *Service) signInAsOperator(ctx context.Context, address, presented string) (Grant, error) {
	if subtle.ConstantTimeCompare(hashOf([]byte(strings.TrimSpace(presented))), s.operator) != 1 {
		if err := s.guesses.take(try{"operator " + address, operatorGuesses}); err != nil {
			return Grant{}, err
		}
		return Grant{}, errs.Unauthenticated(ReasonWrongCredentials, "the operator key is wrong")
	}
	key, err := s.keys.signer(ctx)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	one := Session{
		ID: newID(now), UserID: operatorID, DeviceID: operatorID, RefreshedAt: now, ExpiresAt: now.Add(s.config.AccessLifetime),
	}
	var user User
	err = s.storage.tx(ctx, func(tx *entauth.Client) (err error) {
		user, err = s.storage.userByID(ctx, tx, operatorID)
		if errs.Reason(err) == ReasonUserNotFound {
			user = User{
				ID: operatorID, Username: operatorID, Nickname: "Operator", Role: authv1.Role_ROLE_ADMIN, CreatedAt: now,
			}
			err = s.storage.insertUser(ctx, tx, user)
		}
		if err != nil {
			return err
		}
		return s.storage.insertSession(ctx, tx, one)
	})
	if err != nil {
		return Grant{}, err
	}
	s.logger.InfoContext(ctx, "the operator signed in", "session_id", one.ID, "address", address)
	return s.grant(ctx, key, user, one, "", now)
}
