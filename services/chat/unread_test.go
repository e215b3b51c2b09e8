package chat_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// babble puts messages of one sender into a conversation, in the store itself, from its next number to the given one.
func (w *world) babble(conversation, sender string, to int64) {
	w.t.Helper()
	body := w.bytesOf(&chatv1.Message{Sender: person(sender, 1), Content: text("x")})
	from := w.number("SELECT last_seq FROM conversations WHERE id = ?", conversation) + 1
	w.insert("messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at)", int(to-from+1), func(i int) []any {
		seq := from + int64(i)
		return []any{conversation, seq, sender, fmt.Sprintf("%s-message-%d", conversation, seq), body, 0}
	})
	w.exec("UPDATE conversations SET last_seq = ?2 WHERE id = ?1", conversation, to)
}

// TestCountingUnreadMessagesIsBounded counts what is unread for somebody who wrote very much and never read, and for one who
// has read none of it: what that costs does not grow with the talk.
func TestCountingUnreadMessagesIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob")
	type cost struct{ read, written int64 }
	measure := func(user string, round int) (state *chatv1.ConversationState, out cost) {
		t.Helper()
		written, read, err := n.service.PagesRead(ctx)
		n.must(err)
		page, err := n.as(user).Sync(ctx, &chatv1.SyncRequest{})
		n.must(err)
		_, err = n.as(user).AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{
			Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: int64(2 + round)}},
		})
		n.must(err)
		writtenAfter, readAfter, err := n.service.PagesRead(ctx)
		n.must(err)
		return page.GetStates()[0], cost{readAfter - read, writtenAfter - written}
	}
	var costs []cost
	for round, to := range []int64{6_000, 24_000} {
		w.babble(id, "ann", to)
		ann, a := measure("ann", round)
		bob, b := measure("bob", round)
		if got := ann.GetMembership().GetUnreadCount(); got != 0 {
			t.Errorf("of %d messages of her own %d are unread", to, got)
		}
		if got := bob.GetMembership().GetUnreadCount(); got != 1000 {
			t.Errorf("of %d messages of another %d are unread", to, got)
		}
		costs = append(costs, a, b)
	}
	t.Logf("who wrote, who did not: %+v", costs)
	for i := range 2 {
		short, long := costs[i], costs[i+2]
		if long.read > 2*short.read+50 || long.written > 2*short.written+50 {
			t.Errorf("after 24,000 messages it looks at %+v pages, after 6,000 at %+v", long, short)
		}
	}
	// What others said between is found, however little it is.
	n.say("bob", id, "at last", "x")
	if got := n.state("ann", id).GetMembership().GetUnreadCount(); got != 1 {
		t.Errorf("%d unread messages, want the one of the other", got)
	}
}

// TestHiddenMessagesAreNotUnread hides unread messages and mentions, some and then very many: what is left is counted, at a
// price that does not grow with all that was hidden.
func TestHiddenMessagesAreNotUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob", "cid")
	for i := range 4 {
		_, err := n.as("ann").SendMessage(ctx, &chatv1.SendMessageRequest{
			ConversationId: id, ClientMsgId: fmt.Sprint("message-", i), Content: text("x"), Mentions: &chatv1.Mentions{UserIds: []string{"bob"}},
		})
		n.must(err)
	}
	before := n.state("bob", id).GetMembership()
	own := n.say("bob", id, "own", "x").GetSeq()
	res, err := n.as("bob").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: []int64{own - 1, own - 2, own}})
	n.must(err)
	for what, m := range map[string]*chatv1.Membership{"the answer": res.GetMembership(), "his state": n.state("bob", id).GetMembership()} {
		if m.GetUnreadCount() != before.GetUnreadCount()-2 || m.GetUnreadMentions() != 2 {
			t.Errorf("%s counts %v, and without hiding it was %v", what, m, before)
		}
	}
	if m := n.state("cid", id).GetMembership(); m.GetUnreadCount() != before.GetUnreadCount()+1 {
		t.Errorf("who hid nothing has %v", m)
	}
	measure := func(last, hidden int64, want int32) int64 {
		t.Helper()
		w.babble(id, "ann", last)
		w.exec("DELETE FROM hiddens WHERE conversation_id = ? AND user_id = 'bob'", id)
		w.exec("INSERT INTO hiddens (conversation_id, user_id, seq, `change`) "+
			"SELECT conversation_id, 'bob', seq, 2 FROM messages WHERE conversation_id = ? AND seq <= ?", id, hidden)
		var got int32
		count := func() { got = n.state("bob", id).GetMembership().GetUnreadCount() }
		count()
		_, pages := n.pages(count)
		if got != want {
			t.Errorf("of %d messages, %d hidden, %d are unread, want %d", last, hidden, got, want)
		}
		return pages
	}
	few := measure(6_000, 5_990, 10)
	many := measure(24_000, 23_980, 20)
	none := measure(30_000, 0, 1000)
	t.Logf("of 24,000 hidden messages it looks at %d pages, of 6,000 at %d; of none of those that count, at %d", many, few, none)
	if many > 2*few+50 || few > 1000 || none > 300 {
		t.Errorf("of 24,000 hidden messages it looks at %d pages, of 6,000 at %d; of none of those that count, at %d", many, few, none)
	}
}

