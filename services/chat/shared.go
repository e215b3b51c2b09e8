package chat

import (
	"context"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// What is told in a conversation is the same for all who are in it. So it has no words of messages that lie below
// Conversation.SharedFrom, which those who came later may not see. Who asks is shown what is theirs.

// shared reports whether everybody may see a message and what it quotes, where everybody sees what lies from a number on.
func shared(m *chatv1.Message, from int64) bool {
	quoted := quotedSeq(m)
	return m.GetSeq() >= from && (quoted == 0 || quoted >= from)
}

// changeEvent is how a change of a message is told to all: as the message that it is now, or by the change's number alone.
func changeEvent(m *chatv1.Message, from int64) *chatv1.Event {
	event := &chatv1.Event{ConversationId: m.GetConversationId()}
	if shared(m, from) {
		event.Kind = &chatv1.Event_MessageChanged{MessageChanged: m}
	} else {
		event.Kind = &chatv1.Event_ChangedTo{ChangedTo: m.GetChange()}
	}
	return event
}

// joined adds events to others. Of numbers of changes that follow each other, the last one says it all.
func joined(events, more []*chatv1.Event) []*chatv1.Event {
	if n := len(events); n > 0 && len(more) > 0 && events[n-1].GetChangedTo() > 0 && more[0].GetChangedTo() > 0 {
		events = events[:n-1]
	}
	return append(events, more...)
}

// unquoteBelow takes words out of quotes of messages below a number. Answers that are older than the rule for quotes may
// have them.
func unquoteBelow(messages []*chatv1.Message, from int64) {
	for _, m := range messages {
		if seq := quotedSeq(m); seq > 0 && seq < from {
			unquote(m)
		}
	}
}

// forMember makes messages that were read those of one member, from whose first one they are: without words of what lies
// before it, and with the member's own signs marked.
func (s *Service) forMember(ctx context.Context, m Member, messages []*chatv1.Message) error {
	unquoteBelow(messages, m.first())
	return s.markMine(ctx, m.ConversationID, m.UserID, messages)
}

// raise is a commit that let somebody see a conversation from a later message on.
type raise struct {
	commit, sharedFrom int64
}
