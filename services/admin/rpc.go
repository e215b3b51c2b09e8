package admin

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/pagination"
)

var _ adminv1connect.AdminServiceHandler = (*handler)(nil)

// handler speaks AdminService.
type handler struct {
	service *Service
}

// GetOverview implements AdminService.
func (h *handler) GetOverview(_ context.Context, r *adminv1.GetOverviewRequest) (*adminv1.GetOverviewResponse, error) {
	o := h.service.Overview(timeOf(r.GetAfter()))
	samples := make([]*adminv1.Sample, len(o.Samples))
	for i, s := range o.Samples {
		samples[i] = &adminv1.Sample{
			At: timestamppb.New(s.At), BroadcastCount: s.Broadcasts, ViewerCount: s.Viewers, ConnectionCount: s.Connections,
			MessageRate: s.MessageRate, RequestRate: s.RequestRate, ErrorRate: s.ErrorRate, CpuCores: s.CPUCores,
			MemoryBytes: s.MemoryBytes,
		}
	}
	return &adminv1.GetOverviewResponse{
		Samples: samples, CpuCount: int32(o.CPUCount), StartedAt: timestamppb.New(o.StartedAt), Version: o.Version, //nolint:gosec // cores
	}, nil
}

// ListUsers implements AdminService.
func (h *handler) ListUsers(ctx context.Context, r *adminv1.ListUsersRequest) (*adminv1.ListUsersResponse, error) {
	page, err := h.service.ListUsers(ctx, &authv1.ListUsersRequest{
		Query: r.GetQuery(), OnlyBanned: r.GetOnlyBanned(), OnlyStaff: r.GetOnlyStaff(), PageSize: r.GetPageSize(),
		PageToken: r.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	users := make([]*adminv1.UserAccount, len(page.GetAccounts()))
	for i, a := range page.GetAccounts() {
		users[i] = account(a)
	}
	return &adminv1.ListUsersResponse{Users: users, NextPageToken: page.GetNextPageToken()}, nil
}

// GetUser implements AdminService.
func (h *handler) GetUser(ctx context.Context, r *adminv1.GetUserRequest) (*adminv1.GetUserResponse, error) {
	user, err := h.service.GetUser(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	devices := make([]*adminv1.UserDevice, len(user.Sessions))
	for i, s := range user.Sessions {
		devices[i] = &adminv1.UserDevice{
			SessionId: s.GetId(), Platform: s.GetPlatform(), Model: s.GetModel(), AppVersion: s.GetAppVersion(),
			SignedInAt: s.GetCreatedAt(), LastSeenAt: s.GetLastSeenAt(),
		}
	}
	return &adminv1.GetUserResponse{
		User: account(user.Account), Devices: devices, Rooms: roomItems(user.Rooms), Mutes: muteProtos(user.Mutes),
	}, nil
}

// RevokeUserDevice implements AdminService.
func (h *handler) RevokeUserDevice(
	ctx context.Context, r *adminv1.RevokeUserDeviceRequest,
) (*adminv1.RevokeUserDeviceResponse, error) {
	if err := h.service.RevokeUserDevice(ctx, r.GetUserId(), r.GetSessionId()); err != nil {
		return nil, err
	}
	return &adminv1.RevokeUserDeviceResponse{}, nil
}

// BanUser implements AdminService.
func (h *handler) BanUser(ctx context.Context, r *adminv1.BanUserRequest) (*adminv1.BanUserResponse, error) {
	a, err := h.service.BanUser(ctx, r.GetUserId(), &authv1.Ban{Reason: r.GetReason(), Until: r.GetUntil()})
	if err != nil {
		return nil, err
	}
	return &adminv1.BanUserResponse{User: account(a)}, nil
}

// UnbanUser implements AdminService.
func (h *handler) UnbanUser(ctx context.Context, r *adminv1.UnbanUserRequest) (*adminv1.UnbanUserResponse, error) {
	a, err := h.service.UnbanUser(ctx, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &adminv1.UnbanUserResponse{User: account(a)}, nil
}

// SetUserRole implements AdminService.
func (h *handler) SetUserRole(
	ctx context.Context, r *adminv1.SetUserRoleRequest,
) (*adminv1.SetUserRoleResponse, error) {
	a, err := h.service.SetUserRole(ctx, r.GetUserId(), r.GetRole())
	if err != nil {
		return nil, err
	}
	return &adminv1.SetUserRoleResponse{User: account(a)}, nil
}

// entryCursor is where a page of the log ends.
type entryCursor struct {
	ID string `json:"i"`
}

// ListAuditEntries implements AdminService.
func (h *handler) ListAuditEntries(
	ctx context.Context, r *adminv1.ListAuditEntriesRequest,
) (*adminv1.ListAuditEntriesResponse, error) {
	cursor, _, err := pagination.Decode[entryCursor](r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagination.Size(r.GetPageSize(), 20, 100)
	filter := Filter{
		ActorID: r.GetActorId(), TargetID: r.GetTargetId(), Action: r.GetAction(), Since: timeOf(r.GetSince()), Until: timeOf(r.GetUntil()),
	}
	entries, err := h.service.ListAuditEntries(ctx, filter, cursor.ID, size+1)
	if err != nil {
		return nil, err
	}
	entries, next := pagination.Page(entries, size, func(last Entry) entryCursor { return entryCursor{ID: last.ID} })
	out := make([]*adminv1.AuditEntry, len(entries))
	for i, e := range entries {
		out[i] = &adminv1.AuditEntry{
			Id: e.ID, At: timestamppb.New(e.At), ActorId: e.ActorID, ActorName: e.ActorName, Action: e.Action,
			TargetId: e.TargetID, TargetName: e.TargetName, Detail: e.Detail, Error: e.Error,
		}
	}
	return &adminv1.ListAuditEntriesResponse{Entries: out, NextPageToken: next}, nil
}

// UpdateSite implements AdminService.
func (h *handler) UpdateSite(ctx context.Context, r *adminv1.UpdateSiteRequest) (*adminv1.UpdateSiteResponse, error) {
	change, err := newSiteChange(Site{
		Name: r.GetSite().GetName(), Announcement: r.GetSite().GetAnnouncement(),
		SignUpEnabled: r.GetSite().GetSignUpEnabled(), RoomCreationEnabled: r.GetSite().GetRoomCreationEnabled(),
	}, r.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	site, err := h.service.UpdateSite(ctx, change)
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateSiteResponse{Site: siteProto(site)}, nil
}

var _ sitev1connect.SiteServiceHandler = (*siteHandler)(nil)

// siteHandler speaks SiteService.
type siteHandler struct {
	service *Service
}

// GetSite implements SiteService.
func (h *siteHandler) GetSite(ctx context.Context, _ *sitev1.GetSiteRequest) (*sitev1.GetSiteResponse, error) {
	site, err := h.service.Site(ctx)
	if err != nil {
		return nil, err
	}
	return &sitev1.GetSiteResponse{Site: siteProto(site)}, nil
}

func siteProto(site Site) *sitev1.Site {
	return &sitev1.Site{
		Name: site.Name, Announcement: site.Announcement, SignUpEnabled: site.SignUpEnabled,
		RoomCreationEnabled: site.RoomCreationEnabled,
	}
}

func account(a *authv1.Account) *adminv1.UserAccount {
	return &adminv1.UserAccount{User: a.GetUser(), Ban: a.GetBan()}
}

// timeOf returns the zero time for none.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
