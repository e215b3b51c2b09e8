package chat

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

var (
	_ chatv1connect.ChatServiceHandler         = (*chatHandler)(nil)
	_ chatv1connect.ConversationServiceHandler = (*conversationHandler)(nil)
)

// chatHandler speaks ChatService.
type chatHandler struct {
	service *Service
}

// SendMessage implements ChatService.
func (h *chatHandler) SendMessage(
	ctx context.Context, r *chatv1.SendMessageRequest,
) (*chatv1.SendMessageResponse, error) {
	m, err := h.service.SendMessage(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetClientMsgId(), r.GetContent())
	if err != nil {
		return nil, err
	}
	return &chatv1.SendMessageResponse{Message: m}, nil
}

// Subscribe implements ChatService.
func (h *chatHandler) Subscribe(
	ctx context.Context, r *chatv1.SubscribeRequest, stream *connect.ServerStream[chatv1.SubscribeResponse],
) error {
	sink := &streamSink{stream: stream, wire: wireFrom(ctx)}
	return h.service.Subscribe(
		ctx, authn.MustFrom(ctx), r.GetConversationId(), position(r.GetAfter()), r.GetUnseen(), sink,
	)
}

// ListMessages implements ChatService.
func (h *chatHandler) ListMessages(
	ctx context.Context, r *chatv1.ListMessagesRequest,
) (*chatv1.ListMessagesResponse, error) {
	size := pagination.Size(r.GetPageSize(), 50, 200)
	var messages []*chatv1.Message
	var more bool
	var err error
	if after := position(r.GetAfter()); after != nil {
		messages, more, err = h.service.ListAfter(ctx, r.GetConversationId(), *after, size)
	} else {
		messages, more, err = h.service.ListBefore(ctx, r.GetConversationId(), position(r.GetBefore()), size)
	}
	if err != nil {
		return nil, err
	}
	return &chatv1.ListMessagesResponse{Messages: messages, HasMore: more}, nil
}

// Like implements ChatService.
func (h *chatHandler) Like(ctx context.Context, r *chatv1.LikeRequest) (*chatv1.LikeResponse, error) {
	err := h.service.Like(ctx, authn.MustFrom(ctx).UserID, r.GetConversationId(), int(r.GetCount()))
	if err != nil {
		return nil, err
	}
	return &chatv1.LikeResponse{}, nil
}

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
	var until time.Time
	if t := r.GetUntil(); t != nil {
		// Binary messages can name years that no database and no clock understands.
		if err := t.CheckValid(); err != nil {
			return nil, errs.InvalidArgument(errs.ReasonInvalidArgument, "until: this is no time").Because(err)
		}
		until = t.AsTime()
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

// GetTotals implements ConversationService.
func (h *conversationHandler) GetTotals(
	context.Context, *chatv1.GetTotalsRequest,
) (*chatv1.GetTotalsResponse, error) {
	totals := h.service.Totals()
	return &chatv1.GetTotalsResponse{
		MessageCount: totals.Messages, SubscriptionCount: int32(totals.Subscriptions), //nolint:gosec // streams of one node
	}, nil
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

func position(p *chatv1.Position) *Position {
	if p == nil {
		return nil
	}
	return &Position{Epoch: p.GetEpoch(), Seq: p.GetSeq()}
}
