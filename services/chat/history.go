package chat

import (
	"context"
	"math"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// ListBefore returns up to limit messages before a position, oldest first, and whether more lie before them. No position,
// and one of another epoch, mean the latest messages. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) ListBefore(
	ctx context.Context, conversationID string, before *Position, limit int,
) (messages []*chatv1.Message, more bool, err error) {
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return nil, false, err
	}
	seq := int64(math.MaxInt64)
	if before != nil && before.Epoch == c.Epoch {
		seq = before.Seq
	}
	messages, err = s.store.messagesBefore(ctx, c, seq, limit+1)
	if len(messages) > limit {
		return messages[len(messages)-limit:], true, err
	}
	return messages, false, err
}

// ListAfter returns up to limit messages after a position, oldest first, and whether more lie after them. A position of
// another epoch means the start. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) ListAfter(
	ctx context.Context, conversationID string, after Position, limit int,
) (messages []*chatv1.Message, more bool, err error) {
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return nil, false, err
	}
	if after.Epoch != c.Epoch {
		after.Seq = 0
	}
	messages, err = s.store.messagesAfter(ctx, c, after.Seq, limit+1)
	if len(messages) > limit {
		return messages[:limit], true, err
	}
	return messages, false, err
}
