package chat_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/chat"
)

// answer sends an answer that must succeed.
func (n *node) answer(user, conversation, id, s string, to int64) *chatv1.Message {
	n.t.Helper()
	r := sending(conversation, id, s)
	r.ReplyToSeq = to
	res, err := n.as(user).SendMessage(n.t.Context(), r)
	n.must(err)
	return res.GetMessage()
}

func (n *node) recall(user, conversation string, seq int64) {
	n.t.Helper()
	_, err := n.as(user).RecallMessage(n.t.Context(), &chatv1.RecallMessageRequest{ConversationId: conversation, Seq: seq})
	n.must(err)
}

func (n *node) edit(user, conversation string, seq int64, s string) {
	n.t.Helper()
	_, err := n.as(user).EditMessage(n.t.Context(), &chatv1.EditMessageRequest{
		ConversationId: conversation, Seq: seq, Content: text(s),
	})
	n.must(err)
}

// page returns the latest messages of a conversation as a user reads them.
func (n *node) page(user, conversation string) []*chatv1.Message {
	n.t.Helper()
	res, err := n.as(user).ListMessages(n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: conversation, PageSize: 200})
	n.must(err)
	return res.GetMessages()
}

// onDisk returns all that lies in the database.
func (w *world) onDisk() []byte {
	w.t.Helper()
	return storetest.Contents(w.t, w.storeURL, "chat", os.DirFS("."))
}

// behind does something with the service's database behind its back, and leaves no connection.
func (w *world) behind(act func(db *sql.DB) error) {
	w.t.Helper()
	w.must(storetest.With(w.t, w.storeURL, "chat", os.DirFS("."), act))
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.behind(func(db *sql.DB) error {
		_, err := db.ExecContext(w.t.Context(), query, args...)
		return err
	})
}

// number reads one number from the service's database.
func (w *world) number(query string, args ...any) (n int64) {
	w.t.Helper()
	w.behind(func(db *sql.DB) error { return db.QueryRowContext(w.t.Context(), query, args...).Scan(&n) })
	return n
}

func assertUnquoted(t *testing.T, where string, m *chatv1.Message, of int64) {
	t.Helper()
	if !proto.Equal(m.GetReplyTo(), &chatv1.Quote{Seq: of}) || m.GetDeleted() || m.GetContent() == nil {
		t.Errorf("%s: the answer is %v, want it without what it quotes", where, m)
	}
}

// TestQuotesGoWithTheirMessage looks for a message's words everywhere, after it was recalled by who wrote it or deleted by
// the staff.
func TestQuotesGoWithTheirMessage(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"recalled", "deleted"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(fast())
			const nickname, words, draft, shown = "Xanthippe-of-Athens", "the-most-awful-words", "an-awful-draft", "words-that-stay"
			w.users.set(func(d *directory) { d.names["bob"] = nickname })
			id := n.group("ann", nil, "bob", "cid")
			first := n.say("bob", id, "first", strings.Repeat(draft+" ", 200)).GetSeq() // more than a page of the file
			n.edit("bob", id, first, strings.Repeat(words+" ", 200))
			one := n.answer("ann", id, "one", shown, first)
			if !strings.HasPrefix(one.GetReplyTo().GetExcerpt(), words) || one.GetReplyTo().GetSender().GetNickname() != nickname {
				t.Fatalf("the answer quotes %v", one.GetReplyTo())
			}
			two := n.answer("cid", id, "two", "x", first).GetSeq()
			n.edit("cid", id, two, "y")
			_, err := n.as("bob").SetReaction(t.Context(), &chatv1.SetReactionRequest{ConversationId: id, Seq: two, Key: "+1"})
			n.must(err)
			gone := n.answer("ann", id, "gone", "x", first).GetSeq()
			n.recall("ann", id, gone)
			old := n.phone("cid")
			old.sync(100)
			v := n.watchIn(n.as("ann"), id, nil)
			before := n.state("ann", id).GetConversation().GetLastChange()

			if way == "recalled" {
				n.recall("bob", id, first)
			} else {
				_, err := n.neighbour("admin").DeleteMessage(t.Context(), &chatv1.DeleteMessageRequest{
					ConversationId: id, Position: at(first),
				})
				n.must(err)
			}

			last := n.state("ann", id).GetConversation().GetLastChange()
			if last != before+3 { // the message and two answers
				t.Errorf("%d changes, want 3", last-before)
			}
			for _, m := range n.page("ann", id) {
				if seq := m.GetSeq(); seq == one.GetSeq() || seq == two {
					assertUnquoted(t, "a page", m, first)
				}
			}
			old.sync(100)
			old.assertWhole(id)
			for _, seq := range []int64{one.GetSeq(), two} {
				assertUnquoted(t, "a device that had it", old.said[id][seq], first)
			}
			changes := before
			v.until("the changes were told in order", func(events []*chatv1.Event) bool {
				for changes = before; len(events) > 0; events = events[1:] {
					if m := events[0].GetMessageChanged(); m.GetChange() > before {
						if changes++; m.GetChange() != changes || strings.Contains(prototext.Format(m), words) {
							t.Fatalf("told %v", m)
						}
					}
				}
				return changes == last
			})
			assertUnquoted(t, "an answer that comes late", n.answer("ann", id, "late", "x", first), first)
			if again := n.answer("ann", id, "one", shown, first); again.GetSeq() != one.GetSeq() || again.GetReplyTo().GetExcerpt() != "" {
				t.Errorf("the first answer sent again is %v", again)
			}
			w.users.set(func(d *directory) { d.names["bob"] = "" })
			n.close() // the log beside the file goes into it
			all := w.onDisk()
			for _, text := range []string{words, draft} {
				if bytes.Contains(all, []byte(text)) {
					t.Errorf("%q is on the disk", text)
				}
			}
			if !bytes.Contains(all, []byte(shown)) {
				t.Error("what stays is not on the disk")
			}
		})
	}
}

