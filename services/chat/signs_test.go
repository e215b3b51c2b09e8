package chat_test

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// TestSigns gives and takes back signs, counts them, and lists them in pages.
func TestSigns(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid")
	seq := n.say("ann", id, "signed", "x").GetSeq()
	sign := func(user, key string, remove bool) (*chatv1.Message, error) {
		res, err := n.as(user).SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: seq, Key: key, Remove: remove})
		return res.GetMessage(), err
	}
	assertSigns := func(m *chatv1.Message, change int64, want ...*chatv1.Reaction) {
		t.Helper()
		same := func(a, b *chatv1.Reaction) bool {
			return a.GetKey() == b.GetKey() && a.GetCount() == b.GetCount() && a.GetMine() == b.GetMine()
		}
		if m.GetChange() != change || !slices.EqualFunc(m.GetReactions(), want, same) {
			t.Errorf("after change %d: %v", change, m)
		}
	}
	for _, s := range [][2]string{{"ann", "A"}, {"bob", "B"}, {"cid", "A"}, {"bob", "A"}} {
		_, err := sign(s[0], s[1], false)
		n.must(err)
	}
	m, err := sign("bob", "A", false) // again
	n.must(err)
	assertSigns(m, 4, &chatv1.Reaction{Key: "A", Count: 3, Mine: true}, &chatv1.Reaction{Key: "B", Count: 1, Mine: true})
	var got []string
	for token, first := "", true; first || token != ""; first = false {
		page, err := n.as("cid").ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: seq, PageSize: 2, PageToken: token})
		n.must(err)
		for _, r := range page.GetReactions() {
			got = append(got, r.GetUser().GetNickname()+r.GetKey())
		}
		token = page.GetNextPageToken()
	}
	if !slices.Equal(got, []string{"annA", "bobB", "cidA", "bobA"}) {
		t.Errorf("listed %v", got)
	}
	page, err := n.as("cid").ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: seq, Key: "B"})
	if err != nil || len(page.GetReactions()) != 1 || page.GetReactions()[0].GetUser().GetId() != "bob" {
		t.Errorf("listed %v, %v", page, err)
	}
	_, err = n.as("cid").ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: seq + 1})
	assertRefused(t, "signs under nothing", err, connect.CodeNotFound, chat.ReasonMessageNotFound)
	m, err = sign("bob", "B", true)
	n.must(err)
	assertSigns(m, 5, &chatv1.Reaction{Key: "A", Count: 3, Mine: true})
	m, err = sign("bob", "B", true) // again
	n.must(err)
	assertSigns(m, 5, &chatv1.Reaction{Key: "A", Count: 3, Mine: true})
	for _, key := range []string{"two words", "a\u0007bell", "\n"} {
		_, err = sign("bob", key, false)
		assertRefused(t, key, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	}
	_, err = n.as("ann").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: 1, Key: "A"})
	assertRefused(t, "a sign under what the server says", err, connect.CodeNotFound, chat.ReasonMessageNotFound)
}

// TestPins puts messages on boards and takes them down: who may, and how many.
func TestPins(t *testing.T) {
	t.Parallel()
	const most = 50
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	pin := func(user, conversation string, seq int64, remove bool) (*chatv1.Message, error) {
		res, err := n.as(user).PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: conversation, Seq: seq, Remove: remove})
		return res.GetMessage(), err
	}
	pins := func(user, conversation string) (all []int64) {
		t.Helper()
		res, err := n.as(user).ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: conversation})
		n.must(err)
		for _, m := range res.GetMessages() {
			if !m.GetPinned() {
				t.Errorf("on the board is %v", m)
			}
			all = append(all, m.GetSeq())
		}
		return all
	}
	pair := n.direct("ann", "bob")
	for range most + 1 {
		n.say("ann", pair, fmt.Sprint("pinned-", len(n.reads("ann", pair))), "x")
	}
	for seq := range int64(most) {
		_, err := pin("bob", pair, seq+1, false) // each of two may
		n.must(err)
	}
	_, err := pin("bob", pair, most+1, false)
	assertRefused(t, "one too many", err, connect.CodeResourceExhausted, chat.ReasonTooManyPins)
	for range 2 { // again is no error
		m, err := pin("ann", pair, 7, true)
		n.must(err)
		if m.GetPinned() || m.GetChange() != most+1 {
			t.Errorf("taken down it is %v", m)
		}
	}
	_, err = pin("bob", pair, most+1, false)
	n.must(err)
	n.recall("ann", pair, most+1) // and so it is taken down
	if got := pins("ann", pair); len(got) != most-1 || got[0] != most || slices.Contains(got, 7) {
		t.Errorf("on the board are %v", got)
	}
	_, err = pin("ann", pair, most+1, false)
	assertRefused(t, "what was recalled", err, connect.CodeNotFound, chat.ReasonMessageNotFound)
	if said := n.reads("ann", pair); len(said) != most+1 {
		t.Errorf("among two nobody says what was pinned: %v", said)
	}

	id := n.group("ann", nil, "bob")
	seq := n.say("bob", id, "of-bob", "x").GetSeq()
	_, err = pin("bob", id, seq, false)
	assertRefused(t, "a member", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	_, err = pin("ann", id, seq, false)
	n.must(err)
	if said := n.page("bob", id); said[len(said)-1].GetContent().GetSystem().GetAction() != chatv1.SystemAction_SYSTEM_ACTION_PINNED {
		t.Errorf("the group reads %v", said)
	}
	seq = n.send("viewer", "in-a-room", "x").GetSeq()
	_, err = pin("viewer", room, seq, false)
	assertRefused(t, "a viewer", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	_, err = pin("owner", room, seq, false)
	n.must(err)
	guest, err := n.guest("passer-by").ListPins(ctx, &chatv1.ListPinsRequest{ConversationId: room})
	if err != nil || len(guest.GetMessages()) != 1 {
		t.Errorf("on the room's board: %v, %v", guest, err)
	}
	_, err = n.client(n.server.Client(), "passer-by", authv1.Role_ROLE_GUEST).SendMessage(ctx, sending(room, "of-a-guest", "x"))
	assertRefused(t, "a guest talks", err, connect.CodePermissionDenied, errs.ReasonForbidden)
}
