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
type authHandler struct{ s *Service }

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
	g, err := h.s.signUp(ctx, h.address(ctx), newcomer{
		deviceID: r.GetDeviceId(), username: r.GetUsername(), password: r.GetPassword(), nickname: r.GetNickname(),
	})
	h.s.metrics.signedIn(methodSignUp, err)
	if err != nil {
		return nil, err
	}
	return &authv1.SignUpResponse{
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
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
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
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
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
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
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, ExpiresAt: timeProto(g.ExpiresAt),
	}, nil
}

// GetSetup implements authv1connect.AuthServiceHandler.
func (h authHandler) GetSetup(ctx context.Context, _ *authv1.GetSetupRequest) (*authv1.GetSetupResponse, error) {
	done, err := h.s.storage.hasAdmin(ctx, h.s.storage.read)
	if err != nil {
		return nil, err
	}
	return &authv1.GetSetupResponse{Needed: !done}, nil
}

// CreateFirstAdmin implements authv1connect.AuthServiceHandler.
func (h authHandler) CreateFirstAdmin(
	ctx context.Context, r *authv1.CreateFirstAdminRequest,
) (*authv1.CreateFirstAdminResponse, error) {
	g, err := h.s.createFirstAdmin(ctx, h.address(ctx), r.GetSetupToken(), newcomer{
		deviceID: r.GetDeviceId(), username: r.GetUsername(), password: r.GetPassword(), nickname: r.GetNickname(),
	})
	h.s.metrics.signedIn(methodSetup, err)
	if err != nil {
		return nil, err
	}
	return &authv1.CreateFirstAdminResponse{
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
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
		User: h.s.userProto(g.User), AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: timeProto(g.ExpiresAt),
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
	return &authv1.GetMeResponse{User: h.s.userProto(user)}, nil
}

// UpdateProfile implements authv1connect.AuthServiceHandler.
func (h authHandler) UpdateProfile(
	ctx context.Context, r *authv1.UpdateProfileRequest,
) (*authv1.UpdateProfileResponse, error) {
	if len(r.GetUpdateMask().GetPaths()) == 0 {
		return nil, maskError("")
	}
	for _, path := range r.GetUpdateMask().GetPaths() {
		if path != "nickname" {
			return nil, maskError(path)
		}
	}
	user, err := h.s.rename(ctx, authn.MustFrom(ctx).UserID, r.GetNickname())
	if err != nil {
		return nil, err
	}
	return &authv1.UpdateProfileResponse{User: h.s.userProto(user)}, nil
}

// UploadAvatar implements authv1connect.AuthServiceHandler.
func (h authHandler) UploadAvatar(
	ctx context.Context, r *authv1.UploadAvatarRequest,
) (*authv1.UploadAvatarResponse, error) {
	user, err := h.s.setAvatar(ctx, authn.MustFrom(ctx).UserID, r.GetImage())
	if err != nil {
		return nil, err
	}
	return &authv1.UploadAvatarResponse{User: h.s.userProto(user)}, nil
}

// DeleteAvatar implements authv1connect.AuthServiceHandler.
func (h authHandler) DeleteAvatar(
	ctx context.Context, _ *authv1.DeleteAvatarRequest,
) (*authv1.DeleteAvatarResponse, error) {
	user, err := h.s.removeAvatar(ctx, authn.MustFrom(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &authv1.DeleteAvatarResponse{User: h.s.userProto(user)}, nil
}

// ChangePassword implements authv1connect.AuthServiceHandler.
func (h authHandler) ChangePassword(
	ctx context.Context, r *authv1.ChangePasswordRequest,
) (*authv1.ChangePasswordResponse, error) {
	err := h.s.changePassword(ctx, authn.MustFrom(ctx), h.address(ctx), r.GetCurrentPassword(), r.GetNewPassword())
	if err != nil {
		return nil, err
	}
	return &authv1.ChangePasswordResponse{}, nil
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

// userProto is a user as services and the user see it. Who is banned has no picture.
func (s *Service) userProto(u User) *authv1.User {
	out := &authv1.User{
		Id: u.ID, Username: u.Username, Nickname: u.Nickname, AvatarUrl: u.AvatarURL, Role: u.Role,
		CreatedAt: timeProto(u.CreatedAt),
	}
	if u.BannedAt(s.now()) != nil {
		out.AvatarUrl = ""
	}
	return out
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
