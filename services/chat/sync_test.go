package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

func TestADeviceIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	var all []string
	for i := range 9 {
		all = append(all, n.direct("ann", fmt.Sprint("friend-", i)))
	}
	group := n.group("bob", nil, "ann")
	all = append(all, group)
	for i := range 40 {
		n.say("ann", all[i%len(all)], fmt.Sprint("first-", i), "x")
	}
	for _, page := range []int32{1, 3, 100} {
		p := n.phone("ann")
		p.sync(page)
		for _, id := range all {
			p.assertWhole(id)
		}
		if len(p.states) != len(all) {
			t.Errorf("pages of %d: %d conversations", page, len(p.states))
		}
	}
	p := n.phone("ann")
	p.sync(100)
	p.calls = 0
	p.sync(100)
	if p.calls != 1 {
		t.Errorf("nothing changed, and it took %d calls", p.calls)
	}
	// New messages, changes of old ones, and another conversation, while it was away; and a restart between.
	n.say("ann", all[2], "second", "x")
	_, err := n.as("ann").EditMessage(t.Context(), &chatv1.EditMessageRequest{ConversationId: all[3], Seq: 1, Content: text("edited")})
	n.must(err)
	_, err = n.as("ann").RecallMessage(t.Context(), &chatv1.RecallMessageRequest{ConversationId: all[4], Seq: 1})
	n.must(err)
	n.close()
	n = w.boot(fast())
	p.n = n
	_, err = n.as("friend-5").SetReaction(t.Context(), &chatv1.SetReactionRequest{ConversationId: all[5], Seq: 1, Key: "👍"})
	n.must(err)
	late := n.direct("cid", "ann")
	n.say("cid", late, "hello", "hello")
	p.sync(2)
	for _, id := range append(all, late) {
		p.assertWhole(id)
	}
	// She is taken out: the old device is told, a new one hears nothing of it.
	_, err = n.groups("bob").RemoveMembers(t.Context(), &chatv1.RemoveMembersRequest{ConversationId: group, UserIds: []string{"ann"}})
	n.must(err)
	n.say("bob", group, "without her", "x")
	p.sync(100)
	fresh := n.phone("ann")
	fresh.sync(100)
	if p.states[group] != nil || fresh.states[group] != nil || len(fresh.states) != len(all) {
		t.Errorf("the devices have %d and %d conversations", len(p.states), len(fresh.states))
	}
}

func TestPagesOfPulledMessages(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.direct("ann", "bob")
	for i := range 30 {
		_, err := n.as("ann").SendMessage(t.Context(), &chatv1.SendMessageRequest{
			ConversationId: id, ClientMsgId: fmt.Sprint("large-one-", i), Content: text(strings.Repeat("x", 5000)),
		})
		n.must(err)
	}
	for i := range 50 {
		_, err := n.as("ann").SendMessage(t.Context(), &chatv1.SendMessageRequest{
			ConversationId: id, ClientMsgId: fmt.Sprint("custom-one-", i),
			Content: &chatv1.Content{Kind: &chatv1.Content_Custom{Custom: &chatv1.CustomContent{Type: "blob", Data: make([]byte, 16<<10)}}},
		})
		n.must(err)
	}
	res, err := n.as("bob").PullMessages(t.Context(), &chatv1.PullMessagesRequest{Have: []*chatv1.Have{{ConversationId: id}}, PageSize: 2000})
	n.must(err)
	if size := proto.Size(res); !res.GetHasMore() || size > 600<<10 {
		t.Errorf("a page of %d bytes, more: %v", size, res.GetHasMore())
	}
	p := n.phone("bob")
	p.sync(100)
	p.assertWhole(id)
	other, err := n.as("bob").PullMessages(t.Context(), &chatv1.PullMessagesRequest{
		Have: []*chatv1.Have{{ConversationId: id, Position: &chatv1.Position{Epoch: 7, Seq: 80}}}, PageSize: 3,
	})
	n.must(err)
	if c := other.GetConversations()[0]; c.GetEpoch() != 1 || c.GetMessages()[0].GetSeq() != 1 {
		t.Errorf("of another epoch: %v", c)
	}
}

func TestPositionsFollowTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.UserEvents](w, chat.TopicUserEvents)
	id := n.group("ann", nil, "bob", "cid")
	before := n.state("bob", id).GetConversation().GetLastSeq()
	for i := range 5 {
		n.say("ann", id, fmt.Sprint("news-", i), "x")
	}
	_, err := n.as("ann").SendMessage(t.Context(), &chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: "you there", Content: text("you there?"), Mentions: &chatv1.Mentions{UserIds: []string{"bob"}},
	})
	n.must(err)
	_, err = n.as("ann").SendMessage(t.Context(), &chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: "everyone", Content: text("all!"), Mentions: &chatv1.Mentions{All: true},
	})
	n.must(err)
	n.say("bob", id, "mine", "I am")
	m := n.state("bob", id).GetMembership()
	if m.GetUnreadMentions() != 2 || m.GetUnreadCount() < 7 {
		t.Errorf("unread: %v", m)
	}
	read := func(user string, seq int64) (*chatv1.Membership, error) {
		res, err := n.as(user).AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{
			Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: seq}},
		})
		if err != nil {
			return nil, err
		}
		return res.GetPositions()[0].GetMembership(), nil
	}
	at := before + 6
	if m, err = read("bob", at); err != nil || m.GetReadSeq() != at || m.GetDeliveredSeq() != at || m.GetUnreadCount() != 1 || m.GetUnreadMentions() != 1 {
		t.Errorf("after reading: %v, %v", m, err)
	}
	n.eventually("his other devices know", func() bool {
		return slices.ContainsFunc(told(), func(e *chatv1.UserEvents) bool {
			return e.GetUserId() == "bob" && slices.ContainsFunc(e.GetEvents(), func(o *chatv1.OwnEvent) bool {
				return o.GetState().GetMembership().GetReadSeq() == at
			})
		})
	})
	if m, err = read("bob", 1); err != nil || m.GetReadSeq() != at {
		t.Errorf("it went back: %v, %v", m, err)
	}
	_, err = read("bob", 1000)
	assertRefused(t, "what was never sent", err, connect.CodeOutOfRange, chat.ReasonPositionUnknown)
	receipts, err := n.as("ann").GetReceipts(t.Context(), &chatv1.GetReceiptsRequest{ConversationId: id, Seqs: []int64{at, at + 1}})
	if err != nil || len(receipts.GetReceipts()) != 2 || receipts.GetReceipts()[0].GetReadCount() != 1 || receipts.GetReceipts()[1].GetReadCount() != 0 {
		t.Errorf("receipts: %v, %v", receipts, err)
	}
	_, err = read("cid", at)
	n.must(err)
	var readers []string
	for token := ""; ; {
		page, err := n.as("ann").ListReaders(t.Context(), &chatv1.ListReadersRequest{ConversationId: id, Seq: at, PageSize: 1, PageToken: token})
		n.must(err)
		for _, u := range page.GetReaders() {
			readers = append(readers, u.GetNickname())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(readers, []string{"bob", "cid"}) {
		t.Errorf("readers: %v", readers)
	}
	_, err = n.as("bob").ListReaders(t.Context(), &chatv1.ListReadersRequest{ConversationId: id, Seq: at})
	assertRefused(t, "who read another's", err, connect.CodePermissionDenied, errs.ReasonForbidden)
}

func TestMessagesChange(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob")
	first := n.say("bob", id, "first", "helo")
	v := n.watchIn(n.as("ann"), id, &chatv1.Position{Epoch: 1, Seq: first.GetSeq()})
	edit := func(user, s string) (*chatv1.Message, error) {
		res, err := n.as(user).EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: first.GetSeq(), Content: text(s)})
		return res.GetMessage(), err
	}
	if m, err := edit("bob", "hello"); err != nil || m.GetContent().GetText().GetText() != "hello" || m.GetEditedAt() == nil || m.GetChange() != 1 {
		t.Errorf("edited: %v, %v", m, err)
	}
	_, err := edit("ann", "mine")
	assertRefused(t, "another's", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	reply, err := n.as("ann").SendMessage(ctx, &chatv1.SendMessageRequest{
		ConversationId: id, ClientMsgId: "an answer", Content: text("hi"), ReplyToSeq: first.GetSeq(),
	})
	if err != nil || reply.GetMessage().GetReplyTo().GetExcerpt() != "hello" || reply.GetMessage().GetReplyTo().GetSender().GetId() != "bob" {
		t.Errorf("answered: %v, %v", reply, err)
	}
	react := func(user, key string, remove bool) (*chatv1.Message, error) {
		res, err := n.as(user).SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: first.GetSeq(), Key: key, Remove: remove})
		return res.GetMessage(), err
	}
	for range 2 {
		_, err = react("ann", "👍", false)
		n.must(err)
	}
	m, err := react("bob", "👍", false)
	if err != nil || len(m.GetReactions()) != 1 || m.GetReactions()[0].GetCount() != 2 || !m.GetReactions()[0].GetMine() {
		t.Errorf("reacted: %v, %v", m, err)
	}
	if m, err = react("bob", "👍", true); err != nil || m.GetReactions()[0].GetCount() != 1 || m.GetReactions()[0].GetMine() {
		t.Errorf("taken back: %v, %v", m, err)
	}
	for i := range 19 {
		_, err = react("bob", fmt.Sprint("sign-", i), false)
		n.must(err)
	}
	_, err = react("bob", "one-more", false)
	assertRefused(t, "a kind too many", err, connect.CodeResourceExhausted, chat.ReasonTooManyReactions)
	who, err := n.as("bob").ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: first.GetSeq(), Key: "👍"})
	if err != nil || len(who.GetReactions()) != 1 || who.GetReactions()[0].GetUser().GetNickname() != "ann" {
		t.Errorf("who: %v, %v", who, err)
	}
	_, err = n.as("bob").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: first.GetSeq()})
	assertRefused(t, "a member pins", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	_, err = n.as("ann").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: first.GetSeq()})
	n.must(err)
	pins, err := n.as("bob").ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: id})
	if err != nil || len(pins.GetMessages()) != 1 || !pins.GetMessages()[0].GetPinned() {
		t.Errorf("pins: %v, %v", pins, err)
	}
	forward := &chatv1.ForwardMessagesRequest{
		FromConversationId: id, Seqs: []int64{first.GetSeq(), reply.GetMessage().GetSeq()}, ToConversationId: n.direct("bob", "cid"), RequestId: "forward-1",
	}
	one, err := n.as("bob").ForwardMessages(ctx, forward)
	n.must(err)
	two, err := n.as("bob").ForwardMessages(ctx, forward)
	if err != nil || !proto.Equal(one, two) || len(one.GetMessages()) != 2 || one.GetMessages()[0].GetOrigin().GetSender().GetId() != "bob" {
		t.Errorf("forwarded %v, again %v, %v", one, two, err)
	}
	// The board, what it is meant for, signs and words go with the message.
	gone, err := n.as("ann").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: first.GetSeq()})
	if err != nil || !gone.GetMessage().GetDeleted() || gone.GetMessage().GetContent() != nil || gone.GetMessage().GetSender() != nil || len(gone.GetMessage().GetReactions()) != 0 {
		t.Errorf("recalled by an admin: %v, %v", gone, err)
	}
	if pins, err = n.as("bob").ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: id}); err != nil || len(pins.GetMessages()) != 0 {
		t.Errorf("pins: %v, %v", pins, err)
	}
	v.until("all changes were told, without a gap", func(events []*chatv1.Event) bool {
		var last int64
		for _, e := range events {
			if c := e.GetMessageChanged(); c != nil {
				if c.GetChange() != last+1 {
					t.Fatalf("change %d after %d", c.GetChange(), last)
				}
				last = c.GetChange()
			}
		}
		return last == gone.GetMessage().GetChange()
	})
	own := n.say("bob", id, "own", "oops")
	n.clock.advance(3 * time.Minute)
	_, err = n.as("bob").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: own.GetSeq()})
	assertRefused(t, "after two minutes", err, connect.CodeFailedPrecondition, chat.ReasonTooLate)
	n.clock.advance(24 * time.Hour)
	_, err = n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: own.GetSeq(), Content: text("late")})
	assertRefused(t, "after a day", err, connect.CodeFailedPrecondition, chat.ReasonTooLate)
}

