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
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// Ways to sign in, for the metrics.
const (
	methodSignUp   = "sign_up"
	methodPassword = "password"
	methodGuest    = "guest"
	methodOperator = "operator"
	methodSetup    = "setup"
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

// newcomer is what a person says to get an account.
type newcomer struct {
	deviceID, username, password string
	nickname                     string // the username when empty
}

// signUp makes a user and signs it in. Errors: those of register, FAILED_PRECONDITION (SIGN_UP_DISABLED), UNAVAILABLE,
// RESOURCE_EXHAUSTED (RATE_LIMITED).
func (s *Service) signUp(ctx context.Context, address string, who newcomer) (Grant, error) {
	if err := s.limitCreation("user", address); err != nil {
		return Grant{}, err
	}
	if err := s.signUpOpen(ctx); err != nil {
		return Grant{}, err
	}
	return s.register(ctx, who, authv1.Role_ROLE_USER, func(context.Context, *entauth.Client) error { return nil })
}

// register makes a user of a role and signs it in, unless allow, in the same transaction, says no. Errors: those of
// allow, INVALID_ARGUMENT, ALREADY_EXISTS (USERNAME_TAKEN), NOT_FOUND (DEVICE_NOT_FOUND), RESOURCE_EXHAUSTED
// (TOO_MANY_ATTEMPTS).
func (s *Service) register(
	ctx context.Context, who newcomer, role authv1.Role, allow func(ctx context.Context, tx *entauth.Client) error,
) (Grant, error) {
	if strings.TrimSpace(who.nickname) == "" {
		who.nickname = who.username
	}
	nickname, err := checkNickname(who.nickname)
	if err != nil {
		return Grant{}, err
	}
	username, err := checkUsername(who.username)
	if err != nil {
		return Grant{}, err
	}
	if _, err := s.storage.deviceByID(ctx, s.storage.read, who.deviceID); err != nil {
		return Grant{}, err
	}
	// Known to be taken costs no hash; the constraint decides.
	if _, taken, err := s.storage.userByName(ctx, s.storage.read, username); err != nil {
		return Grant{}, err
	} else if taken {
		return Grant{}, errUsernameTaken()
	}
	hash, err := s.passwords.hash(ctx, who.password)
	if err != nil {
		return Grant{}, err
	}
	now := s.now()
	user := User{ID: newID(now), Username: username, Nickname: nickname, Role: role, PasswordHash: hash, CreatedAt: now}
	return s.open(ctx, who.deviceID, func(ctx context.Context, tx *entauth.Client, _ Device) (User, error) {
		if err := allow(ctx, tx); err != nil {
			return User{}, err
		}
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
	var user User
	err = s.guess(names, deviceID, address, func() (right bool, err error) {
		if user, _, err = s.storage.userByName(ctx, s.storage.read, username); err != nil {
			return false, err
		}
		return s.passwords.matches(ctx, user.PasswordHash, password)
	}, errWrongCredentials())
	if err != nil {
		return Grant{}, err
	}
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
		compared := user.PasswordHash
		if user, err = s.storage.userByID(ctx, tx, user.ID); err != nil {
			return User{}, err
		}
		if user.PasswordHash != compared { // a password that was just changed opens no session any more
			return User{}, errPasswordMoved()
		}
		if renewed != "" {
			_, err = s.storage.replacePasswordHash(ctx, tx, user.ID, compared, renewed)
		}
		return user, err
	})
}

// guess lets somebody on a device try a password. The attempt counts for each of the names, for the device and for the
// address, before it is made; a right one counts for nothing and lets the names start anew. Errors: wrong, those of
// attempt, which then compared nothing, RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (s *Service) guess(
	names []try, deviceID, address string, attempt func() (right bool, err error), wrong error,
) error {
	counted := append(slices.Clone(names), try{"device " + deviceID, s.config.DeviceAttempts})
	if address != "" {
		counted = append(counted, try{"address " + address, s.config.AddressAttempts})
	}
	if err := s.guesses.take(counted...); err != nil {
		return err
	}
	right, err := attempt()
	if err == nil && !right {
		return wrong
	}
	s.guesses.forgive(counted...)
	if err == nil {
		s.guesses.forget(names...)
	}
	return err
}

// signedInBefore reports whether a user was the last to sign in on a device. Guesses at a password there do not count
// with those made elsewhere, so that strangers do not lock its owner out.
func (s *Service) signedInBefore(ctx context.Context, device Device, username string) (bool, error) {
	if device.UserID == "" {
		return false, nil
	}
	last, err := s.storage.userByID(ctx, s.storage.read, device.UserID)
	return err == nil && last.Username == username, err
}

// changePassword sets a user's password and ends all other sessions of the user. Guesses at the former one count with
// those made at sign-in on the device. Errors: PERMISSION_DENIED (WRONG_PASSWORD), RESOURCE_EXHAUSTED
// (TOO_MANY_ATTEMPTS), UNAVAILABLE.
func (s *Service) changePassword(ctx context.Context, p authn.Principal, address, current, next string) error {
	user, err := s.user(ctx, p.UserID)
	if err != nil {
		return err
	}
	names := []try{{"name " + user.Username + " at " + p.DeviceID, s.config.SignInAttempts}}
	err = s.guess(names, p.DeviceID, address, func() (bool, error) {
		return s.passwords.matches(ctx, user.PasswordHash, current)
	}, errs.PermissionDenied(ReasonWrongPassword, "the current password is wrong"))
	if err != nil {
		return err
	}
	hash, err := s.passwords.hash(ctx, next)
	if err != nil {
		return err
	}
	return s.end(ctx, p.UserID, causePassword, func(tx *entauth.Client) ([]Revocation, error) {
		won, err := s.storage.replacePasswordHash(ctx, tx, user.ID, user.PasswordHash, hash)
		if err != nil {
			return nil, err
		}
		if !won {
			return nil, errPasswordMoved()
		}
		return s.storage.revoke(ctx, tx, s.now(), session.UserID(user.ID), session.IDNEQ(p.SessionID))
	})
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
		id := newID(now)
		if taken, err := s.takeOverGuest(ctx, tx, device, user, now); err != nil {
			return err
		} else if taken != "" {
			id = taken
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
			ID: id, UserID: user.ID, DeviceID: deviceID, FamilyHash: token.familyHash(), TokenHash: token.hash(),
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
	return s.grant(ctx, key, user, one, token.String(), now)
}

// takeOverGuest removes the session of a guest who becomes user on their device, and returns its identifier for the
// session that follows: what the guest has open, such as a running picture, goes on, and ends with the user's session.
// The guest's refresh token is good for nothing from then on, and an access token of theirs stays a guest's. It returns
// "" where there is nothing to take over.
func (s *Service) takeOverGuest(
	ctx context.Context, tx *entauth.Client, device Device, user User, now time.Time,
) (string, error) {
	if device.UserID == "" || device.UserID == user.ID {
		return "", nil
	}
	former, err := s.storage.userByID(ctx, tx, device.UserID)
	if err != nil || former.Role != authv1.Role_ROLE_GUEST || former.BannedAt(now) != nil {
		return "", err
	}
	return s.storage.takeSession(ctx, tx, device.ID, former.ID, now)
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
