package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// operatorID is the id of the operator's user and device, and its username.
const operatorID = "operator"

const (
	operatorFile    = "operator.key"
	minOperatorKey  = 32 // characters; what we write has 43
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
	path := filepath.Join(folder, operatorFile)
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the folder
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = writeOperatorKey(folder, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read operator key: %w", err)
	}
	key := strings.TrimSpace(string(raw))
	if len(key) < minOperatorKey {
		return nil, fmt.Errorf("operator key %s has less than %d characters: remove it, and a new one is made", path, minOperatorKey)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("protect operator key: %w", err)
	}
	return hashOf([]byte(key)), nil
}

// writeOperatorKey makes the file in one step, so that a crash leaves no half of it.
func writeOperatorKey(folder, path string) ([]byte, error) {
	file, err := os.CreateTemp(folder, operatorFile+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	key := []byte(base64.RawURLEncoding.EncodeToString(random(32)) + "\n")
	_, err = file.Write(key)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	return key, nil
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
	return s.grant(key, user, one, "", now)
}
