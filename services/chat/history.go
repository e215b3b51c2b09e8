package chat

import (
	"context"
	"math"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// ListBefore returns up to limit messages before a position (nil for the latest), oldest first, without those that p hid,
// and whether more lie before them. A position of another epoch means the latest. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND).
func (s *Service) ListBefore(
	ctx context.Context, p authn.Principal, conversationID string, before *Position, limit int,
) (messages []*chatv1.Message, more bool, err error) {
	v, err := s.see(ctx, p, conversationID)
	if err != nil {
		return nil, false, err
	}
	seq := int64(math.MaxInt64)
	if before != nil && before.Epoch == v.Epoch {
		seq = before.Seq
	}
	messages, err = s.store.shownBefore(ctx, v.Conversation, v.Member, seq, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(messages) > limit; more {
		messages = messages[len(messages)-limit:]
	}
	return messages, more, s.forMember(ctx, v.Member, messages)
}

// ListAfter returns up to limit messages after a position, oldest first, without those that p hid, and whether more lie
// after them. A position of another epoch means the start. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) ListAfter(
	ctx context.Context, p authn.Principal, conversationID string, after Position, limit int,
) (messages []*chatv1.Message, more bool, err error) {
	v, err := s.see(ctx, p, conversationID)
	if err != nil {
		return nil, false, err
	}
	if after.Epoch != v.Epoch {
		after.Seq = 0
	}
	messages, err = s.store.shownAfter(ctx, v.Conversation, v.Member, after.Seq, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(messages) > limit; more {
		messages = messages[:limit]
	}
	return messages, more, s.forMember(ctx, v.Member, messages)
}
