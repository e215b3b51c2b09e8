package chat_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

func (n *node) clear(user, conversation string, upTo int64) *chatv1.Membership {
	n.t.Helper()
	res, err := n.as(user).HideMessages(n.t.Context(), &chatv1.HideMessagesRequest{ConversationId: conversation, UpToSeq: upTo})
	n.must(err)
	return res.GetMembership()
}

func (n *node) leave(user, conversation string) {
	n.t.Helper()
	_, err := n.groups(user).LeaveGroup(n.t.Context(), &chatv1.LeaveGroupRequest{ConversationId: conversation})
	n.must(err)
}

func (n *node) open(owner, conversation string, h chatv1.HistoryVisibility) {
	n.t.Helper()
	_, err := n.groups(owner).UpdateGroup(n.t.Context(), &chatv1.UpdateGroupRequest{
		ConversationId: conversation, Settings: &chatv1.GroupSettings{History: h},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.history"}},
	})
	n.must(err)
}

func (n *node) readTo(user, conversation string, seq int64) {
	n.t.Helper()
	_, err := n.as(user).AdvancePositions(n.t.Context(), &chatv1.AdvancePositionsRequest{
		Advances: []*chatv1.Advance{{ConversationId: conversation, ReadSeq: seq}},
	})
	n.must(err)
}

// readBy returns who has read a message, in words of ListReaders, which must be as many as its receipt counts.
func (n *node) readBy(sender, conversation string, seq int64) (who []string) {
	n.t.Helper()
	receipts, err := n.as(sender).GetReceipts(n.t.Context(), &chatv1.GetReceiptsRequest{ConversationId: conversation, Seqs: []int64{seq}})
	n.must(err)
	res, err := n.as(sender).ListReaders(n.t.Context(), &chatv1.ListReadersRequest{ConversationId: conversation, Seq: seq})
	n.must(err)
	for _, u := range res.GetReaders() {
		who = append(who, u.GetId())
	}
	if got := receipts.GetReceipts(); len(got) != 1 || int(got[0].GetReadCount()) != len(who) {
		n.t.Errorf("the receipts of message %d are %v, and %v have read it", seq, got, who)
	}
	return who
}

// TestWhoClearedTheirHistoryHasReadIt clears what was read, in a group and among two: those who wrote it learn nothing of
// that, and who did it sees nothing of it, whatever came since.
func TestWhoClearedTheirHistoryHasReadIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	for what, id := range map[string]string{"a group": n.group("ann", nil, "bob"), "two": n.direct("ann", "bob")} {
		said := n.say("ann", id, "said in "+what, "x").GetSeq()
		n.readTo("bob", id, said)
		if m := n.clear("bob", id, said); m.GetFirstSeq() != said+1 || m.GetReadSeq() != said {
			t.Errorf("%s: cleared, he has %v", what, m)
		}
		if got := n.readBy("ann", id, said); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("%s: it was read by %v", what, got)
		}
		if m := n.clear("bob", id, 1); m.GetFirstSeq() != said+1 { // it cannot be taken back
			t.Errorf("%s: cleared to less, he has %v", what, m)
		}
		next := n.say("ann", id, "next in "+what, "x").GetSeq()
		if got := n.reads("bob", id); !slices.Equal(got, []int64{next}) || n.state("bob", id).GetMembership().GetUnreadCount() != 1 {
			t.Errorf("%s: he reads %v", what, got)
		}
		p := n.phone("bob")
		p.sync(100)
		p.assertWhole(id)
		if got := w.number("SELECT shared_from FROM conversations WHERE id = ?", id); got != 1 {
			t.Errorf("%s: all see what lies from %d on", what, got)
		}
	}
}

