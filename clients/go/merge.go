package stoa

import (
	"cmp"
	"context"
	"log/slog"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// take takes in what was pushed: what the device has is dropped, what it lacks before it is pulled.
func (c *Chat) take(events []*edgev1.Event) {
	var rest []*edgev1.Event
	for _, event := range events {
		if !c.takeOne(event) {
			rest = append(rest, event)
		}
	}
	c.flush()
	if len(rest) > 0 && c.options.OnEvents != nil && c.conn.ctx.Err() == nil {
		c.options.OnEvents(rest)
	}
}

// takeOne reports whether an event becomes an update.
func (c *Chat) takeOne(event *edgev1.Event) bool {
	if own := event.GetOwn(); own != nil {
		switch kind := own.GetKind().(type) {
		case *chatv1.OwnEvent_State:
			facts := kind.State.GetConversation()
			if !c.late(facts.GetId(), own.GetCommit()) && c.state(kind.State, facts.GetLastSeq()) {
				c.pull(facts.GetId())
			}
		case *chatv1.OwnEvent_Hidden:
			c.takeHidden(kind.Hidden)
		default:
			return false
		}
		return true
	}
	id := event.GetChat().GetConversationId()
	switch kind := event.GetChat().GetKind().(type) {
	case *chatv1.Event_Message:
		if have, ok := c.known(id, kind.Message.GetEpoch()); ok {
			c.takeMessage(have, kind.Message)
		}
	case *chatv1.Event_MessageChanged:
		if have, ok := c.known(id, kind.MessageChanged.GetEpoch()); ok {
			c.takeChange(have, kind.MessageChanged)
		}
	case *chatv1.Event_ChangedTo:
		c.pullSoon(id, kind.ChangedTo)
	case *chatv1.Event_Conversation:
		if c.late(id, event.GetChat().GetCommit()) {
			break
		}
		if _, ok := c.known(id, kind.Conversation.GetEpoch()); ok {
			c.merge(id).learn(&chatv1.ConversationState{Conversation: kind.Conversation})
		}
	default:
		return false
	}
	return true
}

// late reports whether what is told of a conversation is older than what the device knows: it was synced, or told before.
func (c *Chat) late(id string, commit int64) bool {
	if commit == 0 {
		return false
	}
	if _, room := c.room(id); !room && commit <= c.cursor { // Sync knows nothing of rooms
		return true
	}
	if commit < c.told[id] {
		return true
	}
	c.told[id] = commit
	return false
}

// known returns what the device has of a conversation that it knows, with this history. Another one it gets to know,
// together with what was just told of it.
func (c *Chat) known(id string, epoch int64) (*Position, bool) {
	if entry, ok := c.room(id); ok && !entry.ready {
		return nil, false // it is about to be pulled
	}
	if have := c.have[id]; have != nil && have.Epoch == epoch {
		return have, true
	}
	c.adopt(id, nil)
	return nil, false
}

func (c *Chat) takeMessage(have *Position, m *chatv1.Message) {
	switch {
	case m.GetSeq() <= have.Seq: // again
	case m.GetSeq() == have.Seq+1:
		u := c.merge(m.GetConversationId())
		u.Messages = append(u.Messages, m)
		have.Seq++
	default:
		c.pull(m.GetConversationId())
	}
}

func (c *Chat) takeChange(have *Position, m *chatv1.Message) {
	switch {
	case m.GetChange() <= have.Change: // again
	case m.GetChange() == have.Change+1 && m.GetSeq() <= have.Seq:
		u := c.merge(m.GetConversationId())
		u.Changed = append(u.Changed, m)
		have.Change++
	default:
		c.pull(m.GetConversationId())
	}
}

func (c *Chat) takeHidden(h *chatv1.Hidden) {
	have := c.have[h.GetConversationId()]
	switch {
	case have == nil: // its state is told as well
	case h.GetHiddenChange() <= have.Hidden: // again
	case h.GetHiddenChange() == have.Hidden+1:
		u := c.merge(h.GetConversationId())
		u.HiddenSeqs = append(u.HiddenSeqs, h.GetSeqs()...)
		have.Hidden++
	default:
		c.pullHidden(h.GetConversationId())
	}
}

// merge returns the update of a conversation that waits to be saved, having saved that of any other one.
func (c *Chat) merge(id string) *Update {
	if c.merged != nil && c.merged.ConversationID != id {
		c.flush()
	}
	if c.merged == nil {
		c.merged = &Update{ConversationID: id, before: *c.have[id]}
	}
	return c.merged
}

// flush saves and tells the update that waits.
func (c *Chat) flush() {
	u := c.merged
	c.merged = nil
	if u == nil {
		return
	}
	if !u.Gone {
		u.Position = *c.have[u.ConversationID]
	}
	if u.empty() || !c.keep("update", func(ctx context.Context) error { return c.store.Save(ctx, *u) }) {
		return
	}
	if c.options.OnUpdate != nil {
		c.options.OnUpdate(*u)
	}
}

// learn takes in what is told of the conversation, as far as it is told.
func (u *Update) learn(state *chatv1.ConversationState) {
	u.State = &chatv1.ConversationState{
		Conversation: cmp.Or(state.GetConversation(), u.State.GetConversation()),
		Membership:   cmp.Or(state.GetMembership(), u.State.GetMembership()),
		LastMessage:  cmp.Or(state.GetLastMessage(), u.State.GetLastMessage()),
	}
}

// showsBefore reports whether the update is of a conversation and has messages before one of its numbers.
func (u *Update) showsBefore(id string, seq int64) bool {
	return u != nil && u.ConversationID == id && len(u.Messages) > 0 && u.Messages[0].GetSeq() < seq
}

func (u *Update) empty() bool {
	return !u.Gone && !u.Reset && u.State == nil && len(u.Messages) == 0 && len(u.Changed) == 0 &&
		len(u.HiddenSeqs) == 0 && u.Position == u.before
}

// keep has the store keep something, however often it fails; false once the chat is closed.
func (c *Chat) keep(what string, save func(ctx context.Context) error) bool {
	for tries := 0; ; tries++ {
		if c.conn.ctx.Err() != nil {
			return false
		}
		err := save(c.conn.ctx)
		if err == nil {
			return true
		}
		c.logger.LogAttrs(c.conn.ctx, slog.LevelError, what+" not saved", slog.String("cause", err.Error()))
		pause(c.conn.ctx, c.backoff(tries))
	}
}