// TestAListOfAThousandGroups syncs a new device of somebody in a thousand groups, in pages: each group once, and each page
// at the price of the first.
func TestAListOfAThousandGroups(t *testing.T) {
	t.Parallel()
	const groups, size = 1000, 100
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil, "bob")
	w.babble(id, "bob", 5)
	n.close()
	// copies makes what there is of one group for all of them, each row with the number of its copy.
	copies := func(table, columns string, row func(n int, of []any) []any) {
		w.behind(func(db *sql.DB) error {
			rows, err := storetest.Rows(t.Context(), db, "SELECT "+columns+" FROM "+table)
			w.insert(table+" ("+columns+")", (groups-1)*len(rows), func(i int) []any {
				return row(1+i/len(rows), slices.Clone(rows[i%len(rows)]))
			})
			return err
		})
	}
	name := func(n int) string { return fmt.Sprintf("01JGROUP%018d", n) }
	w.exec("DELETE FROM conversations WHERE id <> ?", id)
	copies("conversations", "id, version, kind, owner_id, epoch, last_seq, created_at, history, join_policy, member_count", func(n int, of []any) []any {
		of[0], of[1] = name(n), of[1].(int64)+int64(n) //nolint:forcetypeassert // the schema's
		return of
	})
	copies("members", "conversation_id, user_id, role, joined_at, version", func(n int, of []any) []any {
		of[0] = name(n)
		return of
	})
	copies("messages", "conversation_id, client_msg_id, seq, sender_id, body, sent_at", func(n int, of []any) []any {
		of[0], of[1], of[4] = name(n), fmt.Sprint(of[1], "-", n), []byte(of[4].(string)) //nolint:forcetypeassert // the schema's
		return of
	})
	w.exec("UPDATE counters SET number = number + ?", groups)
	n = w.boot(fast())
	seen := make(map[string]bool)
	var first int64
	for cursor, done := int64(0), false; !done; {
		_, before, err := n.service.PagesRead(t.Context())
		n.must(err)
		page, err := n.as("ann").Sync(t.Context(), &chatv1.SyncRequest{Cursor: cursor, PageSize: size})
		n.must(err)
		_, after, err := n.service.PagesRead(t.Context())
		n.must(err)
		if cursor == 0 {
			first = after - before
			t.Logf("the first page looks at %d pages of the file", first)
		}
		if len(page.GetStates()) > size || after-before > 2*first || after-before > 60*(size+groups) {
			t.Fatalf("after %d groups, %d take %d pages of the file, the first page took %d", len(seen), len(page.GetStates()), after-before, first)
		}
		for _, s := range page.GetStates() {
			if c := s.GetConversation().GetId(); seen[c] || s.GetMembership().GetUnreadCount() < 4 || s.GetLastMessage().GetSeq() != 5 {
				t.Fatalf("told %v", s)
			}
			seen[s.GetConversation().GetId()] = true
		}
		cursor, done = page.GetCursor(), page.GetDone()
	}
	if len(seen) != groups {
		t.Errorf("%d groups, want %d", len(seen), groups)
	}
}
