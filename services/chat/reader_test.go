package chat_test

import (
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// TestAForwardedMessageIsNotEdited holds who forwards to what was written.
func TestAForwardedMessageIsNotEdited(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id, other := n.group("ann", nil, "bob"), n.direct("bob", "cid")
	first := n.say("ann", id, "first", "what ann wrote").GetSeq()
	own := n.say("bob", id, "own", "what bob wrote").GetSeq()
	res, err := n.as("bob").ForwardMessages(t.Context(), &chatv1.ForwardMessagesRequest{
		FromConversationId: id, Seqs: []int64{first, own}, ToConversationId: other, RequestId: "a-forward",
	})
	n.must(err)
	for _, m := range res.GetMessages() {
		_, err := n.as("bob").EditMessage(t.Context(), &chatv1.EditMessageRequest{
			ConversationId: other, Seq: m.GetSeq(), Content: text("what nobody wrote"),
		})
		assertRefused(t, "an edit of a forwarded message", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	}
	if got := n.page("cid", other); got[0].GetContent().GetText().GetText() != "what ann wrote" || got[0].GetEditedAt() != nil {
		t.Errorf("it is %v", got[0])
	}
	n.recall("bob", other, res.GetMessages()[0].GetSeq()) // it is bob's to take back
	n.recall("ann", id, first)                            // and not gone with the first
	if got := n.page("cid", other); !got[0].GetDeleted() || got[1].GetDeleted() {
		t.Errorf("they are %v", got)
	}
}

// TestWhoseSignsAreMine reads a message with signs of two users over every path.
func TestWhoseSignsAreMine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid")
	said := n.say("ann", id, "with signs", "x")
	old := n.phone("bob")
	old.sync(100)
	sign := func(user, key string) *chatv1.Message {
		res, err := n.as(user).SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: said.GetSeq(), Key: key})
		n.must(err)
		return res.GetMessage()
	}
	sign("ann", "A")
	afterBob := sign("bob", "B")
	sign("ann", "B")
	afterAnn := sign("ann", "C")
	_, err := n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"cid"}})
	n.must(err)
	_, err = n.as("ann").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: said.GetSeq()})
	n.must(err)
	// Later than the signs, so that it is the last message no more than once.
	pinned := n.state("bob", id).GetLastMessage().GetSeq()
	_, err = n.as("bob").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{pinned}})
	n.must(err)
	_, err = n.as("ann").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{pinned}})
	n.must(err)
	assertMine := func(path string, m *chatv1.Message, want ...string) {
		t.Helper()
		var got []string
		for _, r := range m.GetReactions() {
			if r.GetMine() {
				got = append(got, r.GetKey())
			}
		}
		if m.GetSeq() != said.GetSeq() || len(m.GetReactions()) < len(want) || len(got) != len(want) || (len(got) > 0 && got[len(got)-1] != want[len(want)-1]) {
			t.Errorf("%s: %v of %v are mine, want %v", path, got, m, want)
		}
	}
	assertMine("SetReaction", afterBob, "B")
	assertMine("SetReaction", afterAnn, "A", "B", "C")
	for user, want := range map[string][]string{"ann": {"A", "B", "C"}, "bob": {"B"}, "cid": nil} {
		list, err := n.as(user).ListMessages(ctx, &chatv1.ListMessagesRequest{
			ConversationId: id, From: &chatv1.ListMessagesRequest_After{After: at(said.GetSeq() - 1)}, PageSize: 1,
		})
		n.must(err)
		assertMine("ListMessages", list.GetMessages()[0], want...)
		pins, err := n.as(user).ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: id})
		n.must(err)
		assertMine("ListPins", pins.GetMessages()[0], want...)
		if user != "cid" {
			assertMine("GetConversation", n.state(user, id).GetLastMessage(), want...)
			page, err := n.as(user).Sync(ctx, &chatv1.SyncRequest{})
			n.must(err)
			assertMine("Sync", page.GetStates()[0].GetLastMessage(), want...)
		}
		fresh := n.phone(user)
		fresh.sync(100)
		assertMine("PullMessages, a new device", fresh.said[id][said.GetSeq()], want...)
	}
	// A page that ends within the changes marks them as well.
	for _, size := range []int32{1, 100} {
		res, err := n.as("bob").PullMessages(ctx, &chatv1.PullMessagesRequest{
			Have: []*chatv1.Have{{ConversationId: id, Position: at(said.GetSeq())}}, PageSize: size,
		})
		n.must(err)
		assertMine("PullMessages, changes", res.GetConversations()[0].GetChanged()[0], "B")
	}
	old.sync(1)
	assertMine("PullMessages, an old device", old.said[id][said.GetSeq()], "B")
	again, err := n.as("ann").SendMessage(ctx, sending(id, "with signs", "x"))
	n.must(err)
	assertMine("SendMessage again", again.GetMessage(), "A", "B", "C")
	edited, err := n.as("ann").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: said.GetSeq(), Content: text("y")})
	n.must(err)
	assertMine("EditMessage", edited.GetMessage(), "A", "B", "C")
	last := n.state("ann", id).GetConversation().GetLastChange()
	n.eventually("all changes were told", func() bool {
		for _, events := range told() {
			for _, e := range events.GetEvents() {
				if e.GetMessageChanged().GetChange() == last {
					return true
				}
			}
		}
		return false
	})
	for _, events := range told() { // nobody's
		for _, e := range events.GetEvents() {
			if m := e.GetMessageChanged(); m != nil {
				assertMine("a push", m)
			}
		}
	}
}