// TestWhoComesBackToAnOpenGroup leaves a group that showed newcomers nothing and comes back when it shows them everything:
// they see all of it but what they cleared themselves, and have read nothing of what they could not see.
func TestWhoComesBackToAnOpenGroup(t *testing.T) {
	t.Parallel()
	const all, fromJoin = chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL, chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil, "bob")
	old := n.say("ann", id, "old", "x").GetSeq()
	n.add("ann", id, "dan", "eve", "fay")
	joined := n.state("dan", id).GetMembership().GetFirstSeq()
	if joined != old+1 {
		t.Fatalf("who came sees from message %d on", joined)
	}
	n.clear("eve", id, joined)
	p := n.phone("dan")
	p.sync(100)
	for _, user := range []string{"dan", "eve", "fay"} {
		n.leave(user, id)
	}
	n.open("ann", id, all)
	n.add("ann", id, "dan", "eve")
	for user, first := range map[string]int64{"bob": 1, "dan": 1, "eve": joined + 1} {
		if got := n.state(user, id).GetMembership().GetFirstSeq(); got != first || n.reads(user, id)[0] != first {
			t.Errorf("%s sees from message %d on, want %d", user, got, first)
		}
	}
	p.sync(100)
	p = n.phone("dan")
	p.sync(100)
	p.assertWhole(id)
	if got := n.readBy("ann", id, old); len(got) != 0 {
		t.Errorf("what was said before they came has been read by %v", got)
	}
	if got := w.number("SELECT shared_from FROM conversations WHERE id = ?", id); got != joined {
		t.Errorf("all see what lies from %d on, want %d: it was so once", got, joined)
	}
	n.readTo("dan", id, old)
	if got := n.readBy("ann", id, old); !slices.Equal(got, []string{"dan"}) {
		t.Errorf("it has been read by %v", got)
	}
	n.open("ann", id, fromJoin)
	last := n.say("ann", id, "last", "x").GetSeq()
	n.add("ann", id, "fay")
	if got := n.reads("fay", id)[0]; got != last+1 {
		t.Errorf("who comes back to a closed group sees from message %d on, want %d", got, last+1)
	}
}

// TestWhatWasClearedInVersion7 takes members of version 7, who joined late or cleared their history, to the newest: each sees
// what they saw, and who is known to have been there has read what they cleared.
func TestWhatWasClearedInVersion7(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id, pair = "01JOLDGROUP000000000000000", "01JOLDPAIR0000000000000000"
	type row struct {
		conversation, user         string
		joined, first, read        int64 // joined before the message of that number, 0 before all
		wantFirst, wantClearedUpTo int64
	}
	rows := []row{
		{id, "ann", 0, 1, 10, 1, 0},
		{id, "first", 0, 5, 10, 1, 4}, // was there and cleared
		{id, "late", 4, 4, 10, 4, 0},
		{id, "late-and-cleared", 4, 8, 10, 4, 7},
		{id, "late-to-all", 7, 1, 10, 1, 0},
		{id, "back", 8, 3, 10, 3, 0}, // came back when it showed all
		{pair, "ann", 0, 1, 10, 1, 0},
		{pair, "bob", 0, 7, 10, 1, 6},
	}
	w.old(7, func(tx *sql.Tx) error {
		for conversation, kind := range map[string]int{id: 3, pair: 2} {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO conversations (id, kind, owner_id, last_seq, created_at, history, member_count) "+
				"VALUES (?, ?, 'ann', 10, '2026-01-02 03:04:05+00:00', 1, 2)", conversation, kind); err != nil {
				return err
			}
			for seq := int64(1); seq <= 10; seq++ {
				if _, err := tx.ExecContext(t.Context(), "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at) "+
					"VALUES (?, ?, 'ann', ?, ?, ?)", conversation, seq, fmt.Sprint(conversation, seq),
					w.bytesOf(&chatv1.Message{Sender: person("ann", 1), Content: text("x")}), seq*1000); err != nil {
					return err
				}
			}
		}
		for _, r := range rows {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq, read_seq) "+
				"VALUES (?, ?, 1, ?, ?, ?)", r.conversation, r.user, r.joined*1000-500, r.first, r.read); err != nil {
				return err
			}
		}
		return nil
	})
	n := w.boot(fast())
	for _, r := range rows {
		first := w.number("SELECT first_seq FROM members WHERE conversation_id = ? AND user_id = ?", r.conversation, r.user)
		cleared := w.number("SELECT cleared_seq FROM members WHERE conversation_id = ? AND user_id = ?", r.conversation, r.user)
		if first != r.wantFirst || cleared != r.wantClearedUpTo {
			t.Errorf("%s is there from %d on and cleared up to %d, want %d and %d", r.user, first, cleared, r.wantFirst, r.wantClearedUpTo)
		}
		if got := n.state(r.user, r.conversation).GetMembership().GetFirstSeq(); got != r.first || n.reads(r.user, r.conversation)[0] != r.first {
			t.Errorf("%s sees from message %d on, want %d", r.user, got, r.first)
		}
	}
	if got := n.readBy("ann", id, 6); !slices.Equal(got, []string{"back", "first", "late", "late-and-cleared", "late-to-all"}) {
		t.Errorf("message 6 was read by %v", got)
	}
	if got := n.readBy("ann", pair, 6); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("among two it was read by %v", got)
	}
}
