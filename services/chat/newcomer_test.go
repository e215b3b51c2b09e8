package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/prototext"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// secret stands in all that a newcomer may not see.
const secret = "what-was-said-before"

func (n *node) add(owner, conversation string, users ...string) {
	n.t.Helper()
	_, err := n.groups(owner).AddMembers(n.t.Context(), &chatv1.AddMembersRequest{ConversationId: conversation, UserIds: users})
	n.must(err)
}

func (n *node) react(user, conversation string, seq int64, key string) {
	n.t.Helper()
	_, err := n.as(user).SetReaction(n.t.Context(), &chatv1.SetReactionRequest{ConversationId: conversation, Seq: seq, Key: key})
	n.must(err)
}

func (n *node) pin(user, conversation string, seq int64) {
	n.t.Helper()
	_, err := n.as(user).PinMessage(n.t.Context(), &chatv1.PinMessageRequest{ConversationId: conversation, Seq: seq})
	n.must(err)
}

// changes are the events of a conversation that tell of changes.
func changes(told []*chatv1.ConversationEvents, conversation string) (all []*chatv1.Event) {
	for _, events := range told {
		for _, e := range events.GetEvents() {
			if events.GetConversationId() == conversation && (e.GetMessageChanged() != nil || e.GetChangedTo() > 0) {
				all = append(all, e)
			}
		}
	}
	return all
}

// toldTo waits until a conversation's changes were told up to one, and returns them.
func (n *node) toldTo(told func() []*chatv1.ConversationEvents, conversation string, change int64) (all []*chatv1.Event) {
	n.t.Helper()
	n.eventually(fmt.Sprint("change ", change, " is told"), func() bool {
		all = changes(told(), conversation)
		return slices.ContainsFunc(all, func(e *chatv1.Event) bool {
			return max(e.GetChangedTo(), e.GetMessageChanged().GetChange()) >= change
		})
	})
	return all
}

// TestChangesOfWhatNotAllMaySee changes messages that a member who came later may not see, in every way: what is told to
// all has none of them, and devices pull what is theirs.
func TestChangesOfWhatNotAllMaySee(t *testing.T) {
	t.Parallel()
	for _, history := range []chatv1.HistoryVisibility{
		chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN, chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL,
	} {
		t.Run(history.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(fast())
			all := history == chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL
			id := n.group("ann", &chatv1.GroupSettings{History: history}, "bob")
			old := n.say("bob", id, "old", secret).GetSeq()
			answered := n.say("bob", id, "answered", secret).GetSeq()
			for i := range 3 {
				n.answer("ann", id, fmt.Sprint("answer-", i), secret, answered)
			}
			n.add("ann", id, "dan")
			ann, dan := n.phone("ann"), n.phone("dan")
			ann.sync(100)
			dan.sync(100)
			told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
			for what, act := range map[string]func(){
				"an edit":     func() { n.edit("bob", id, old, secret+" twice") },
				"a sign":      func() { n.react("ann", id, old, secret[:9]) },
				"a pin":       func() { n.pin("ann", id, old) },
				"a recall":    func() { n.recall("bob", id, answered) }, // and three answers that quoted it
				"an old sign": func() { n.react("bob", id, answered+1, "+1") },
			} {
				before := n.state("ann", id).GetConversation().GetLastChange()
				act()
				last := n.state("ann", id).GetConversation().GetLastChange()
				events := slices.DeleteFunc(n.toldTo(told, id, last), func(e *chatv1.Event) bool {
					return max(e.GetChangedTo(), e.GetMessageChanged().GetChange()) <= before
				})
				switch {
				case all && (int64(len(events)) != last-before || events[0].GetMessageChanged() == nil):
					t.Errorf("%s, which all may see, is told as %v", what, events)
				case !all && (len(events) != 1 || events[0].GetChangedTo() != last || events[0].GetCommit() == 0):
					t.Errorf("%s, up to change %d, is told as %v", what, last, events)
				}
				for _, p := range []*phone{ann, dan} {
					p.pull([]*chatv1.Have{p.has[id]}, 1)
					if got := p.has[id].GetChange(); got != last {
						t.Errorf("%s: the device of %s has changes up to %d, want %d", what, p.user, got, last)
					}
					p.assertWhole(id)
				}
			}
			for seq, m := range dan.said[id] {
				if !all && (seq <= answered+3 || strings.Contains(prototext.Format(m), secret)) {
					t.Errorf("the newcomer has %v", m)
				}
			}
			// What all may see is told as it is.
			fresh := n.say("bob", id, "fresh", "x").GetSeq()
			n.edit("bob", id, fresh, "for everybody")
			events := n.toldTo(told, id, n.state("ann", id).GetConversation().GetLastChange())
			if m := events[len(events)-1].GetMessageChanged(); m.GetContent().GetText().GetText() != "for everybody" {
				t.Errorf("an edit that all may see is told as %v", events[len(events)-1])
			}
			if !all && strings.Contains(prototext.Format(&chatv1.ConversationEvents{Events: events}), secret[:9]) {
				t.Errorf("told to all: %v", events)
			}
			// Who deletes their own view of it takes nothing from others.
			_, err := n.as("bob").HideMessages(t.Context(), &chatv1.HideMessagesRequest{ConversationId: id, UpToSeq: fresh})
			n.must(err)
			n.react("ann", id, fresh, "+1")
			events = n.toldTo(told, id, n.state("ann", id).GetConversation().GetLastChange())
			if events[len(events)-1].GetMessageChanged().GetSeq() != fresh {
				t.Errorf("after a member hid it, a change is told as %v", events[len(events)-1])
			}
		})
	}
}

