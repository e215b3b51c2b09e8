package auth

import (
	"context"

	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/predicate"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

// Sizes of pages.
const (
	defaultPage = 20
	largestPage = 100
)

// user returns a user. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) user(ctx context.Context, id string) (User, error) {
	return s.storage.userByID(ctx, s.storage.read, id)
}

// rename gives a user another nickname. Errors: INVALID_ARGUMENT.
func (s *Service) rename(ctx context.Context, id, nickname string) (User, error) {
	nickname, err := checkNickname(nickname)
	if err != nil {
		return User{}, err
	}
	return s.changeUser(ctx, id, func(u *User) error {
		u.Nickname = nickname
		return nil
	})
}

// changeUser changes a user in a transaction and tells the others afterwards. Errors: those of change, NOT_FOUND
// (USER_NOT_FOUND).
func (s *Service) changeUser(ctx context.Context, id string, change func(u *User) error) (User, error) {
	return s.changeUserAndRevoke(ctx, id, "", func(u *User) (bool, error) { return false, change(u) })
}

// changeUserAndRevoke is changeUser that ends all of the user's sessions when change says so, for a cause.
func (s *Service) changeUserAndRevoke(
	ctx context.Context, id, cause string, change func(u *User) (revoke bool, err error),
) (User, error) {
	var (
		user  User
		ended []Revocation
		now   = s.now()
	)
	err := s.storage.tx(ctx, func(tx *entauth.Client) (err error) {
		if user, err = s.storage.userByID(ctx, tx, id); err != nil {
			return err
		}
		revoke, err := change(&user)
		if err != nil {
			return err
		}
		if err := s.storage.updateUser(ctx, tx, user, now); err != nil {
			return err
		}
		if revoke {
			ended, err = s.storage.revoke(ctx, tx, now, session.UserID(id))
		}
		return err
	})
	if err != nil {
		return User{}, err
	}
	s.announceRevoked(ctx, id, cause, ended)
	s.announceChanged(ctx, user)
	return user, nil
}

// signOut ends the caller's session. Ending it twice is no error.
func (s *Service) signOut(ctx context.Context, p authn.Principal) error {
	return s.end(ctx, p.UserID, causeSignedOut, func(tx *entauth.Client) ([]Revocation, error) {
		return s.storage.revoke(ctx, tx, s.now(), session.ID(p.SessionID), session.UserID(p.UserID))
	})
}

// devices lists where a user is signed in, the latest first. Errors: INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) devices(ctx context.Context, userID string, size int, token string) ([]SignedInDevice, string, error) {
	cursor, ok, err := pagination.Decode[deviceCursor](token)
	if err != nil {
		return nil, "", err
	}
	after := &cursor
	if !ok {
		after = nil
	}
	rows, err := s.storage.signedIn(ctx, userID, s.now(), after, size+1)
	if err != nil {
		return nil, "", err
	}
	page, next := pagination.Page(rows, size, func(last placedDevice) deviceCursor { return last.cursor })
	list := make([]SignedInDevice, len(page))
	for i, row := range page {
		list[i] = row.SignedInDevice
	}
	return list, next, nil
}

// revokeDevice signs one of a user's devices out. Errors: NOT_FOUND (DEVICE_NOT_FOUND).
func (s *Service) revokeDevice(ctx context.Context, p authn.Principal, deviceID string) error {
	return s.end(ctx, p.UserID, causeDevice, func(tx *entauth.Client) ([]Revocation, error) {
		ended, err := s.leave(ctx, tx, p.Role, session.UserID(p.UserID), deviceID)
		if err == nil && len(ended) == 0 {
			return nil, errDeviceNotFound()
		}
		return ended, err
	})
}

// leave ends the sessions on a device that match. A device that is not a guest's forgets its user, too: it may be in
// other hands, and shall be no better placed to guess the password than any other.
func (s *Service) leave(
	ctx context.Context, tx *entauth.Client, role authv1.Role, which predicate.Session, deviceID string,
) ([]Revocation, error) {
	ended, err := s.storage.revoke(ctx, tx, s.now(), which, session.DeviceID(deviceID))
	if err != nil || len(ended) == 0 || role == authv1.Role_ROLE_GUEST || deviceID == operatorID {
		return ended, err
	}
	return ended, s.storage.bindDevice(ctx, tx, deviceID, "")
}

// end ends sessions of a user in a transaction and tells the others afterwards.
func (s *Service) end(
	ctx context.Context, userID, cause string, revoke func(tx *entauth.Client) ([]Revocation, error),
) error {
	var ended []Revocation
	err := s.storage.tx(ctx, func(tx *entauth.Client) (err error) {
		ended, err = revoke(tx)
		return err
	})
	if err != nil {
		return err
	}
	s.announceRevoked(ctx, userID, cause, ended)
	return nil
}

// pageSize bounds what a client asks for.
func pageSize(asked int32) int { return pagination.Size(asked, defaultPage, largestPage) }

// maskError is what an update that names no field, or one that cannot be changed, is answered with.
func maskError(path string) *errs.Error {
	return errs.InvalidArgument(errs.ReasonInvalidArgument, "update_mask must name nickname and nothing else").
		With("field", "update_mask").With("path", path)
}
