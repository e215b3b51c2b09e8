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

// AdvancePositions moves p's positions in conversations forward, and never back, and returns where they are, in the order
// asked. Errors: OUT_OF_RANGE (POSITION_UNKNOWN) and RESOURCE_EXHAUSTED (RATE_LIMITED), with nothing changed, UNAVAILABLE.
func (s *Service) AdvancePositions(
	ctx context.Context, p authn.Principal, advances []*chatv1.Advance,
) ([]*chatv1.AdvancedPosition, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	wanted := mergedAdvances(p.UserID, advances)
	if err := s.limits.move(p.UserID, len(wanted)); err != nil {
		return nil, err
	}
	var ahead []Member
	for _, to := range wanted {
		v, err := s.see(ctx, p, to.ConversationID)
		if err != nil && !errors.Is(err, conversationNotFound()) {
			return nil, err
		}
		// What is known may be old, but positions do not go back: who is there already moves nothing.
		if err == nil && v.hasMembers() && v.Member.behind(to) {
			ahead = append(ahead, to)
		}
	}
	if len(ahead) > 0 {
		if err := s.writer.changeMuch(ctx, moveWeight*len(ahead), func(b *batch) error {
			for _, to := range ahead {
				if err := s.advance(b, to); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	now := make(map[string]*chatv1.AdvancedPosition, len(wanted))
	for _, to := range wanted { // counted after the commit, so that nobody waits for it
		position, err := s.advanced(ctx, p, to.ConversationID)
		if err != nil {
			return nil, err
		}
		now[to.ConversationID] = position
	}
	out := make([]*chatv1.AdvancedPosition, 0, len(advances))
	for _, a := range advances {
		out = append(out, now[a.GetConversationId()])
	}
	return out, nil
}

// mergedAdvances returns the positions that a user wants to have, one for each conversation.
func mergedAdvances(userID string, advances []*chatv1.Advance) []Member {
	at := make(map[string]int, len(advances))
	merged := make([]Member, 0, len(advances))
	for _, a := range advances {
		id := a.GetConversationId()
		i, ok := at[id]
		if !ok {
			i = len(merged)
			at[id] = i
			merged = append(merged, Member{ConversationID: id, UserID: userID})
		}
		m := &merged[i]
		m.ReadSeq = max(m.ReadSeq, a.GetReadSeq())
		m.DeliveredSeq = max(m.DeliveredSeq, a.GetDeliveredSeq(), m.ReadSeq) // what was read has arrived
	}
	return merged
}

// behind reports whether a member's positions are behind those of another one.
func (m Member) behind(to Member) bool {
	return m.ReadSeq < to.ReadSeq || m.DeliveredSeq < to.DeliveredSeq
}

// advance moves a member's positions forward to others, unless they went or are there.
func (s *Service) advance(b *batch, to Member) error {
	c, err := b.conversation(to.ConversationID)
	if err != nil {
		return err
	}
	m, err := b.member(c.ID, to.UserID)
	if err != nil || !m.here() {
		return err
	}
	if last := max(to.ReadSeq, to.DeliveredSeq); last > c.LastSeq {
		return errs.New(connect.CodeOutOfRange, ReasonPositionUnknown, "conversation %q has no message %d yet", c.ID, last)
	}
	if !m.behind(to) {
		return nil
	}
	m.ReadSeq, m.DeliveredSeq, m.Version = max(m.ReadSeq, to.ReadSeq), max(m.DeliveredSeq, to.DeliveredSeq), b.number
	if _, err := b.tx().ExecContext(b.ctx, "UPDATE members SET read_seq = ?, delivered_seq = ?, version = ? "+
		"WHERE conversation_id = ? AND user_id = ?", m.ReadSeq, m.DeliveredSeq, b.number, c.ID, m.UserID); err != nil {
		return fmt.Errorf("advance position: %w", err)
	}
	if c.Kind == direct || (c.Kind == group && c.MemberCount <= readToldMost) {
		b.tell(&chatv1.Event{ConversationId: c.ID, Kind: &chatv1.Event_Read{
			Read: &chatv1.ReadTo{UserId: m.UserID, ReadSeq: m.ReadSeq, DeliveredSeq: m.DeliveredSeq},
		}})
	}
	return s.tellOwn(b, c, m)
}

// advanced is where p is in a conversation; in a live room nobody remembers that.
func (s *Service) advanced(ctx context.Context, p authn.Principal, id string) (*chatv1.AdvancedPosition, error) {
	out := &chatv1.AdvancedPosition{ConversationId: id}
	v, err := s.see(ctx, p, id)
	if errors.Is(err, conversationNotFound()) {
		out.Gone = true
		return out, nil
	}
	if err != nil || !v.hasMembers() {
		return out, err
	}
	m, err := s.store.member(ctx, id, p.UserID)
	if err != nil {
		return nil, err
	}
	if !m.here() {
		out.Gone = true
		return out, nil
	}
	out.Membership, err = s.membershipNow(ctx, m)
	return out, err
}

// tellOwn tells a member's devices how they have a conversation now.
func (s *Service) tellOwn(b *batch, c Conversation, m Member) error {
	b.onCommit(func() { s.facts.putMember(m) })
	if m.here() {
		messages, mentions, err := unread(b.ctx, b.tx().StmtContext(b.ctx, b.store.batches.unread),
			b.tx().StmtContext(b.ctx, b.store.batches.mentioned), m)
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
// INVALID_ARGUMENT, RESOURCE_EXHAUSTED (RATE_LIMITED), UNAVAILABLE.
func (s *Service) UpdateSettings(
	ctx context.Context, p authn.Principal, id string, settings *chatv1.MemberSettings, mask []string,
) (*chatv1.Membership, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	if len(mask) == 0 {
		mask = []string{"silent", "pinned", "archived"}
	}
	if err := s.limits.act(p.UserID); err != nil {
		return nil, err
	}
	var m Member
	err := s.writer.change(ctx, func(b *batch) error {
		v, err := b.see(p, id)
		if err != nil {
			return err
		}
		if !v.hasMembers() {
			return conversationNotFound()
		}
		m = v.Member
		if err := m.set(settings, mask); err != nil || m == v.Member {
			return err
		}
		m.Version = b.number
		if err := b.putMember(m); err != nil {
			return err
		}
		return s.tellOwn(b, v.Conversation, m)
	})
	if err != nil {
		return nil, err
	}
	return s.membershipNow(ctx, m)
}

// set changes what a mask names of how a member has the conversation. Errors: INVALID_ARGUMENT.
func (m *Member) set(settings *chatv1.MemberSettings, mask []string) error {
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
	return nil
}