// TestQuotesOfWhatNotAllMaySee answers messages from before and after the last join.
func TestQuotesOfWhatNotAllMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	id := n.group("ann", nil, "bob")
	old := n.say("bob", id, "old", secret).GetSeq()
	if q := n.answer("ann", id, "early", secret, old).GetReplyTo(); q.GetExcerpt() != secret || q.GetSender().GetId() != "bob" {
		t.Errorf("an answer that all see whose question all see quotes %v", q)
	}
	n.add("ann", id, "dan")
	before := len(told())
	late := n.answer("ann", id, "late", "yes", old)
	assertUnquoted(t, "the answer to her", late, old)
	joinedAt := n.reads("dan", id)[0]
	n.answer("bob", id, "welcome", "welcome", joinedAt)
	next := n.say("dan", id, "next", "thanks").GetSeq()
	last := n.answer("ann", id, "last", "x", next)
	if q := last.GetReplyTo(); q.GetExcerpt() != "thanks" || q.GetSender().GetId() != "dan" {
		t.Errorf("what all see is quoted as %v", q)
	}
	for _, user := range []string{"ann", "dan"} {
		i := slices.IndexFunc(n.page(user, id), func(m *chatv1.Message) bool { return m.GetSeq() == late.GetSeq() })
		assertUnquoted(t, "a page of "+user, n.page(user, id)[i], old)
	}
	n.eventually("all was told", func() bool {
		return strings.Contains(prototext.Format(&chatv1.ConversationEvents{Events: flat(told()[before:])}), "thanks")
	})
	for _, e := range flat(told()[before:]) {
		if strings.Contains(prototext.Format(e), secret) {
			t.Errorf("told %v", e)
		}
	}
	_, err := n.as("dan").SendMessage(t.Context(), &chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: "a-strange-answer", Content: text("x"), ReplyToSeq: old,
	})
	assertRefused(t, "a newcomer answers what they do not see", err, connect.CodeNotFound, chat.ReasonMessageNotFound)
}

func flat(told []*chatv1.ConversationEvents) (all []*chatv1.Event) {
	for _, events := range told {
		all = append(all, events.GetEvents()...)
	}
	return all
}

// TestWhatWaitedIsNotToldToWhoCameMeanwhile has somebody come while the bus is away, and their device may hear the
// conversation before it is told what waited: in memory, or in the rows of the process before.
func TestWhatWaitedIsNotToldToWhoCameMeanwhile(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(fast())
			id := n.group("ann", nil, "bob")
			v := n.watchIn(n.as("ann"), id, nil)
			old := n.say("bob", id, "old", "x").GetSeq()
			v.saw(old)
			told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
			w.bus.refuse.Store(true)
			n.edit("bob", id, old, secret)
			n.say("bob", id, "waits", secret)
			n.react("ann", id, old, secret[:9])
			n.recall("bob", id, n.say("bob", id, "recalled", secret).GetSeq())
			n.add("ann", id, "dan")
			last := n.say("ann", id, "for all", "x").GetSeq()
			n.react("ann", id, last, "+1")
			change := n.state("ann", id).GetConversation().GetLastChange()
			if restart {
				n.close()
			}
			w.bus.refuse.Store(false)
			if restart {
				v.mu.Lock() // until there is somebody to ask
				n = w.boot(fast())
				v.client = n.as("ann")
				v.mu.Unlock()
			}
			n.toldTo(told, id, change)
			if all := prototext.Format(&chatv1.ConversationEvents{Events: flat(told())}); strings.Contains(all, secret[:9]) {
				t.Errorf("told %s", all)
			}
			assertRun(t, seqs(v.saw(last)), 1, last) // by the gap
			var to int64
			for _, e := range changes(told(), id) {
				switch number := e.GetMessageChanged().GetChange(); {
				case e.GetChangedTo() > to && e.GetCommit() > 0:
					to = e.GetChangedTo()
				case number == to+1:
					to = number
				default:
					t.Errorf("after change %d: %v", to, e)
				}
			}
		})
	}
}