// TestWhatIsTakenAwayIsNotInTheOutbox lets changes wait for the bus: neither the rows nor what is told in the end has the
// words of a message that was taken away meanwhile.
func TestWhatIsTakenAwayIsNotInTheOutbox(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(fast())
			told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
			id := n.group("ann", nil, "bob")
			const words = "the-most-awful-words"
			n.eventually("the group was told", func() bool { return w.number("SELECT count(*) FROM outboxes") == 0 })
			w.bus.refuse.Store(true)
			first := n.say("bob", id, "first", "x").GetSeq()
			n.edit("bob", id, first, words)
			reply := n.answer("ann", id, "answer", "x", first).GetSeq()
			_, err := n.as("bob").SetReaction(t.Context(), &chatv1.SetReactionRequest{ConversationId: id, Seq: reply, Key: "+1"})
			n.must(err)
			w.behind(func(db *sql.DB) error {
				rows, err := storetest.Rows(t.Context(), db, "SELECT events FROM outboxes WHERE events IS NOT NULL")
				for _, row := range rows {
					if strings.Contains(fmt.Sprint(row...), words) {
						t.Error("a row of the outbox has the words of messages")
					}
				}
				return err
			})
			n.recall("bob", id, first)
			last := n.state("ann", id).GetConversation().GetLastChange()
			if restart {
				n.close() // as good as a crash for the outbox
			}
			before := len(told())
			w.bus.refuse.Store(false)
			if restart {
				n = w.boot(fast())
			}
			var change int64
			n.eventually("everything was told", func() bool {
				change = 0
				for _, events := range told()[before:] {
					for _, e := range events.GetEvents() {
						change = max(change, e.GetMessageChanged().GetChange())
					}
				}
				return change == last
			})
			change = 0
			for _, events := range told()[before:] {
				if strings.Contains(prototext.Format(events), words) {
					t.Errorf("told %v", events)
				}
				for _, e := range events.GetEvents() {
					m := e.GetMessageChanged()
					if m == nil {
						continue
					}
					if change++; m.GetChange() != change || e.GetCommit() == 0 {
						t.Errorf("change %d is told as %v of commit %d", change, m, e.GetCommit())
					}
					if m.GetSeq() == reply {
						assertUnquoted(t, "the answer", m, first)
					}
				}
			}
		})
	}
}

