package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// ListRooms implements AdminService.
func (h *handler) ListRooms(ctx context.Context, r *adminv1.ListRoomsRequest) (*adminv1.ListRoomsResponse, error) {
	page, err := h.service.ListRooms(ctx, &livev1.ListRoomsRequest{
		OnlyLive: r.GetOnlyLive(), Query: r.GetQuery(), PageSize: r.GetPageSize(), PageToken: r.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.ListRoomsResponse{Items: roomItems(page.GetItems()), NextPageToken: page.GetNextPageToken()}, nil
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

// WarnStreamer implements AdminService.
func (h *handler) WarnStreamer(
	ctx context.Context, r *adminv1.WarnStreamerRequest,
) (*adminv1.WarnStreamerResponse, error) {
	warning, err := h.service.WarnStreamer(ctx, r.GetRoomId(), r.GetText())
	if err != nil {
		return nil, err
	}
	return &adminv1.WarnStreamerResponse{Warning: warning}, nil
}

// TakeDownCover implements AdminService.
func (h *handler) TakeDownCover(
	ctx context.Context, r *adminv1.TakeDownCoverRequest,
) (*adminv1.TakeDownCoverResponse, error) {
	room, err := h.service.TakeDownCover(ctx, r.GetRoomId(), r.GetReason())
	if err != nil {
		return nil, err
	}
	return &adminv1.TakeDownCoverResponse{Room: room}, nil
}

// DeleteMessage implements AdminService.
func (h *handler) DeleteMessage(
	ctx context.Context, r *adminv1.DeleteMessageRequest,
) (*adminv1.DeleteMessageResponse, error) {
	if err := h.service.DeleteMessage(ctx, r.GetConversationId(), r.GetPosition(), r.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteMessageResponse{}, nil
}

// MuteUser implements AdminService.
func (h *handler) MuteUser(ctx context.Context, r *adminv1.MuteUserRequest) (*adminv1.MuteUserResponse, error) {
	mute, err := h.service.MuteUser(ctx, &chatv1.MuteUserRequest{
		UserId: r.GetUserId(), ConversationId: r.GetConversationId(), Reason: r.GetReason(), Until: r.GetUntil(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.MuteUserResponse{Mute: muteProto(mute)}, nil
}

// UnmuteUser implements AdminService.
func (h *handler) UnmuteUser(ctx context.Context, r *adminv1.UnmuteUserRequest) (*adminv1.UnmuteUserResponse, error) {
	if err := h.service.UnmuteUser(ctx, r.GetUserId(), r.GetConversationId()); err != nil {
		return nil, err
	}
	return &adminv1.UnmuteUserResponse{}, nil
}

// ListMutes implements AdminService.
func (h *handler) ListMutes(ctx context.Context, r *adminv1.ListMutesRequest) (*adminv1.ListMutesResponse, error) {
	mutes, next, err := h.service.ListMutes(ctx, &chatv1.ListMutesRequest{PageSize: r.GetPageSize(), PageToken: r.GetPageToken()})
	if err != nil {
		return nil, err
	}
	return &adminv1.ListMutesResponse{Mutes: muteProtos(mutes), NextPageToken: next}, nil
}

func roomItems(items []*livev1.ListRoomsResponse_Item) []*adminv1.ListRoomsResponse_Item {
	out := make([]*adminv1.ListRoomsResponse_Item, len(items))
	for i, item := range items {
		out[i] = &adminv1.ListRoomsResponse_Item{Room: item.GetRoom(), Broadcast: item.GetBroadcast()}
	}
	return out
}

func muteProtos(mutes []Mute) []*adminv1.Mute {
	out := make([]*adminv1.Mute, len(mutes))
	for i, m := range mutes {
		out[i] = muteProto(m)
	}
	return out
}

func muteProto(m Mute) *adminv1.Mute {
	out := &adminv1.Mute{
		User: m.User, ConversationId: m.ConversationID, Reason: m.Reason, CreatedAt: timestamppb.New(m.CreatedAt),
	}
	if !m.Until.IsZero() {
		out.Until = timestamppb.New(m.Until)
	}
	return out
}
