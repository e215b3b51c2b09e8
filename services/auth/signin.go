package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

// Ways to sign in, for the metrics.
const (
	methodSignUp   = "sign_up"
	methodPassword = "password"
	methodGuest    = "guest"
	methodOperator = "operator"
	methodRefresh  = "refresh"
)

// registerDevice makes a device. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (s *Service) registerDevice(ctx context.Context, address string, d Device) (Device, error) {
	if err := s.limitCreation("device", address); err != nil {
		return Device{}, err
	}
	d.ID = "dev_" + hex.EncodeToString(random(16))
	return d, s.storage.insertDevice(ctx, d, s.now())
}

// signUp makes a user and signs it in. Errors: INVALID_ARGUMENT, ALREADY_EXISTS (USERNAME_TAKEN), NOT_FOUND
// (DEVICE_NOT_FOUND), RESOURCE_EXHAUSTED (RATE_LIMITED, TOO_MANY_ATTEMPTS).
func (s *Service) signUp(
	ctx context.Context, address, deviceID, username, password, nickname string,
) (Grant, error) {
	if strings.TrimSpace(nickname) == "" {
		nickname = username
	}
	nickname, err := checkNickname(nickname)
	if err != nil {
		return Grant{}, err
	}
	if username, err = checkUsername(username); err != nil {
		return Grant{}, err
	}
	if _, err := s.storage.deviceByID(ctx, s.storage.read, deviceID); err != nil {
		return Grant{}, err
	}
	if err := s.limitCreation("user", address); err != nil {
		return Grant{}, err
	}
	// Known to be taken costs no hash; the constraint decides.
	if _, taken, err := s.storage.userByName(ctx, s.storage.read, username); err != nil {
		return Grant{}, err
	} else if taken {
		return Grant{}, errUsernameTaken()
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	user := User{
		ID: newID(now), Username: username, Nickname: nickname, Role: authv1.Role_ROLE_USER, PasswordHash: hash, CreatedAt: now,
	}
	return s.open(ctx, deviceID, func(ctx context.Context, tx *entauth.Client, _ Device) (User, error) {
		return user, s.storage.insertUser(ctx, tx, user)
	})
}

// signIn signs a user in by password. Errors: NOT_FOUND (DEVICE_NOT_FOUND), UNAUTHENTICATED (WRONG_CREDENTIALS),
// PERMISSION_DENIED (BANNED), RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (s *Service) signIn(ctx context.Context, address, deviceID, username, password string) (Grant, error) {
	username = strings.ToLower(username)
	here := try{"name " + username + " at " + deviceID, s.config.SignInAttempts}
	// A flood is refused before it costs a look at the database.
	if err := s.guesses.check(here); err != nil {
		return Grant{}, err
	}
	device, err := s.storage.deviceByID(ctx, s.storage.read, deviceID)
	if err != nil {
		return Grant{}, err
	}
	names := []try{here}
	if known, err := s.signedInBefore(ctx, device, username); err != nil {
		return Grant{}, err
	} else if !known {
		names = append(names, try{"name " + username, s.config.SignInAttempts})
	}
	counted := append(slices.Clone(names), try{"device " + deviceID, s.config.DeviceAttempts})
	if address != "" {
		counted = append(counted, try{"address " + address, s.config.AddressAttempts})
	}
	if err := s.guesses.take(counted...); err != nil {
		return Grant{}, err
	}
	user, _, err := s.storage.userByName(ctx, s.storage.read, username)
	if err != nil {
		return Grant{}, err
	}
	right, err := s.passwords.matches(ctx, user.PasswordHash, password)
	if err != nil {
		s.guesses.forgive(counted...) // nothing was compared
		return Grant{}, err
	}
	if !right {
		return Grant{}, errWrongCredentials()
	}
	s.guesses.forgive(counted...)
	s.guesses.forget(names...)
	if ban := user.BannedAt(s.now()); ban != nil {
		return Grant{}, errBanned(*ban)
	}
	renewed := ""
	if s.passwords.outdated(user.PasswordHash) {
		if renewed, err = s.passwords.hash(ctx, password); err != nil {
			renewed = "" // the next sign-in will do
		}
	}
	return s.open(ctx, deviceID, func(ctx context.Context, tx *entauth.Client, _ Device) (User, error) {
		if renewed != "" {
			if err := s.storage.renewPasswordHash(ctx, tx, user.ID, user.PasswordHash, renewed); err != nil {
				return User{}, err
			}
		}
		return s.storage.userByID(ctx, tx, user.ID)
	})
}

