package chat

import (
	"context"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn"
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
	return h.service.Subscribe(ctx, authn.MustFrom(ctx).UserID, r.GetConversationId(), position(r.GetAfter()), sink)
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
	chatv1connect.UnimplementedConversationServiceHandler

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

func position(p *chatv1.Position) *Position {
	if p == nil {
		return nil
	}
	return &Position{Epoch: p.GetEpoch(), Seq: p.GetSeq()}
}
