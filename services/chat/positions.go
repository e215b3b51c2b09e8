package chat

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// readToldMost is the size of groups in which everybody is told how far somebody has read.
const readToldMost = 500

// AdvancePositions moves p's positions in conversations forward, and never back. Errors: OUT_OF_RANGE (POSITION_UNKNOWN),
// with nothing changed.
func (s *Service) AdvancePositions(
	ctx context.Context, p authn.Principal, advances []*chatv1.Advance,
) (out []*chatv1.AdvancedPosition, err error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	err = s.writer.change(ctx, func(b *batch) error {
		out = nil
		for _, a := range advances {
			position, err := s.advance(b, p, a)
			if err != nil {
				return err
			}
			out = append(out, position)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, position := range out { // counted after the commit, so that nobody waits for it
		if position.GetGone() || position.GetMembership() == nil {
			continue
		}
		m, err := s.store.member(ctx, position.GetConversationId(), p.UserID)
		if err != nil {
			return nil, err
		}
		if position.Membership, err = s.membershipNow(ctx, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) advance(b *batch, p authn.Principal, a *chatv1.Advance) (*chatv1.AdvancedPosition, error) {
	out := &chatv1.AdvancedPosition{ConversationId: a.GetConversationId()}
	c, err := b.conversation(a.GetConversationId())
	if errors.Is(err, conversationNotFound()) {
		out.Gone = true
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := b.member(c.ID, p.UserID)
	if err != nil {
		return nil, err
	}
	if !c.hasMembers() { // nobody remembers who read what in a live room
		return out, nil
	}
	if !m.here() {
		out.Gone = true
		return out, nil
	}
	read, delivered := max(m.ReadSeq, a.GetReadSeq()), max(m.DeliveredSeq, a.GetDeliveredSeq(), a.GetReadSeq())
	if read > c.LastSeq || delivered > c.LastSeq {
		return nil, errs.New(connect.CodeOutOfRange, ReasonPositionUnknown,
			"conversation %q has no message %d yet", c.ID, max(read, delivered))
	}
	out.Membership = membership(m, 0, 0)
	if read == m.ReadSeq && delivered == m.DeliveredSeq {
		return out, nil
	}
	m.ReadSeq, m.DeliveredSeq, m.Version = read, delivered, b.number
	if _, err := b.tx.ExecContext(b.ctx, "UPDATE members SET read_seq = ?, delivered_seq = ?, version = ? "+
		"WHERE conversation_id = ? AND user_id = ?", read, delivered, b.number, c.ID, p.UserID); err != nil {
		return nil, fmt.Errorf("advance position: %w", err)
	}
	if c.Kind == direct || (c.Kind == group && c.MemberCount <= readToldMost) {
		b.tell(&chatv1.Event{ConversationId: c.ID, Kind: &chatv1.Event_Read{
			Read: &chatv1.ReadTo{UserId: p.UserID, ReadSeq: read, DeliveredSeq: delivered},
		}})
	}
	return out, s.tellOwn(b, c, m)
}

// tellOwn tells a member's devices how they have a conversation now.
func (s *Service) tellOwn(b *batch, c Conversation, m Member) error {
	b.onCommit(func() { s.facts.putMember(m) })
	if m.here() {
		messages, mentions, err := unread(b.ctx, b.tx.StmtContext(b.ctx, b.store.batches.unread),
			b.tx.StmtContext(b.ctx, b.store.batches.mentioned), m)
		if err != nil {
			return err
		}
		b.tellUser(m.UserID, &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_State{State: &chatv1.ConversationState{
			Conversation: c.proto(), Membership: membership(m, messages, mentions),
		}}})
		return nil
	}
	b.tellUser(m.UserID, &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_State{State: leftState(c.ID, c.Kind)}})
	return nil
}

// UpdateSettings changes how p has a conversation; only what mask names. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND),
// INVALID_ARGUMENT.
func (s *Service) UpdateSettings(
	ctx context.Context, p authn.Principal, id string, settings *chatv1.MemberSettings, mask []string,
) (*chatv1.Membership, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	if len(mask) == 0 {
		mask = []string{"silent", "pinned", "archived"}
	}
	var m Member
	err := s.writer.change(ctx, func(b *batch) error {
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
		for _, path := range mask {
			switch path {
			case "silent":
				m.Silent = settings.GetSilent()
			case "pinned":
				m.Pinned = settings.GetPinned()
			case "archived":
				m.Archived = settings.GetArchived()
			default:
				return invalid("update_mask: %q cannot be changed", path)
			}
		}
		m.Version = b.number
		if err := b.putMember(m); err != nil {
			return err
		}
		return s.tellOwn(b, c, m)
	})
	if err != nil {
		return nil, err
	}
	return s.membershipNow(ctx, m)
}
