package auth

import (
	"context"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
)

// directoryHandler is DirectoryService.
type directoryHandler struct{ s *Service }

var _ authv1connect.DirectoryServiceHandler = directoryHandler{}

// BatchGetUsers implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) BatchGetUsers(
	ctx context.Context, r *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	users, err := h.s.storage.usersByID(ctx, r.GetUserIds())
	if err != nil {
		return nil, err
	}
	res := &authv1.BatchGetUsersResponse{}
	for _, user := range users {
		res.Users = append(res.Users, h.s.userProto(user))
		if user.BannedAt(h.s.now()) != nil {
			res.BannedUserIds = append(res.BannedUserIds, user.ID)
		}
	}
	return res, nil
}

// ListUsers implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) ListUsers(
	ctx context.Context, r *authv1.ListUsersRequest,
) (*authv1.ListUsersResponse, error) {
	page, next, err := h.s.listUsers(ctx, UserFilter{
		Contains: r.GetQuery(), NicknameOnly: r.GetNicknameOnly(), OnlyBanned: r.GetOnlyBanned(), OnlyStaff: r.GetOnlyStaff(),
	}, pageSize(r.GetPageSize()), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &authv1.ListUsersResponse{NextPageToken: next}
	for _, user := range page {
		res.Accounts = append(res.Accounts, h.account(user))
	}
	return res, nil
}

// GetAccount implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) GetAccount(
	ctx context.Context, r *authv1.GetAccountRequest,
) (*authv1.GetAccountResponse, error) {
	user, err := h.s.user(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &authv1.GetAccountResponse{Account: h.account(user)}, nil
}

// ListSessions implements authv1connect.DirectoryServiceHandler. The ids of devices are their owners' secrets.
func (h directoryHandler) ListSessions(
	ctx context.Context, r *authv1.ListSessionsRequest,
) (*authv1.ListSessionsResponse, error) {
	page, next, err := h.s.devices(ctx, r.GetUserId(), pageSize(r.GetPageSize()), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &authv1.ListSessionsResponse{NextPageToken: next}
	for _, d := range page {
		res.Sessions = append(res.Sessions, &authv1.Session{
			Id: d.SessionID, Platform: d.Platform, Model: d.Model, AppVersion: d.AppVersion,
			CreatedAt: timeProto(d.SignedInAt), LastSeenAt: timeProto(d.LastSeenAt),
		})
	}
	return res, nil
}

// RevokeSession implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) RevokeSession(
	ctx context.Context, r *authv1.RevokeSessionRequest,
) (*authv1.RevokeSessionResponse, error) {
	if err := h.s.revokeSession(ctx, r.GetUserId(), r.GetSessionId()); err != nil {
		return nil, err
	}
	return &authv1.RevokeSessionResponse{}, nil
}

// BanUser implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) BanUser(ctx context.Context, r *authv1.BanUserRequest) (*authv1.BanUserResponse, error) {
	ban := Ban{Reason: r.GetBan().GetReason()}
	if until := r.GetBan().GetUntil(); until != nil {
		if err := until.CheckValid(); err != nil {
			return nil, errField("ban.until", "this is no time").Because(err)
		}
		ban.Until = until.AsTime()
	}
	user, err := h.s.ban(ctx, r.GetUserId(), ban)
	if err != nil {
		return nil, err
	}
	return &authv1.BanUserResponse{Account: h.account(user)}, nil
}

// UnbanUser implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) UnbanUser(
	ctx context.Context, r *authv1.UnbanUserRequest,
) (*authv1.UnbanUserResponse, error) {
	user, err := h.s.unban(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &authv1.UnbanUserResponse{Account: h.account(user)}, nil
}

// SetRole implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) SetRole(ctx context.Context, r *authv1.SetRoleRequest) (*authv1.SetRoleResponse, error) {
	user, err := h.s.setRole(ctx, r.GetUserId(), r.GetRole())
	if err != nil {
		return nil, err
	}
	return &authv1.SetRoleResponse{Account: h.account(user)}, nil
}

// ListRevocations implements authv1connect.DirectoryServiceHandler.
func (h directoryHandler) ListRevocations(
	ctx context.Context, r *authv1.ListRevocationsRequest,
) (*authv1.ListRevocationsResponse, error) {
	if err := r.GetSince().CheckValid(); err != nil {
		return nil, errField("since", "this is no time").Because(err)
	}
	list, err := h.s.revocationsSince(ctx, r.GetSince().AsTime())
	if err != nil {
		return nil, err
	}
	return &authv1.ListRevocationsResponse{Revocations: revocationsProto(list)}, nil
}

func (h directoryHandler) account(u User) *authv1.Account {
	account := &authv1.Account{User: h.s.userProto(u)}
	account.Ban = banProto(u.BannedAt(h.s.now()))
	return account
}
