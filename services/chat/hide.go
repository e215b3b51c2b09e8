package chat

import (
	"context"
	"fmt"
	"slices"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	"github.com/stoa-live/stoa/gen/ent/chat/hidden"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// hiddenPage is how many hidden messages are told at once.
const hiddenPage = 1000

// HideMessages deletes messages for p alone: the given ones, and everything up to one (0 for none). Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND: also in live rooms, which nobody keeps).
func (s *Service) HideMessages(
	ctx context.Context, p authn.Principal, id string, seqs []int64, upTo int64,
) (*chatv1.Membership, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	if err := s.limits.actOn(p.UserID, len(seqs)); err != nil {
		return nil, err
	}
	var m Member
	err := s.writer.changeMuch(ctx, 1+len(seqs), func(b *batch) error {
		c, err := b.conversation(id)
		if err != nil {
			return err
		}
		if m, err = b.member(id, p.UserID); err != nil {
			return err
		}
		if !m.here() {
			return conversationNotFound()
		}
		m.ClearedSeq = max(m.ClearedSeq, min(upTo, c.LastSeq))
		told, err := b.hide(&m, c, slices.Compact(slices.Sorted(slices.Values(seqs))))
		if err != nil {
			return err
		}
		m.Version = b.number
		if err := b.putMember(m); err != nil {
			return err
		}
		if len(told.GetSeqs()) > 0 {
			b.tellUser(p.UserID, &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_Hidden{Hidden: told}})
		}
		return s.tellOwn(b, c, m)
	})
	if err != nil {
		return nil, err
	}
	return s.membershipNow(ctx, m)
}

// hide stores what a member hides under one more change, and returns what is new of it.
func (b *batch) hide(m *Member, c Conversation, seqs []int64) (*chatv1.Hidden, error) {
	told := &chatv1.Hidden{ConversationId: c.ID, HiddenChange: m.HiddenChange + 1}
	for _, seq := range seqs {
		if seq < m.first() || seq > c.LastSeq {
			continue
		}
		fresh, err := b.store.says.inserted(b.tx().ExecContext(b.ctx, "INSERT INTO hiddens (conversation_id, user_id, seq, `change`) "+
			"VALUES (?, ?, ?, ?)"+b.store.says.orNothing(""), c.ID, m.UserID, seq, told.GetHiddenChange()))
		if err != nil {
			return nil, fmt.Errorf("hide message: %w", err)
		}
		if fresh {
			told.Seqs = append(told.GetSeqs(), seq)
		}
	}
	if len(told.GetSeqs()) > 0 {
		m.HiddenChange++
	}
	return told, nil
}

// ListHidden returns what p hid after a change, in the order of hiding, and whether there is more. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND).
func (s *Service) ListHidden(
	ctx context.Context, p authn.Principal, id string, after int64,
) (*chatv1.Hidden, bool, error) {
	if _, err := s.see(ctx, p, id); err != nil {
		return nil, false, err
	}
	rows, err := s.store.read.Hidden.Query().Where(hidden.ConversationID(id), hidden.UserID(p.UserID),
		hidden.ChangeGT(after)).Order(hidden.ByChange(), hidden.ByID()).Limit(hiddenPage + 1).All(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("list hidden messages: %w", err)
	}
	out := &chatv1.Hidden{ConversationId: id, HiddenChange: after}
	more := len(rows) > hiddenPage
	if more { // a page ends between two changes, of which each hid 100 messages at the most
		cut := rows[hiddenPage].Change
		rows = slices.DeleteFunc(rows, func(r *ent.Hidden) bool { return r.Change >= cut })
	}
	for _, r := range rows {
		out.Seqs = append(out.GetSeqs(), r.Seq)
		out.HiddenChange = r.Change
	}
	return out, more, nil
}

// withoutHidden returns messages of one conversation without those that a user hid.
func (s *Service) withoutHidden(
	ctx context.Context, id, userID string, messages []*chatv1.Message,
) ([]*chatv1.Message, error) {
	if len(messages) == 0 {
		return messages, nil
	}
	from, to := messages[0].GetSeq(), messages[0].GetSeq()
	for _, m := range messages {
		from, to = min(from, m.GetSeq()), max(to, m.GetSeq())
	}
	gone, err := s.store.hiddenBetween(ctx, id, userID, from, to)
	if err != nil || len(gone) == 0 {
		return messages, err
	}
	return slices.DeleteFunc(messages, func(m *chatv1.Message) bool { return gone[m.GetSeq()] }), nil
}
