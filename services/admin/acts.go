package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// ListUsers pages through users, newest first.
func (s *Service) ListUsers(ctx context.Context, r *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	return s.users.ListUsers(ctx, r)
}

// BanUser keeps a user from signing in and ends their sessions. Errors: NOT_FOUND (USER_NOT_FOUND), FAILED_PRECONDITION
// (CANNOT_BAN_SELF).
func (s *Service) BanUser(ctx context.Context, userID string, ban *authv1.Ban) (account *authv1.Account, err error) {
	detail := ban.GetReason()
	if ban.GetUntil() != nil {
		detail += " (until " + ban.GetUntil().AsTime().Format(time.RFC3339) + ")"
	}
	err = s.act(ctx, ActionBanUser, userID, detail, func(ctx context.Context) error {
		if userID == authn.MustFrom(ctx).UserID {
			return errs.FailedPrecondition(ReasonCannotBanSelf, "you cannot ban yourself")
		}
		res, err := s.users.BanUser(ctx, &authv1.BanUserRequest{UserId: userID, Ban: ban})
		account = res.GetAccount()
		return err
	})
	return account, err
}

// UnbanUser lifts a ban; lifting none is no error. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) UnbanUser(ctx context.Context, userID string) (account *authv1.Account, err error) {
	err = s.act(ctx, ActionUnbanUser, userID, "", func(ctx context.Context) error {
		res, err := s.users.UnbanUser(ctx, &authv1.UnbanUserRequest{UserId: userID})
		account = res.GetAccount()
		return err
	})
	return account, err
}

// SetUserRole makes a user an administrator, or no longer one. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) SetUserRole(
	ctx context.Context, userID string, role authv1.Role,
) (account *authv1.Account, err error) {
	detail := strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_"))
	err = s.act(ctx, ActionSetUserRole, userID, detail, func(ctx context.Context) error {
		res, err := s.users.SetRole(ctx, &authv1.SetRoleRequest{UserId: userID, Role: role})
		account = res.GetAccount()
		return err
	})
	return account, err
}

// ListRooms pages through rooms in the order of LiveService.ListRooms.
func (s *Service) ListRooms(ctx context.Context, r *livev1.ListRoomsRequest) (*livev1.ListRoomsResponse, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	return s.rooms.ListRooms(ctx, r)
}

// EndBroadcast ends a room's broadcast, whoever owns the room. Errors: NOT_FOUND (ROOM_NOT_FOUND), FAILED_PRECONDITION
// (NOT_LIVE).
func (s *Service) EndBroadcast(
	ctx context.Context, roomID, reason string,
) (broadcast *livev1.Broadcast, err error) {
	err = s.act(ctx, ActionEndBroadcast, roomID, reason, func(ctx context.Context) error {
		res, err := s.live.StopBroadcast(ctx, &livev1.StopBroadcastRequest{RoomId: roomID})
		broadcast = res.GetBroadcast()
		return err
	})
	return broadcast, err
}

// ListAuditEntries returns up to limit entries, newest first, that are older than the entry before ("" for the newest).
func (s *Service) ListAuditEntries(ctx context.Context, filter Filter, before string, limit int) ([]Entry, error) {
	entries, err := s.store.list(ctx, filter, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return entries, nil
}