// TestANewcomerSeesNothingFromBefore asks by every path for messages from before a member came.
func TestANewcomerSeesNothingFromBefore(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id, other := n.group("ann", nil, "bob", "dan"), n.direct("dan", "eve")
	own := n.say("dan", id, "own", secret).GetSeq() // of the first time that dan was here
	res, err := n.as("bob").SendMessage(ctx, &chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: "a-mention", Content: text(secret), Mentions: &chatv1.Mentions{UserIds: []string{"dan"}},
	})
	n.must(err)
	old := res.GetMessage().GetSeq()
	for _, seq := range []int64{own, old} {
		n.pin("ann", id, seq)
		n.react("bob", id, seq, "+1")
	}
	_, err = n.groups("dan").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	n.must(err)
	n.add("ann", id, "dan")
	_, err = n.groups("ann").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
		ConversationId: id, UserId: "dan", Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN, // whom no rank keeps from anything
	})
	n.must(err)
	dan := n.as("dan")
	for _, seq := range []int64{own, old} {
		for what, ask := range map[string]func() error{
			"ListReactions": func() error {
				_, err := dan.ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: seq})
				return err
			},
			"ListReaders": func() error {
				_, err := dan.ListReaders(ctx, &chatv1.ListReadersRequest{ConversationId: id, Seq: seq})
				return err
			},
			"SetReaction": func() error {
				_, err := dan.SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: seq, Key: "+1"})
				return err
			},
			"PinMessage": func() error {
				_, err := dan.PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: seq, Remove: true})
				return err
			},
			"RecallMessage": func() error {
				_, err := dan.RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: seq})
				return err
			},
			"EditMessage": func() error {
				_, err := dan.EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: seq, Content: text("x")})
				return err
			},
			"ForwardMessages": func() error {
				_, err := dan.ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
					FromConversationId: id, Seqs: []int64{seq}, ToConversationId: other, RequestId: "a-forward",
				})
				return err
			},
		} {
			assertRefused(t, what, ask(), connect.CodeNotFound, chat.ReasonMessageNotFound)
		}
	}
	pins, err := dan.ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: id})
	if err != nil || len(pins.GetMessages()) != 0 {
		t.Errorf("pinned: %v, %v", pins, err)
	}
	receipts, err := dan.GetReceipts(ctx, &chatv1.GetReceiptsRequest{ConversationId: id, Seqs: []int64{own, old}})
	if err != nil || len(receipts.GetReceipts()) != 0 {
		t.Errorf("receipts: %v, %v", receipts, err)
	}
	state := n.state("dan", id)
	first := state.GetMembership().GetFirstSeq()
	if m := state.GetMembership(); m.GetUnreadMentions() != 0 || m.GetUnreadCount() != 1 || state.GetLastMessage().GetSeq() != first {
		t.Errorf("the newcomer has %v", state)
	}
	for _, from := range []*chatv1.ListMessagesRequest{
		{ConversationId: id},
		{ConversationId: id, From: &chatv1.ListMessagesRequest_After{After: at(0)}},
		{ConversationId: id, From: &chatv1.ListMessagesRequest_Before{Before: at(first)}},
		{ConversationId: id, From: &chatv1.ListMessagesRequest_Before{Before: at(first + 1)}},
	} {
		page, err := dan.ListMessages(ctx, from)
		n.must(err)
		if page.GetHasMore() || slices.ContainsFunc(page.GetMessages(), func(m *chatv1.Message) bool { return m.GetSeq() < first }) {
			t.Errorf("%v: %v", from, page)
		}
	}
	pulled, err := dan.PullMessages(ctx, &chatv1.PullMessagesRequest{Have: []*chatv1.Have{{ConversationId: id, Position: at(1)}}})
	n.must(err)
	last := n.state("ann", id).GetConversation().GetLastChange()
	if got := pulled.GetConversations()[0]; len(got.GetChanged()) != 0 || got.GetChange() != last || got.GetMessages()[0].GetSeq() != first {
		t.Errorf("a device that has the first message pulls %v, want changes up to %d", got, last)
	}
}
