package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/pagination"
)

var _ adminv1connect.AdminServiceHandler = (*handler)(nil)

// handler speaks AdminService.
type handler struct {
	adminv1connect.UnimplementedAdminServiceHandler

	service *Service
}

// ListUsers implements AdminService.
func (h *handler) ListUsers(ctx context.Context, r *adminv1.ListUsersRequest) (*adminv1.ListUsersResponse, error) {
	page, err := h.service.ListUsers(ctx, &authv1.ListUsersRequest{
		Query: r.GetQuery(), OnlyBanned: r.GetOnlyBanned(), PageSize: r.GetPageSize(), PageToken: r.GetPageToken(),
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

// ListRooms implements AdminService.
func (h *handler) ListRooms(ctx context.Context, r *adminv1.ListRoomsRequest) (*adminv1.ListRoomsResponse, error) {
	page, err := h.service.ListRooms(ctx, &livev1.ListRoomsRequest{
		OnlyLive: r.GetOnlyLive(), PageSize: r.GetPageSize(), PageToken: r.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	items := make([]*adminv1.ListRoomsResponse_Item, len(page.GetItems()))
	for i, item := range page.GetItems() {
		items[i] = &adminv1.ListRoomsResponse_Item{Room: item.GetRoom(), Broadcast: item.GetBroadcast()}
	}
	return &adminv1.ListRoomsResponse{Items: items, NextPageToken: page.GetNextPageToken()}, nil
}

// EndBroadcast implements AdminService.
func (h *handler) EndBroadcast(
	ctx context.Context, r *adminv1.EndBroadcastRequest,
) (*adminv1.EndBroadcastResponse, error) {
	broadcast, err := h.service.EndBroadcast(ctx, r.GetRoomId(), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &adminv1.EndBroadcastResponse{Broadcast: broadcast}, nil
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
	filter := Filter{ActorID: r.GetActorId(), TargetID: r.GetTargetId()}
	entries, err := h.service.ListAuditEntries(ctx, filter, cursor.ID, size+1)
	if err != nil {
		return nil, err
	}
	entries, next := pagination.Page(entries, size, func(last Entry) entryCursor { return entryCursor{ID: last.ID} })
	out := make([]*adminv1.AuditEntry, len(entries))
	for i, e := range entries {
		out[i] = &adminv1.AuditEntry{
			Id: e.ID, At: timestamppb.New(e.At), ActorId: e.ActorID, Action: e.Action, TargetId: e.TargetID,
			Detail: e.Detail, Error: e.Error,
		}
	}
	return &adminv1.ListAuditEntriesResponse{Entries: out, NextPageToken: next}, nil
}

func account(a *authv1.Account) *adminv1.UserAccount {
	return &adminv1.UserAccount{User: a.GetUser(), Ban: a.GetBan()}
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