func TestHiddenForOneselfAlone(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.direct("ann", "bob")
	for i := range 10 {
		n.say("ann", id, fmt.Sprint("line-", i), "x")
	}
	for range 2 {
		m, err := n.as("bob").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{3, 10, 99}})
		if err != nil || m.GetMembership().GetHiddenChange() != 1 {
			t.Errorf("hidden: %v, %v", m, err)
		}
	}
	if got := n.reads("bob", id); !slices.Equal(got, []int64{1, 2, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("he reads %v", got)
	}
	if last := n.state("bob", id).GetLastMessage(); last.GetSeq() != 9 {
		t.Errorf("his last is %v", last)
	}
	assertRun(t, n.reads("ann", id), 1, 10)
	list, err := n.as("bob").ListHidden(ctx, &chatv1.ListHiddenRequest{ConversationId: id})
	if err != nil || !slices.Equal(list.GetHidden().GetSeqs(), []int64{3, 10}) || list.GetHidden().GetHiddenChange() != 1 {
		t.Errorf("hidden: %v, %v", list, err)
	}
	_, err = n.as("bob").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, UpToSeq: 6})
	n.must(err)
	if got := n.reads("bob", id); !slices.Equal(got, []int64{7, 8, 9}) {
		t.Errorf("he reads %v", got)
	}
}

