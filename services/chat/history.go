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
	messages, err = s.store.messagesBefore(ctx, v.Conversation, seq, v.Member.FirstSeq, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(messages) > limit; more {
		messages = messages[len(messages)-limit:]
	}
	messages, err = s.shown(ctx, p, v, messages)
	return messages, more, err
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
	messages, err = s.store.messagesAfter(ctx, v.Conversation, max(after.Seq, v.Member.FirstSeq-1), limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(messages) > limit; more {
		messages = messages[:limit]
	}
	messages, err = s.shown(ctx, p, v, messages)
	return messages, more, err
}

// shown leaves out what p hid, and makes the rest p's.
func (s *Service) shown(
	ctx context.Context, p authn.Principal, v seen, messages []*chatv1.Message,
) ([]*chatv1.Message, error) {
	var err error
	if v.hasMembers() {
		if messages, err = s.withoutHidden(ctx, v.ID, p.UserID, messages); err != nil {
			return nil, err
		}
	}
	return messages, s.forMember(ctx, v.Member, messages)
}