// TestCursors asks from where Sync goes on.
func TestCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	sync := func(user string, cursor int64) *chatv1.SyncResponse {
		t.Helper()
		res, err := n.as(user).Sync(ctx, &chatv1.SyncRequest{Cursor: cursor})
		n.must(err)
		return res
	}
	for i := range 5 {
		n.send("ann", string(rune('a'+i))+"-room", "x")
	}
	head := w.number("SELECT number FROM counters")
	// Somebody without conversations is as far as the store is.
	empty := sync("new", 0)
	if empty.GetCursor() != head || !empty.GetDone() || empty.GetRestart() || len(empty.GetStates()) != 0 {
		t.Errorf("without conversations: %v, want cursor %d", empty, head)
	}
	id := n.direct("ann", "new")
	if got := sync("new", empty.GetCursor()); len(got.GetStates()) != 1 || got.GetStates()[0].GetConversation().GetId() != id {
		t.Errorf("the first conversation after that: %v", got)
	}
	group := n.group("bob", nil, "new")
	_, err := n.groups("bob").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: group, UserIds: []string{"new"}})
	n.must(err)
	whole := sync("new", 0)
	if whole.GetCursor() != w.number("SELECT number FROM counters") {
		t.Errorf("a whole list ends at %d", whole.GetCursor())
	}
	if again := sync("new", whole.GetCursor()); again.GetCursor() != whole.GetCursor() || len(again.GetStates()) != 0 || !again.GetDone() {
		t.Errorf("nothing happened, and it is told %v", again)
	}
	// A cursor of a history that was lost.
	for _, cursor := range []int64{whole.GetCursor() + 1, 1 << 60} {
		res := sync("new", cursor)
		if !res.GetRestart() || !res.GetDone() || res.GetCursor() != whole.GetCursor() || len(res.GetStates()) != 1 ||
			res.GetStates()[0].GetConversation().GetId() != id {
			t.Errorf("cursor %d of another history: %v", cursor, res)
		}
	}
	// In pages, each of which is asked for from the one before: it is said once.
	for i := range 3 {
		n.direct("new", string(rune('x'+i)))
	}
	restarts, seen := 0, 0
	for cursor, done := int64(1<<40), false; !done; {
		res, err := n.as("new").Sync(ctx, &chatv1.SyncRequest{Cursor: cursor, PageSize: 1})
		n.must(err)
		if res.GetRestart() {
			restarts++
		}
		for _, s := range res.GetStates() {
			if s.GetMembership().GetRole() != chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
				seen++
			}
		}
		cursor, done = res.GetCursor(), res.GetDone()
	}
	if restarts != 1 || seen != 4 {
		t.Errorf("%d restarts, and %d conversations in pages", restarts, seen)
	}
}

// TestWhatOneDidIsNotUnread counts what is unread after acts that the server tells of.
func TestWhatOneDidIsNotUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.UserEvents](w, chat.TopicUserEvents)
	ctx := t.Context()
	id := n.group("ann", nil, "bob")
	unread := func(user string, want int32) {
		t.Helper()
		if got := n.state(user, id).GetMembership().GetUnreadCount(); got != want {
			t.Errorf("%d unread for %s, want %d", got, user, want)
		}
	}
	unread("ann", 0) // she made it
	unread("bob", 1)
	n.say("bob", id, "system-4", "x") // takes no number of the server's own messages
	_, err := n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"cid"}})
	n.must(err)
	unread("ann", 1) // what bob said
	unread("bob", 2)
	_, err = n.groups("cid").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
	n.must(err)
	unread("ann", 2)
	unread("bob", 3)
	_, err = n.groups("ann").TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: id, UserId: "bob"})
	n.must(err)
	unread("ann", 2)
	unread("bob", 4)
	// What the devices are told when a position moves is counted the same way.
	_, err = n.as("ann").AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: 1}}})
	n.must(err)
	n.eventually("her devices are told of two", func() bool {
		for _, events := range told() {
			for _, e := range events.GetEvents() {
				if m := e.GetState().GetMembership(); events.GetUserId() == "ann" && m.GetReadSeq() == 1 && m.GetUnreadCount() == 2 {
					return true
				}
			}
		}
		return false
	})
	if got := n.reads("ann", id); len(got) != 5 {
		t.Errorf("she reads %v", got)
	}
}
