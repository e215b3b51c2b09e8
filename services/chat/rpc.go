package chat

import (
	"context"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

var _ chatv1connect.ChatServiceHandler = (*chatHandler)(nil)

// chatHandler speaks ChatService.
type chatHandler struct {
	service *Service
}

// SendMessage implements ChatService.
func (h *chatHandler) SendMessage(
	ctx context.Context, r *chatv1.SendMessageRequest,
) (*chatv1.SendMessageResponse, error) {
	m, err := h.service.SendMessage(ctx, authn.MustFrom(ctx), Draft{
		ConversationID: r.GetConversationId(), ClientMsgID: r.GetClientMsgId(), Content: r.GetContent(),
		Mentions: r.GetMentions(), ReplyToSeq: r.GetReplyToSeq(),
	})
	if err != nil {
		return nil, err
	}
	return &chatv1.SendMessageResponse{Message: m}, nil
}

// ForwardMessages implements ChatService.
func (h *chatHandler) ForwardMessages(
	ctx context.Context, r *chatv1.ForwardMessagesRequest,
) (*chatv1.ForwardMessagesResponse, error) {
	messages, err := h.service.ForwardMessages(ctx, authn.MustFrom(ctx), r.GetFromConversationId(), r.GetSeqs(),
		r.GetToConversationId(), r.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &chatv1.ForwardMessagesResponse{Messages: messages}, nil
}

// EditMessage implements ChatService.
func (h *chatHandler) EditMessage(
	ctx context.Context, r *chatv1.EditMessageRequest,
) (*chatv1.EditMessageResponse, error) {
	m, err := h.service.EditMessage(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq(), r.GetContent(), r.GetMentions())
	if err != nil {
		return nil, err
	}
	return &chatv1.EditMessageResponse{Message: m}, nil
}

// RecallMessage implements ChatService.
func (h *chatHandler) RecallMessage(
	ctx context.Context, r *chatv1.RecallMessageRequest,
) (*chatv1.RecallMessageResponse, error) {
	m, err := h.service.RecallMessage(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq())
	if err != nil {
		return nil, err
	}
	return &chatv1.RecallMessageResponse{Message: m}, nil
}

// HideMessages implements ChatService.
func (h *chatHandler) HideMessages(
	ctx context.Context, r *chatv1.HideMessagesRequest,
) (*chatv1.HideMessagesResponse, error) {
	m, err := h.service.HideMessages(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeqs(), r.GetUpToSeq())
	if err != nil {
		return nil, err
	}
	return &chatv1.HideMessagesResponse{Membership: m}, nil
}

// ListHidden implements ChatService.
func (h *chatHandler) ListHidden(
	ctx context.Context, r *chatv1.ListHiddenRequest,
) (*chatv1.ListHiddenResponse, error) {
	hidden, more, err := h.service.ListHidden(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetAfterChange())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListHiddenResponse{Hidden: hidden, HasMore: more}, nil
}

// SetReaction implements ChatService.
func (h *chatHandler) SetReaction(
	ctx context.Context, r *chatv1.SetReactionRequest,
) (*chatv1.SetReactionResponse, error) {
	m, err := h.service.SetReaction(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq(), r.GetKey(), r.GetRemove())
	if err != nil {
		return nil, err
	}
	return &chatv1.SetReactionResponse{Message: m}, nil
}

// ListReactions implements ChatService.
func (h *chatHandler) ListReactions(
	ctx context.Context, r *chatv1.ListReactionsRequest,
) (*chatv1.ListReactionsResponse, error) {
	reactions, next, err := h.service.ListReactions(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq(), r.GetKey(),
		pagination.Size(r.GetPageSize(), 50, 200), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListReactionsResponse{Reactions: reactions, NextPageToken: next}, nil
}

// PinMessage implements ChatService.
func (h *chatHandler) PinMessage(
	ctx context.Context, r *chatv1.PinMessageRequest,
) (*chatv1.PinMessageResponse, error) {
	m, err := h.service.PinMessage(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq(), r.GetRemove())
	if err != nil {
		return nil, err
	}
	return &chatv1.PinMessageResponse{Message: m}, nil
}

// ListPins implements ChatService.
func (h *chatHandler) ListPins(
	ctx context.Context, r *chatv1.ListPinsRequest,
) (*chatv1.ListPinsResponse, error) {
	messages, err := h.service.ListPins(ctx, authn.MustFrom(ctx), r.GetConversationId())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListPinsResponse{Messages: messages}, nil
}

// ListMessages implements ChatService.
func (h *chatHandler) ListMessages(
	ctx context.Context, r *chatv1.ListMessagesRequest,
) (*chatv1.ListMessagesResponse, error) {
	size := pagination.Size(r.GetPageSize(), 50, 200)
	p := authn.MustFrom(ctx)
	var messages []*chatv1.Message
	var more bool
	var err error
	if after := position(r.GetAfter()); after != nil {
		messages, more, err = h.service.ListAfter(ctx, p, r.GetConversationId(), *after, size)
	} else {
		messages, more, err = h.service.ListBefore(ctx, p, r.GetConversationId(), position(r.GetBefore()), size)
	}
	if err != nil {
		return nil, err
	}
	return &chatv1.ListMessagesResponse{Messages: messages, HasMore: more}, nil
}

// PullMessages implements ChatService.
func (h *chatHandler) PullMessages(
	ctx context.Context, r *chatv1.PullMessagesRequest,
) (*chatv1.PullMessagesResponse, error) {
	pulled, more, err := h.service.PullMessages(ctx, authn.MustFrom(ctx), r.GetHave(), pagination.Size(r.GetPageSize(), 500, 2000))
	if err != nil {
		return nil, err
	}
	return &chatv1.PullMessagesResponse{Conversations: pulled, HasMore: more}, nil
}

// Sync implements ChatService.
func (h *chatHandler) Sync(
	ctx context.Context, r *chatv1.SyncRequest,
) (*chatv1.SyncResponse, error) {
	page, err := h.service.Sync(ctx, authn.MustFrom(ctx), r.GetCursor(), pagination.Size(r.GetPageSize(), 100, 500))
	if err != nil {
		return nil, err
	}
	return &chatv1.SyncResponse{States: page.States, Cursor: page.Cursor, Done: page.Done, Restart: page.Restart}, nil
}

// GetConversation implements ChatService.
func (h *chatHandler) GetConversation(
	ctx context.Context, r *chatv1.GetConversationRequest,
) (*chatv1.GetConversationResponse, error) {
	state, err := h.service.GetConversation(ctx, authn.MustFrom(ctx), r.GetConversationId())
	if err != nil {
		return nil, err
	}
	return &chatv1.GetConversationResponse{State: state}, nil
}

// OpenDirect implements ChatService.
func (h *chatHandler) OpenDirect(
	ctx context.Context, r *chatv1.OpenDirectRequest,
) (*chatv1.OpenDirectResponse, error) {
	state, err := h.service.OpenDirect(ctx, authn.MustFrom(ctx), r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &chatv1.OpenDirectResponse{State: state}, nil
}

// UpdateSettings implements ChatService.
func (h *chatHandler) UpdateSettings(
	ctx context.Context, r *chatv1.UpdateSettingsRequest,
) (*chatv1.UpdateSettingsResponse, error) {
	m, err := h.service.UpdateSettings(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSettings(), r.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	return &chatv1.UpdateSettingsResponse{Membership: m}, nil
}

// AdvancePositions implements ChatService.
func (h *chatHandler) AdvancePositions(
	ctx context.Context, r *chatv1.AdvancePositionsRequest,
) (*chatv1.AdvancePositionsResponse, error) {
	positions, err := h.service.AdvancePositions(ctx, authn.MustFrom(ctx), r.GetAdvances())
	if err != nil {
		return nil, err
	}
	return &chatv1.AdvancePositionsResponse{Positions: positions}, nil
}

// GetReceipts implements ChatService.
func (h *chatHandler) GetReceipts(
	ctx context.Context, r *chatv1.GetReceiptsRequest,
) (*chatv1.GetReceiptsResponse, error) {
	receipts, err := h.service.GetReceipts(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeqs())
	if err != nil {
		return nil, err
	}
	return &chatv1.GetReceiptsResponse{Receipts: receipts}, nil
}

// ListReaders implements ChatService.
func (h *chatHandler) ListReaders(
	ctx context.Context, r *chatv1.ListReadersRequest,
) (*chatv1.ListReadersResponse, error) {
	readers, next, err := h.service.ListReaders(ctx, authn.MustFrom(ctx), r.GetConversationId(), r.GetSeq(),
		pagination.Size(r.GetPageSize(), 50, 200), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &chatv1.ListReadersResponse{Readers: readers, NextPageToken: next}, nil
}

// Like implements ChatService.
func (h *chatHandler) Like(
	ctx context.Context, r *chatv1.LikeRequest,
) (*chatv1.LikeResponse, error) {
	err := h.service.Like(ctx, authn.MustFrom(ctx).UserID, r.GetConversationId(), int(r.GetCount()))
	if err != nil {
		return nil, err
	}
	return &chatv1.LikeResponse{}, nil
}

func position(p *chatv1.Position) *Position {
	if p == nil {
		return nil
	}
	return &Position{Epoch: p.GetEpoch(), Seq: p.GetSeq()}
}
