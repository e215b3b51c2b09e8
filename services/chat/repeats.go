package chat

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// orStored answers a send that was refused. Its sender may have lost the answer to the same send, which was stored before
// what refuses it now came to be: that answer is owed to them for as long as they see the conversation, or they would
// write it again under another id. ids are those of all messages of the send, which were stored together or not at all.
//
// It is asked after a refusal only: a send that is stored finds its repeat by its insert and pays for no read. Errors:
// refusal, UNAVAILABLE where it cannot be known.
func (s *Service) orStored(
	ctx context.Context, p authn.Principal, conversationID string, refusal error, ids ...string,
) ([]*chatv1.Message, error) {
	if e, ok := errors.AsType[*errs.Error](refusal); !ok || e.Code == connect.CodeUnavailable {
		return nil, refusal // is no last word, the same send comes again
	}
	v, err := s.see(ctx, p, conversationID)
	if isRefusal(err) {
		return nil, refusal
	}
	if err != nil {
		return nil, notStored(err)
	}
	stored := make([]*chatv1.Message, 0, len(ids))
	for _, id := range ids {
		m, err := s.store.sameMessage(ctx, v.Conversation, p.UserID, id)
		if err != nil {
			return nil, notStored(err)
		}
		if m == nil {
			return nil, refusal
		}
		stored = append(stored, v.own(m))
	}
	return stored, s.markMine(ctx, v.ID, p.UserID, stored)
}

// own is a message of the user's as they may see it. Of one that lies before what they see, as after they were gone for a
// while, that is where it stands and what they wrote: nothing that others did with it since.
func (v seen) own(m *chatv1.Message) *chatv1.Message {
	if m.GetSeq() >= v.Member.FirstSeq {
		return m
	}
	out := &chatv1.Message{
		ConversationId: m.GetConversationId(), Epoch: m.GetEpoch(), Seq: m.GetSeq(), Sender: m.GetSender(),
		Content: m.GetContent(), ClientMsgId: m.GetClientMsgId(), SentAt: m.GetSentAt(), Deleted: m.GetDeleted(),
		Recalled: m.GetRecalled(), Mentions: m.GetMentions(), Origin: m.GetOrigin(),
	}
	if m.GetReplyTo() != nil {
		out.ReplyTo = &chatv1.Quote{Seq: m.GetReplyTo().GetSeq()}
	}
	return out
}

// sameMessage returns the message that a sender stored under an id; nil for none.
func (s *store) sameMessage(ctx context.Context, c Conversation, senderID, id string) (*chatv1.Message, error) {
	messages, err := s.readMessages(ctx, s.messages.same, c.ID, c.Epoch, c.ID, senderID, id)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	return messages[0], nil
}
