package chat

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

var _ chatv1connect.GroupServiceHandler = (*groupHandler)(nil)

// groupHandler speaks GroupService.
type groupHandler struct {
	service *Service
}

// then returns a group as the caller has it, once act is done.
func (h *groupHandler) then(
	ctx context.Context, id string, act func(p authn.Principal) error,
) (*chatv1.ConversationState, error) {
	p := authn.MustFrom(ctx)
	if err := act(p); err != nil {
		return nil, err
	}
	return h.service.GetConversation(ctx, p, id)
}

// CreateGroup implements GroupService.
func (h *groupHandler) CreateGroup(
	ctx context.Context, r *chatv1.CreateGroupRequest,
) (*chatv1.CreateGroupResponse, error) {
	state, err := h.service.CreateGroup(ctx, authn.MustFrom(ctx), r)
	if err != nil {
		return nil, err
	}
	return &chatv1.CreateGroupResponse{State: state}, nil
}

// UpdateGroup implements GroupService.
func (h *groupHandler) UpdateGroup(
	ctx context.Context, r *chatv1.UpdateGroupRequest,
) (*chatv1.UpdateGroupResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.UpdateGroup(ctx, p, r)
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.UpdateGroupResponse{State: state}, nil
}

// AddMembers implements GroupService.
func (h *groupHandler) AddMembers(
	ctx context.Context, r *chatv1.AddMembersRequest,
) (*chatv1.AddMembersResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.AddMembers(ctx, p, r.GetConversationId(), r.GetUserIds())
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.AddMembersResponse{State: state}, nil
}

// JoinGroup implements GroupService.
func (h *groupHandler) JoinGroup(
	ctx context.Context, r *chatv1.JoinGroupRequest,
) (*chatv1.JoinGroupResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.JoinGroup(ctx, p, r.GetConversationId())
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.JoinGroupResponse{State: state}, nil
}

// LeaveGroup implements GroupService.
func (h *groupHandler) LeaveGroup(
	ctx context.Context, r *chatv1.LeaveGroupRequest,
) (*chatv1.LeaveGroupResponse, error) {
	err := h.service.LeaveGroup(ctx, authn.MustFrom(ctx), r.GetConversationId())
	if err != nil {
		return nil, err
	}
	return &chatv1.LeaveGroupResponse{}, nil
}

// RemoveMembers implements GroupService.
func (h *groupHandler) RemoveMembers(
	ctx context.Context, r *chatv1.RemoveMembersRequest,
) (*chatv1.RemoveMembersResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.RemoveMembers(ctx, p, r.GetConversationId(), r.GetUserIds())
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.RemoveMembersResponse{State: state}, nil
}

// SetMemberRole implements GroupService.
func (h *groupHandler) SetMemberRole(
	ctx context.Context, r *chatv1.SetMemberRoleRequest,
) (*chatv1.SetMemberRoleResponse, error) {
	m, err := h.service.SetMemberRole(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetUserId(), r.GetRole())
	if err != nil {
		return nil, err
	}
	return &chatv1.SetMemberRoleResponse{Member: m}, nil
}

// TransferGroup implements GroupService.
func (h *groupHandler) TransferGroup(
	ctx context.Context, r *chatv1.TransferGroupRequest,
) (*chatv1.TransferGroupResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.TransferGroup(ctx, p, r.GetConversationId(), r.GetUserId())
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.TransferGroupResponse{State: state}, nil
}

// DisbandGroup implements GroupService.
func (h *groupHandler) DisbandGroup(
	ctx context.Context, r *chatv1.DisbandGroupRequest,
) (*chatv1.DisbandGroupResponse, error) {
	state, err := h.then(ctx, r.GetConversationId(), func(p authn.Principal) error {
		return h.service.DisbandGroup(ctx, p, r.GetConversationId())
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.DisbandGroupResponse{State: state}, nil
}

// MuteMember implements GroupService.
func (h *groupHandler) MuteMember(
	ctx context.Context, r *chatv1.MuteMemberRequest,
) (*chatv1.MuteMemberResponse, error) {
	until, err := timeOf(r.GetUntil())
	if err != nil {
		return nil, err
	}
	m, err := h.service.MuteMember(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetUserId(), until)
	if err != nil {
		return nil, err
	}
	return &chatv1.MuteMemberResponse{Member: m}, nil
}

// BanUser implements GroupService.
func (h *groupHandler) BanUser(
	ctx context.Context, r *chatv1.BanUserRequest,
) (*chatv1.BanUserResponse, error) {
	err := h.service.BanUser(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetUserId(), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &chatv1.BanUserResponse{}, nil
}

// UnbanUser implements GroupService.
func (h *groupHandler) UnbanUser(
	ctx context.Context, r *chatv1.UnbanUserRequest,
) (*chatv1.UnbanUserResponse, error) {
	err := h.service.UnbanUser(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &chatv1.UnbanUserResponse{}, nil
}

// ListBannedUsers implements GroupService.
func (h *groupHandler) ListBannedUsers(
	ctx context.Context, r *chatv1.ListBannedUsersRequest,
) (*chatv1.ListBannedUsersResponse, error) {
	bans, next, err := h.service.ListBannedUsers(ctx, authn.MustFrom(ctx), r.GetConversationId(),
		pagination.Size(r.GetPageSize(), 50, 200), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListBannedUsersResponse{Bans: bans, NextPageToken: next}, nil
}

// ListMembers implements GroupService.
func (h *groupHandler) ListMembers(
	ctx context.Context, r *chatv1.ListMembersRequest,
) (*chatv1.ListMembersResponse, error) {
	members, next, version, err := h.service.ListMembers(ctx, authn.MustFrom(ctx), r.GetConversationId(),
		pagination.Size(r.GetPageSize(), 100, 500), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListMembersResponse{Members: members, NextPageToken: next, MemberVersion: version}, nil
}

// SyncMembers implements GroupService.
func (h *groupHandler) SyncMembers(
	ctx context.Context, r *chatv1.SyncMembersRequest,
) (*chatv1.SyncMembersResponse, error) {
	members, version, done, err := h.service.SyncMembers(ctx, authn.MustFrom(ctx), r.GetConversationId(),
		r.GetAfterVersion(), pagination.Size(r.GetPageSize(), 200, 1000))
	if err != nil {
		return nil, err
	}
	return &chatv1.SyncMembersResponse{Members: members, Version: version, Done: done}, nil
}

// timeOf reads a time; unset is zero. Binary messages can name years that no database and no clock understands. Errors:
// INVALID_ARGUMENT.
func timeOf(t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalid("until: this is no time").Because(err)
	}
	return t.AsTime(), nil
}
