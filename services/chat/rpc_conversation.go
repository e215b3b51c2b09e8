package chat

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/pagination"
)

var _ chatv1connect.ConversationServiceHandler = (*conversationHandler)(nil)

// conversationHandler speaks ConversationService.
type conversationHandler struct {
	service *Service
}

// CreateConversation implements ConversationService.
func (h *conversationHandler) CreateConversation(
	ctx context.Context, r *chatv1.CreateConversationRequest,
) (*chatv1.CreateConversationResponse, error) {
	if err := h.service.CreateConversation(ctx, r.GetConversationId(), r.GetKind(), r.GetOwnerId()); err != nil {
		return nil, err
	}
	return &chatv1.CreateConversationResponse{}, nil
}

// DeleteMessage implements ConversationService.
func (h *conversationHandler) DeleteMessage(
	ctx context.Context, r *chatv1.DeleteMessageRequest,
) (*chatv1.DeleteMessageResponse, error) {
	m, err := h.service.DeleteMessage(ctx, r.GetConversationId(), *position(r.GetPosition()))
	if err != nil {
		return nil, err
	}
	return &chatv1.DeleteMessageResponse{Message: m}, nil
}

// MuteUser implements ConversationService.
func (h *conversationHandler) MuteUser(
	ctx context.Context, r *chatv1.MuteUserRequest,
) (*chatv1.MuteUserResponse, error) {
	until, err := timeOf(r.GetUntil())
	if err != nil {
		return nil, err
	}
	m, err := h.service.MuteUser(ctx, r.GetUserId(), r.GetConversationId(), r.GetReason(), until)
	if err != nil {
		return nil, err
	}
	return &chatv1.MuteUserResponse{Mute: muteToProto(m)}, nil
}

// UnmuteUser implements ConversationService.
func (h *conversationHandler) UnmuteUser(
	ctx context.Context, r *chatv1.UnmuteUserRequest,
) (*chatv1.UnmuteUserResponse, error) {
	if err := h.service.UnmuteUser(ctx, r.GetUserId(), r.GetConversationId()); err != nil {
		return nil, err
	}
	return &chatv1.UnmuteUserResponse{}, nil
}

// ListMutes implements ConversationService.
func (h *conversationHandler) ListMutes(
	ctx context.Context, r *chatv1.ListMutesRequest,
) (*chatv1.ListMutesResponse, error) {
	mutes, next, err := h.service.ListMutes(
		ctx, r.GetUserId(), pagination.Size(r.GetPageSize(), 20, 100), r.GetPageToken(),
	)
	if err != nil {
		return nil, err
	}
	res := &chatv1.ListMutesResponse{NextPageToken: next}
	for _, m := range mutes {
		res.Mutes = append(res.Mutes, muteToProto(m))
	}
	return res, nil
}

// ListConversationIds implements ConversationService.
func (h *conversationHandler) ListConversationIds( //nolint:revive // the contract's name
	ctx context.Context, r *chatv1.ListConversationIdsRequest,
) (*chatv1.ListConversationIdsResponse, error) {
	ids, next, err := h.service.ConversationIDs(
		ctx, r.GetUserId(), pagination.Size(r.GetPageSize(), 1000, 5000), r.GetPageToken(),
	)
	if err != nil {
		return nil, err
	}
	return &chatv1.ListConversationIdsResponse{ConversationIds: ids, NextPageToken: next}, nil
}

// ListMemberIds implements ConversationService.
func (h *conversationHandler) ListMemberIds(
	ctx context.Context, r *chatv1.ListMemberIdsRequest,
) (*chatv1.ListMemberIdsResponse, error) {
	ids, next, err := h.service.MemberIDs(
		ctx, r.GetConversationId(), r.GetUserId(), pagination.Size(r.GetPageSize(), 1000, 5000), r.GetPageToken(),
	)
	if err != nil {
		return nil, err
	}
	return &chatv1.ListMemberIdsResponse{UserIds: ids, NextPageToken: next}, nil
}

// GetRoom implements ConversationService.
func (h *conversationHandler) GetRoom(
	ctx context.Context, r *chatv1.GetRoomRequest,
) (*chatv1.GetRoomResponse, error) {
	room, err := h.service.GetRoom(ctx, r.GetConversationId(), r.GetUserId(), r.GetUnseen(), r.GetStaff())
	if err != nil {
		return nil, err
	}
	return &chatv1.GetRoomResponse{
		Position:  &chatv1.Position{Epoch: room.Position.Epoch, Seq: room.Position.Seq},
		LikeCount: room.Likes, LastChange: room.Change,
	}, nil
}

// FilterContacts implements ConversationService.
func (h *conversationHandler) FilterContacts(
	ctx context.Context, r *chatv1.FilterContactsRequest,
) (*chatv1.FilterContactsResponse, error) {
	ids, err := h.service.FilterContacts(ctx, r.GetUserId(), r.GetUserIds())
	if err != nil {
		return nil, err
	}
	return &chatv1.FilterContactsResponse{UserIds: ids}, nil
}

// SendSystemMessage implements ConversationService.
func (h *conversationHandler) SendSystemMessage(
	ctx context.Context, r *chatv1.SendSystemMessageRequest,
) (*chatv1.SendSystemMessageResponse, error) {
	if err := h.service.SendSystemMessage(ctx, r.GetUserIds(), r.GetClientMsgId(), r.GetContent()); err != nil {
		return nil, err
	}
	return &chatv1.SendSystemMessageResponse{}, nil
}

// GetTotals implements ConversationService.
func (h *conversationHandler) GetTotals(
	context.Context, *chatv1.GetTotalsRequest,
) (*chatv1.GetTotalsResponse, error) {
	return &chatv1.GetTotalsResponse{MessageCount: h.service.Stored()}, nil
}

func muteToProto(m Mute) *chatv1.Mute {
	out := &chatv1.Mute{
		UserId: m.UserID, ConversationId: m.ConversationID, Reason: m.Reason, CreatedAt: timestamppb.New(m.CreatedAt),
	}
	if !m.Until.IsZero() {
		out.Until = timestamppb.New(m.Until)
	}
	return out
}