// TestAMessageWithManyAnswers takes away what more answers quote than one commit may change: nobody reads it from then on,
// whatever fails, and the rest follows in commits of a bounded size, after a restart as well.
func TestAMessageWithManyAnswers(t *testing.T) {
	t.Parallel()
	const answers, most = 1000, 200
	w := newWorld(t)
	n := w.boot(fast())
	const words = "the-most-awful-words"
	id := n.group("ann", nil, "bob", "cid")
	first := n.say("bob", id, "first", words).GetSeq()
	cid := n.User("cid", authv1.Role_ROLE_USER)
	var all sync.WaitGroup
	for from := range 20 {
		all.Go(func() {
			for i := from; i < answers; i += 20 {
				if _, err := n.service.SendMessage(t.Context(), cid, chat.Draft{
					ConversationID: id, ClientMsgID: fmt.Sprint("an-answer-", i), Content: text("x"), ReplyToSeq: first,
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// Counts what each commit changes, and lets changes fail beyond a number.
	w.exec("CREATE TABLE seen (commit_number integer)")
	w.trigger("see", "AFTER UPDATE ON messages", "new.`change` <> old.`change`", "INSERT INTO seen SELECT number FROM counters")
	w.breaks("messages", fmt.Sprintf("old.seq > %d", first+2*most))
	old := n.phone("cid")
	old.sync(100)

	n.recall("bob", id, first)
	assertQuiet := func() {
		t.Helper()
		for after := first; ; {
			res, err := n.as("cid").ListMessages(t.Context(), &chatv1.ListMessagesRequest{
				ConversationId: id, PageSize: 200, From: &chatv1.ListMessagesRequest_After{After: at(after)},
			})
			n.must(err)
			for _, m := range res.GetMessages() {
				if after = m.GetSeq(); m.GetReplyTo() != nil {
					assertUnquoted(t, "a page", m, first)
				}
			}
			if !res.GetHasMore() {
				break
			}
		}
	}
	assertQuiet()
	n.eventually("what can be changed is", func() bool {
		return w.number("SELECT count(*) FROM messages WHERE quoted_seq > 0") <= answers-2*most
	})
	// An answer that still has its quote on disk is changed, sent again, and answered.
	waiting := first + 3*most
	w.mend("messages")
	w.breaks("messages", fmt.Sprintf("old.seq > %d AND old.seq <> %d", first+2*most, waiting))
	res, err := n.as("cid").SetReaction(t.Context(), &chatv1.SetReactionRequest{ConversationId: id, Seq: waiting, Key: "+1"})
	n.must(err)
	assertUnquoted(t, "an answer with a sign", res.GetMessage(), first)
	n.say("cid", id, "meanwhile", "others are not held up")
	n.close()
	w.mend("messages")
	n = w.boot(fast())
	assertQuiet()
	n.eventually("all is erased", func() bool { return w.number("SELECT count(*) FROM erasures") == 0 })
	if left := w.number("SELECT count(*) FROM messages WHERE quoted_seq > 0"); left != 0 {
		t.Errorf("%d answers quote it", left)
	}
	if largest := w.number("SELECT max(n) FROM (SELECT count(*) n FROM seen GROUP BY commit_number) counted"); largest > most+1 {
		t.Errorf("one commit changed %d messages", largest)
	}
	old.n = n
	old.sync(100)
	if len(old.said[id]) < answers {
		t.Fatalf("the device has %d messages", len(old.said[id]))
	}
	for seq, m := range old.said[id] {
		if m.GetReplyTo() != nil {
			assertUnquoted(t, fmt.Sprint("a device's ", seq), m, first)
		}
	}
	n.close()
	if bytes.Contains(w.onDisk(), []byte(words)) {
		t.Error("the words are on the disk")
	}
}

// TestAnswersAndDeletionsAtOnce answers a message while it is taken away: whatever comes first, no answer keeps its words.
func TestAnswersAndDeletionsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil, "bob", "cid")
	for round := range 5 {
		first := n.say("bob", id, fmt.Sprint("round-", round), "awful").GetSeq()
		done := make(chan error, 20)
		for i := range cap(done) {
			go func() {
				if i == cap(done)/2 {
					_, err := n.as("bob").RecallMessage(context.Background(), &chatv1.RecallMessageRequest{ConversationId: id, Seq: first})
					done <- err
					return
				}
				r := sending(id, fmt.Sprint("answer-", round, "-", i), "x")
				r.ReplyToSeq = first
				_, err := n.as("cid").SendMessage(context.Background(), r)
				done <- err
			}()
		}
		for range cap(done) {
			n.must(<-done)
		}
		shown := n.page("ann", id)
		if slices.ContainsFunc(shown, func(m *chatv1.Message) bool { return m.GetReplyTo().GetExcerpt() != "" }) {
			t.Errorf("a page shows %v", shown)
		}
	}
	if left := w.number("SELECT count(*) FROM messages WHERE quoted_seq > 0"); left != 0 {
		t.Errorf("%d answers quote what was taken away", left)
	}
}
