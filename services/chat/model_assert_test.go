package chat_test

import (
	"slices"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// assertDevice holds a device that just synced to the model. What its user hid it has all the same: ListHidden tells.
func (r *run) assertDevice(p *phone) {
	for _, c := range r.talks {
		s, state := c.side(p.user), p.states[c.id]
		if (state != nil) != c.member(p.user) {
			r.Fatalf("%s is %v in %s, and the device says %v", p.user, s.role, c.id, state)
		}
		if state == nil {
			continue
		}
		facts, mine := state.GetConversation(), state.GetMembership()
		if facts.GetLastSeq() != c.last() || mine.GetRole() != s.role || mine.GetFirstSeq() != s.from() ||
			(mine.GetMutedUntil() != nil) != s.muted || facts.GetSettings().GetMutedAll() != c.mutedAll {
			r.Fatalf("%s has %v, want %d messages of %+v", p.user, state, c.last(), s)
		}
		if want := max(0, c.last()-s.from()+1); int64(len(p.said[c.id])) != want {
			r.Fatalf("%s has %d messages of %s, want %d", p.user, len(p.said[c.id]), c.id, want)
		}
		for seq := s.from(); seq <= c.last(); seq++ {
			got := p.said[c.id][seq]
			// A device that had the words of a quote keeps them when its user clears what is quoted.
			r.compare(c, p.user, seq, got, got.GetReplyTo().GetExcerpt() != "")
		}
	}
}

// compare holds a message to the model, as a user sees it; quotes says whether a quote of what they cleared has its words.
func (r *run) compare(c *talk, user string, seq int64, got *chatv1.Message, quotes bool) {
	want := c.at(seq)
	wrong := func(what string) {
		r.Fatalf("%s of message %d in %s, for %s: it is %v, want %+v", what, seq, c.id, user, got, want)
	}
	if got.GetSeq() != seq || got.GetDeleted() != want.gone {
		wrong("the place")
	}
	if want.gone {
		if got.GetContent() != nil || got.GetReplyTo() != nil || got.GetMentions() != nil || len(got.GetReactions()) > 0 || got.GetPinned() {
			wrong("what is left")
		}
		return
	}
	if (got.GetContent().GetSystem() != nil) != (want.sender == "") || got.GetSender().GetId() != want.sender ||
		got.GetContent().GetText().GetText() != want.text {
		wrong("the words")
	}
	excerpt := want.excerpt
	if want.answers < c.side(user).from() && !quotes {
		excerpt = ""
	}
	if q := got.GetReplyTo(); q.GetSeq() != want.answers || q.GetExcerpt() != excerpt || (q.GetSender() != nil) != (excerpt != "") {
		wrong("the quote")
	}
	if got.GetOrigin().GetSender().GetId() != want.origin || got.GetPinned() != want.pinned ||
		got.GetMentions().GetAll() != want.meansAll || !slices.Equal(got.GetMentions().GetUserIds(), want.means) {
		wrong("the origin, the pin or the mentions")
	}
	var signs int
	var mine bool
	for _, sign := range got.GetReactions() {
		signs, mine = signs+int(sign.GetCount()), sign.GetMine()
	}
	if signs != len(want.signs) || mine != want.signs[user] {
		wrong("the signs")
	}
}

// assertPages holds what members read in pages to the model: the history and the board.
func (r *run) assertPages(c *talk) {
	for _, user := range r.people {
		if !c.member(user) {
			continue
		}
		s := c.side(user)
		var want []int64
		for seq := s.from(); seq <= c.last(); seq++ {
			if !s.hidden[seq] {
				want = append(want, seq)
			}
		}
		res, err := r.n.as(user).ListMessages(r.n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: c.id, PageSize: 200})
		if err != nil {
			r.Fatal(err)
		}
		r.list(c, user, "messages", res.GetMessages(), want)
		want = nil
		for _, seq := range slices.Backward(c.pins) {
			if seq >= s.from() && !s.hidden[seq] {
				want = append(want, seq)
			}
		}
		board, err := r.n.as(user).ListPins(r.n.t.Context(), &chatv1.ListPinsRequest{ConversationId: c.id})
		if err != nil {
			r.Fatal(err)
		}
		r.list(c, user, "pins", board.GetMessages(), want)
	}
}

func (r *run) list(c *talk, user, what string, messages []*chatv1.Message, want []int64) {
	var got []int64
	for _, m := range messages {
		got = append(got, m.GetSeq())
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%s reads the %s %v of %s, want %v", user, what, got, c.id, want)
	}
	for _, m := range messages {
		r.compare(c, user, m.GetSeq(), m, false)
	}
}

// assertUnread holds what members have not read to the model.
func (r *run) assertUnread(c *talk) {
	for _, user := range r.people {
		if !c.member(user) {
			continue
		}
		mine := r.n.state(user, c.id).GetMembership()
		if n, mentions := c.unread(user); mine.GetUnreadCount() != n || mine.GetUnreadMentions() != mentions {
			r.Fatalf("%s has %d unread messages and %d mentions in %s, want %d and %d",
				user, mine.GetUnreadCount(), mine.GetUnreadMentions(), c.id, n, mentions)
		}
	}
}

// lastChange is the number of the last change in a conversation, as a member has it.
func (r *run) lastChange(c *talk) int64 {
	for _, user := range r.people {
		if c.member(user) {
			return r.n.state(user, c.id).GetConversation().GetLastChange()
		}
	}
	r.Fatalf("%s has no members", c.id)
	return 0
}

// assertTold holds what was told of a conversation to those who hear it: changes come without gaps, and nothing shows what
// lies before the last member who came.
func (r *run) assertTold(c *talk, told []*chatv1.ConversationEvents, last int64) {
	var seq, change int64
	sees := func(m *chatv1.Message) bool {
		shared := int64(1) // who came before the last message that was told did so for sure
		for _, from := range c.raised {
			if from <= seq {
				shared = from
			}
		}
		return m.GetSeq() >= shared && (m.GetReplyTo().GetSender() == nil || m.GetReplyTo().GetSeq() >= shared)
	}
	for _, events := range told {
		if events.GetConversationId() != c.id {
			continue
		}
		for _, e := range events.GetEvents() {
			switch kind := e.GetKind().(type) {
			case *chatv1.Event_Message:
				if seq = max(seq, kind.Message.GetSeq()); !sees(kind.Message) {
					r.Fatalf("people came at %v, and all are told of %v", c.raised, kind.Message)
				}
			case *chatv1.Event_MessageChanged:
				if number := kind.MessageChanged.GetChange(); number > change+1 {
					r.Fatalf("change %d is told after %d", number, change)
				}
				if change = max(change, kind.MessageChanged.GetChange()); !sees(kind.MessageChanged) {
					r.Fatalf("people came at %v, and all are told of %v", c.raised, kind.MessageChanged)
				}
			case *chatv1.Event_ChangedTo:
				change = max(change, kind.ChangedTo)
			}
		}
	}
	if change != last {
		r.Fatalf("told of changes up to %d, and there are %d", change, last)
	}
}