// signedInBefore reports whether a user was the last to sign in on a device. Guesses at a password there do not count with
// those made elsewhere, so that strangers do not lock its owner out.
func (s *Service) signedInBefore(ctx context.Context, device Device, username string) (bool, error) {
	if device.UserID == "" {
		return false, nil
	}
	last, err := s.storage.userByID(ctx, s.storage.read, device.UserID)
	return err == nil && last.Username == username, err
}

// signInAsGuest signs a device in as the guest that it was, or as a new one. Errors: NOT_FOUND (DEVICE_NOT_FOUND),
// PERMISSION_DENIED (BANNED), RESOURCE_EXHAUSTED (RATE_LIMITED).
func (s *Service) signInAsGuest(ctx context.Context, address, deviceID string) (Grant, error) {
	if err := s.limitCreation("guest", address); err != nil {
		return Grant{}, err
	}
	if _, err := s.storage.deviceByID(ctx, s.storage.read, deviceID); err != nil {
		return Grant{}, err
	}
	return s.open(ctx, deviceID, func(ctx context.Context, tx *entauth.Client, device Device) (User, error) {
		if device.UserID != "" {
			user, err := s.storage.userByID(ctx, tx, device.UserID)
			if err != nil || user.Role == authv1.Role_ROLE_GUEST {
				return user, err
			}
		}
		now := s.now()
		guest := User{
			ID: newID(now), Nickname: "Guest-" + rand.Text()[:4], Role: authv1.Role_ROLE_GUEST, CreatedAt: now,
		}
		return guest, s.storage.insertUser(ctx, tx, guest)
	})
}

// open begins a session on a device for the user that choose returns, in one transaction: the device's former session
// ends with it. Errors: those of choose, NOT_FOUND (DEVICE_NOT_FOUND), PERMISSION_DENIED (BANNED).
func (s *Service) open(
	ctx context.Context, deviceID string,
	choose func(ctx context.Context, tx *entauth.Client, device Device) (User, error),
) (Grant, error) {
	key, err := s.keys.signer(ctx)
	if err != nil {
		return Grant{}, err
	}
	var (
		user      User
		one       Session
		formerly  string
		ended     []Revocation
		now       = s.now()
		token     = newRefreshToken()
		expiresAt = now.Add(s.config.RefreshLifetime)
	)
	err = s.storage.tx(ctx, func(tx *entauth.Client) error {
		device, err := s.storage.deviceByID(ctx, tx, deviceID)
		if err != nil {
			return err
		}
		formerly = device.UserID
		if user, err = choose(ctx, tx, device); err != nil {
			return err
		}
		if ban := user.BannedAt(now); ban != nil {
			return errBanned(*ban)
		}
		if ended, err = s.storage.revoke(ctx, tx, now, session.DeviceID(deviceID)); err != nil {
			return err
		}
		if device.UserID != user.ID {
			if err := s.storage.bindDevice(ctx, tx, deviceID, user.ID); err != nil {
				return err
			}
		}
		one = Session{
			ID: newID(now), UserID: user.ID, DeviceID: deviceID, FamilyHash: token.familyHash(), TokenHash: token.hash(),
			RefreshedAt: now, ExpiresAt: expiresAt,
		}
		if err := s.storage.insertSession(ctx, tx, one); err != nil {
			return err
		}
		return s.storage.seen(ctx, tx, user, now)
	})
	if err != nil {
		return Grant{}, err
	}
	s.announceRevoked(ctx, formerly, causeReplaced, ended)
	return s.grant(key, user, one, token.String(), now)
}

// limitCreation limits what one address makes; what comes from nowhere known is not limited here.
func (s *Service) limitCreation(kind, address string) error {
	if address == "" {
		return nil
	}
	return s.creations.take(kind + " " + address)
}

// newID returns a ULID. Those of one process rise also within a millisecond.
func newID(now time.Time) string { return ulid.MustNewDefault(now).String() }

func random(bytes int) []byte {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return b
}
