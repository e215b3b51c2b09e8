package admin

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// inspected is how many of each kind are shown with a user.
const inspected = 100

// Inspection is all that the staff see of a user.
type Inspection struct {
	Account  *authv1.Account
	Sessions []*authv1.Session // latest first
	Rooms    []*livev1.ListRoomsResponse_Item
	Mutes    []Mute // newest first
}

// ListUsers pages through users, newest first.
func (s *Service) ListUsers(ctx context.Context, r *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	return s.users.ListUsers(ctx, r)
}

// GetUser asks the neighbours for what they know of a user. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) GetUser(ctx context.Context, userID string) (*Inspection, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	account, err := s.users.GetAccount(ctx, &authv1.GetAccountRequest{UserId: userID})
	if err != nil {
		return nil, err
	}
	sessions, err := s.users.ListSessions(ctx, &authv1.ListSessionsRequest{UserId: userID, PageSize: inspected})
	if err != nil {
		return nil, err
	}
	rooms, err := s.rooms.ListRooms(ctx, &livev1.ListRoomsRequest{OwnerId: userID, PageSize: inspected})
	if err != nil {
		return nil, err
	}
	mutes, _, err := s.ListMutes(ctx, &chatv1.ListMutesRequest{UserId: userID, PageSize: inspected})
	if err != nil {
		return nil, err
	}
	return &Inspection{
		Account: account.GetAccount(), Sessions: sessions.GetSessions(), Rooms: rooms.GetItems(), Mutes: mutes,
	}, nil
}

// RevokeUserDevice signs a user out of one device. Errors: NOT_FOUND (SESSION_NOT_FOUND).
func (s *Service) RevokeUserDevice(ctx context.Context, userID, sessionID string) error {
	entry := Entry{Action: ActionRevokeDevice, TargetID: userID, Detail: "session " + sessionID}
	return s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		_, err := s.users.RevokeSession(ctx, &authv1.RevokeSessionRequest{UserId: userID, SessionId: sessionID})
		return err
	})
}

// BanUser keeps a user from signing in and ends their sessions. Errors: NOT_FOUND (USER_NOT_FOUND), FAILED_PRECONDITION
// (CANNOT_BAN_SELF).
func (s *Service) BanUser(ctx context.Context, userID string, ban *authv1.Ban) (account *authv1.Account, err error) {
	detail := ban.GetReason()
	if ban.GetUntil() != nil {
		detail += " (until " + ban.GetUntil().AsTime().Format(time.RFC3339) + ")"
	}
	entry := Entry{Action: ActionBanUser, TargetID: userID, Detail: detail}
	err = s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		if userID == authn.MustFrom(ctx).UserID {
			return errs.FailedPrecondition(ReasonCannotBanSelf, "you cannot ban yourself")
		}
		res, err := s.users.BanUser(ctx, &authv1.BanUserRequest{UserId: userID, Ban: ban})
		account = res.GetAccount()
		return ruled(err)
	})
	return account, err
}

// UnbanUser lifts a ban; lifting none is no error. Errors: NOT_FOUND (USER_NOT_FOUND).
func (s *Service) UnbanUser(ctx context.Context, userID string) (account *authv1.Account, err error) {
	err = s.act(ctx, Entry{Action: ActionUnbanUser, TargetID: userID}, func(ctx context.Context, _ *Entry) error {
		res, err := s.users.UnbanUser(ctx, &authv1.UnbanUserRequest{UserId: userID})
		account = res.GetAccount()
		return err
	})
	return account, err
}

// SetUserRole makes a user a moderator or an administrator, or no longer one. Errors: NOT_FOUND (USER_NOT_FOUND),
// FAILED_PRECONDITION (USER_IS_GUEST, CANNOT_CHANGE_OWN_ROLE), PERMISSION_DENIED (FORBIDDEN: the operator).
func (s *Service) SetUserRole(ctx context.Context, userID string, role authv1.Role) (account *authv1.Account, err error) {
	entry := Entry{Action: ActionSetUserRole, TargetID: userID, Detail: roleName(role)}
	err = s.act(ctx, entry, func(ctx context.Context, _ *Entry) error {
		// The last administrator would lock everybody out, and a slip of the finger oneself.
		if userID == authn.MustFrom(ctx).UserID {
			return errs.FailedPrecondition(ReasonCannotChangeOwnRole, "you cannot change your own role")
		}
		res, err := s.users.SetRole(ctx, &authv1.SetRoleRequest{UserId: userID, Role: role})
		account = res.GetAccount()
		return ruled(err)
	})
	return account, err
}

// ruled makes the directory's word that nobody changes the operator one to the caller. As it is, it would pass for a
// refusal of this service, which is a fault of the house; such a refusal names a role.
func ruled(err error) error {
	if errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) && errs.Metadata(err)["required_role"] == "" {
		return errs.PermissionDenied(errs.ReasonForbidden, "the operator cannot be changed").Because(err)
	}
	return err
}

// roleName spells a role as the audit log does: "moderator".
func roleName(role authv1.Role) string {
	return strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_"))
}
