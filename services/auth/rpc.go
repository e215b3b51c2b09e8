package auth

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/authn"
)

// authHandler is AuthService.
type authHandler struct {
	authv1connect.UnimplementedAuthServiceHandler

	s *Service
}

var _ authv1connect.AuthServiceHandler = authHandler{}

// address is where the caller of a handler is, "" if unknown.
func (h authHandler) address(ctx context.Context) string {
	return clientAddress(ctx, h.s.config.TrustClientAddress)
}

// RegisterDevice implements authv1connect.AuthServiceHandler.
func (h authHandler) RegisterDevice(
	ctx context.Context, r *authv1.RegisterDeviceRequest,
) (*authv1.RegisterDeviceResponse, error) {
	device, err := h.s.registerDevice(ctx, h.address(ctx), Device{
		Platform: r.GetPlatform(), Model: r.GetModel(), AppVersion: r.GetAppVersion(),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.RegisterDeviceResponse{DeviceId: device.ID}, nil
}

// SignUp implements authv1connect.AuthServiceHandler.
func (h authHandler) SignUp(ctx context.Context, r *authv1.SignUpRequest) (*authv1.SignUpResponse, error) {
	g, err := h.s.signUp(ctx, h.address(ctx), r.GetDeviceId(), r.GetUsername(), r.GetPassword(), r.GetNickname())
	h.s.metrics.signedIn(methodSignUp, err)
	if err != nil {
		return nil, err
	}
	return &authv1.SignUpResponse{
		User: userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// SignIn implements authv1connect.AuthServiceHandler.
func (h authHandler) SignIn(ctx context.Context, r *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	g, err := h.s.signIn(ctx, h.address(ctx), r.GetDeviceId(), r.GetUsername(), r.GetPassword())
	h.s.metrics.signedIn(methodPassword, err)
	if err != nil {
		return nil, err
	}
	return &authv1.SignInResponse{
		User: userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// SignInAsGuest implements authv1connect.AuthServiceHandler.
func (h authHandler) SignInAsGuest(
	ctx context.Context, r *authv1.SignInAsGuestRequest,
) (*authv1.SignInAsGuestResponse, error) {
	g, err := h.s.signInAsGuest(ctx, h.address(ctx), r.GetDeviceId())
	h.s.metrics.signedIn(methodGuest, err)
	if err != nil {
		return nil, err
	}
	return &authv1.SignInAsGuestResponse{
		User: userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// SignInAsOperator implements authv1connect.AuthServiceHandler.
func (h authHandler) SignInAsOperator(
	ctx context.Context, r *authv1.SignInAsOperatorRequest,
) (*authv1.SignInAsOperatorResponse, error) {
	g, err := h.s.signInAsOperator(ctx, h.address(ctx), r.GetOperatorKey())
	h.s.metrics.signedIn(methodOperator, err)
	if err != nil {
		return nil, err
	}
	return &authv1.SignInAsOperatorResponse{
		User: userProto(g.User), AccessToken: g.AccessToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// RefreshToken implements authv1connect.AuthServiceHandler.
func (h authHandler) RefreshToken(
	ctx context.Context, r *authv1.RefreshTokenRequest,
) (*authv1.RefreshTokenResponse, error) {
	g, err := h.s.refresh(ctx, r.GetRefreshToken())
	h.s.metrics.signedIn(methodRefresh, err)
	if err != nil {
		return nil, err
	}
	return &authv1.RefreshTokenResponse{
		User: userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// SignOut implements authv1connect.AuthServiceHandler.
func (h authHandler) SignOut(ctx context.Context, _ *authv1.SignOutRequest) (*authv1.SignOutResponse, error) {
	if err := h.s.signOut(ctx, authn.MustFrom(ctx)); err != nil {
		return nil, err
	}
	return &authv1.SignOutResponse{}, nil
}

// GetMe implements authv1connect.AuthServiceHandler.
func (h authHandler) GetMe(ctx context.Context, _ *authv1.GetMeRequest) (*authv1.GetMeResponse, error) {
	user, err := h.s.user(ctx, authn.MustFrom(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &authv1.GetMeResponse{User: userProto(user)}, nil
}

// UpdateProfile implements authv1connect.AuthServiceHandler.
func (h authHandler) UpdateProfile(
	ctx context.Context, r *authv1.UpdateProfileRequest,
) (*authv1.UpdateProfileResponse, error) {
	if len(r.GetUpdateMask().GetPaths()) == 0 {
		return nil, maskError("")
	}
	var change profile
	for _, path := range r.GetUpdateMask().GetPaths() {
		switch path {
		case "nickname":
			change.nickname = &r.Nickname
		default:
			return nil, maskError(path)
		}
	}
	user, err := h.s.updateProfile(ctx, authn.MustFrom(ctx).UserID, change)
	if err != nil {
		return nil, err
	}
	return &authv1.UpdateProfileResponse{User: userProto(user)}, nil
}

// ListDevices implements authv1connect.AuthServiceHandler.
func (h authHandler) ListDevices(
	ctx context.Context, r *authv1.ListDevicesRequest,
) (*authv1.ListDevicesResponse, error) {
	p := authn.MustFrom(ctx)
	page, next, err := h.s.devices(ctx, p.UserID, pageSize(r.GetPageSize()), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &authv1.ListDevicesResponse{NextPageToken: next}
	for _, d := range page {
		res.Devices = append(res.Devices, &authv1.Device{
			Id: d.ID, Platform: d.Platform, Model: d.Model, AppVersion: d.AppVersion, LastSeenAt: timeProto(d.LastSeenAt),
			Current: d.ID == p.DeviceID,
		})
	}
	return res, nil
}

// RevokeDevice implements authv1connect.AuthServiceHandler.
func (h authHandler) RevokeDevice(
	ctx context.Context, r *authv1.RevokeDeviceRequest,
) (*authv1.RevokeDeviceResponse, error) {
	if err := h.s.revokeDevice(ctx, authn.MustFrom(ctx), r.GetDeviceId()); err != nil {
		return nil, err
	}
	return &authv1.RevokeDeviceResponse{}, nil
}

// directoryHandler is DirectoryService.
type directoryHandler struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	s *Service
}

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
		res.Users = append(res.Users, userProto(user))
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
	page, next, err := h.s.listUsers(ctx, r.GetQuery(), r.GetOnlyBanned(), pageSize(r.GetPageSize()), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &authv1.ListUsersResponse{NextPageToken: next}
	for _, user := range page {
		res.Accounts = append(res.Accounts, h.account(user))
	}
	return res, nil
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
	account := &authv1.Account{User: userProto(u)}
	account.Ban = banProto(u.BannedAt(h.s.now()))
	return account
}

func userProto(u User) *authv1.User {
	return &authv1.User{
		Id: u.ID, Username: u.Username, Nickname: u.Nickname, AvatarUrl: u.AvatarURL, Role: u.Role,
		CreatedAt: timeProto(u.CreatedAt),
	}
}

func revocationsProto(list []Revocation) []*authv1.Revocation {
	out := make([]*authv1.Revocation, len(list))
	for i, r := range list {
		out[i] = &authv1.Revocation{SessionId: r.SessionID, RevokedAt: timeProto(r.RevokedAt)}
	}
	return out
}

func timeProto(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// banProto returns nil for no ban.
func banProto(ban *Ban) *authv1.Ban {
	if ban == nil {
		return nil
	}
	out := &authv1.Ban{Reason: ban.Reason}
	if !ban.Until.IsZero() {
		out.Until = timestamppb.New(ban.Until)
	}
	return out
}