func TestTheHouseSpeaks(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	for range 2 {
		_, err := n.neighbour("shop").SendSystemMessage(t.Context(), &chatv1.SendSystemMessageRequest{
			UserIds: []string{"ann", "bob"}, ClientMsgId: "order-42-paid", Content: text("Your order is paid."),
		})
		n.must(err)
	}
	p := n.phone("ann")
	p.sync(100)
	if len(p.states) != 1 {
		t.Fatalf("she has %v", p.states)
	}
	for id, s := range p.states {
		if s.GetConversation().GetKind() != chatv1.ConversationKind_CONVERSATION_KIND_SYSTEM || len(p.said[id]) != 1 || s.GetMembership().GetUnreadCount() != 1 {
			t.Errorf("she was told %v", s)
		}
		_, err := n.as("ann").SendMessage(t.Context(), sending(id, "an answer", "thanks"))
		assertRefused(t, "an answer", err, connect.CodePermissionDenied, errs.ReasonForbidden)
		_, err = n.as("bob").GetConversation(t.Context(), &chatv1.GetConversationRequest{ConversationId: id})
		assertRefused(t, "another's", err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	}
	ids, err := n.neighbour("edge").ListConversationIds(t.Context(), &chatv1.ListConversationIdsRequest{UserId: "ann"})
	if err != nil || len(ids.GetConversationIds()) != 1 {
		t.Errorf("an edge is told %v, %v", ids, err)
	}
	n.direct("ann", "cid")
	contacts, err := n.neighbour("presence").FilterContacts(t.Context(), &chatv1.FilterContactsRequest{UserId: "cid", UserIds: []string{"ann", "bob"}})
	if err != nil || !slices.Equal(contacts.GetUserIds(), []string{"ann"}) {
		t.Errorf("contacts: %v, %v", contacts, err)
	}
}
