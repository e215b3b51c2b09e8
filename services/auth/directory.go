package auth

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

// userCursor is the place of a user in a list.
type userCursor struct {
	ID string `json:"u"`
}

// listUsers lists the users that a filter asks for, newest first. Errors: INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) listUsers(ctx context.Context, filter UserFilter, size int, token string) ([]User, string, error) {
	cursor, _, err := pagination.Decode[userCursor](token)
	if err != nil {
		return nil, "", err
	}
	rows, err := s.storage.listUsers(ctx, filter, s.now(), cursor.ID, size+1)
	if err != nil {
		return nil, "", err
	}
	page, next := pagination.Page(rows, size, func(last User) userCursor { return userCursor{ID: last.ID} })
	return page, next, nil
}

// ban bans a user and ends every session of it. Banning again replaces the ban. Errors: INVALID_ARGUMENT, NOT_FOUND
// (USER_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN) for the operator.
func (s *Service) ban(ctx context.Context, id string, ban Ban) (User, error) {
	ban.Reason = strings.TrimSpace(ban.Reason)
	if utf8.RuneCountInString(ban.Reason) > maxBanReason {
		return User{}, errField("ban.reason", "a reason has at most 500 characters")
	}
	if !ban.Until.IsZero() {
		// Kept as precise as it is told.
		if ban.Until = ban.Until.UTC().Truncate(time.Second); !ban.Until.After(s.now()) {
			return User{}, errField("ban.until", "a ban ends in the future")
		}
	}
	if err := notOperator(id); err != nil {
		return User{}, err
	}
	return s.changeUserAndRevoke(ctx, id, causeBanned, func(u *User) (bool, error) {
		u.Ban = &ban
		return true, nil
	})
}

// unban lifts a ban; lifting none is no error. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) unban(ctx context.Context, id string) (User, error) {
	return s.changeUser(ctx, id, func(u *User) error {
		u.Ban = nil
		return nil
	})
}

// setRole changes what a user may do. Its sessions end, since their tokens carry the former role. Errors: NOT_FOUND
// (USER_NOT_FOUND), FAILED_PRECONDITION (USER_IS_GUEST), PERMISSION_DENIED (FORBIDDEN) for the operator.
func (s *Service) setRole(ctx context.Context, id string, role authv1.Role) (User, error) {
	if err := notOperator(id); err != nil {
		return User{}, err
	}
	return s.changeUserAndRevoke(ctx, id, causeRole, func(u *User) (bool, error) {
		if u.Role == authv1.Role_ROLE_GUEST {
			return false, errs.FailedPrecondition(ReasonUserIsGuest, "a guest has no other role: it must sign up")
		}
		u.Role = role
		return true, nil
	})
}

// revokeSession signs a user out of one place. Errors: NOT_FOUND (SESSION_NOT_FOUND).
func (s *Service) revokeSession(ctx context.Context, userID, sessionID string) error {
	return s.end(ctx, userID, causeStaff, func(tx *entauth.Client) ([]Revocation, error) {
		user, err := s.storage.userByID(ctx, tx, userID)
		if errs.Reason(err) == ReasonUserNotFound {
			return nil, errSessionNotFound()
		}
		if err != nil {
			return nil, err
		}
		deviceID, ok, err := s.storage.deviceOfSession(ctx, tx, userID, sessionID, s.now())
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errSessionNotFound()
		}
		return s.leave(ctx, tx, user.Role, session.ID(sessionID), deviceID)
	})
}

// revocationsSince lists revocations from a time on whose tokens could still be alive, oldest first.
func (s *Service) revocationsSince(ctx context.Context, since time.Time) ([]Revocation, error) {
	return s.storage.revokedSince(ctx, later(since.UTC(), s.now().Add(-s.config.AccessLifetime)))
}

// notOperator protects the way back in.
func notOperator(id string) error {
	if id == operatorID {
		return errs.PermissionDenied(errs.ReasonForbidden, "the operator cannot be changed")
	}
	return nil
}
