package chat_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/chat"
)

// old makes a database as a version of the schema has it.
func (w *world) old(version int, fill func(tx *sql.Tx) error) {
	w.t.Helper()
	storetest.OnlySQLite(w.t, "there was no older version")
	files := fstest.MapFS{}
	all, err := fs.Glob(os.DirFS("."), "migrations/sqlite/*.sql")
	w.must(err)
	for _, path := range all[:version] {
		content, err := os.ReadFile(path)
		w.must(err)
		files[path] = &fstest.MapFile{Data: content}
	}
	db, err := store.Open(w.t.Context(), w.storeURL, "chat", files, slog.New(slog.DiscardHandler))
	w.must(err)
	w.must(store.InTx(w.t.Context(), db.Write, fill))
	w.must(db.Close())
}

// person is a sender whose snapshot has a size.
func person(id string, size int) *authv1.User {
	return &authv1.User{Id: id, Nickname: strings.Repeat("Z", size), AvatarUrl: "https://img/" + id, Role: authv1.Role_ROLE_USER}
}

// bytesOf encodes a message of the contract.
func (w *world) bytesOf(m proto.Message) []byte {
	w.t.Helper()
	b, err := proto.Marshal(m)
	w.must(err)
	return append([]byte{}, b...)
}

// sizes are around the lengths at which the encoding of a length grows.
var sizes = []int{1, 90, 121, 122, 123, 124, 125, 126, 127, 128, 129, 500, 2000, 16370, 16377, 16378, 16379, 16384, 20000}

// TestRoomsOfTheFirstVersionsAreKept takes a room's talk of version 2 to the newest.
func TestRoomsOfTheFirstVersionsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	var want []*chatv1.Message
	w.old(2, func(tx *sql.Tx) error {
		for i, size := range sizes[:13] { // texts of a room were up to 500 characters, each of up to four bytes
			m := &chatv1.Message{
				ConversationId: room, Epoch: 1, Seq: int64(i + 1), Sender: person("ann", 1+size%60), ClientMsgId: fmt.Sprint("message-", i),
				Content: text(strings.Repeat("Z", size)), SentAt: timestamppb.New(sent.Add(time.Duration(i) * time.Second)),
			}
			if i%5 == 4 {
				m = left(m)
			}
			want = append(want, m)
			content := []byte{}
			sender := []byte{}
			if !m.GetDeleted() {
				content, sender = w.bytesOf(m.GetContent()), w.bytesOf(m.GetSender())
			}
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, sender, content, "+
				"sent_at, deleted) VALUES (?, ?, 'ann', ?, ?, ?, ?, ?)", room, m.GetSeq(), fmt.Sprint("message-", i), sender, content,
				m.GetSentAt().AsTime().UnixMicro(), m.GetDeleted()); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(t.Context(), "INSERT INTO conversations (id, kind, owner_id, last_seq, likes, created_at) "+
			"VALUES (?, 1, 'owner', ?, 7, '2026-01-02 03:04:05+00:00')", room, len(want))
		return err
	})
	n := w.boot(fast())
	assertMessages(t, "a page", n.history(), want)
	if likes := n.likes(); likes != 7 {
		t.Errorf("%d likes", likes)
	}
	if m := n.send("ann", "0", "x"); m.GetSeq() != 1 { // it has been sent
		t.Errorf("a message sent again is %v", m)
	}
	if m := n.send("ann", "new", "x"); m.GetSeq() != int64(len(want)+1) {
		t.Errorf("the next is %v", m)
	}
	n.takeAway(1)
}

// TestQuotesOfVersion3GoWithTheirMessage takes long, edited and deleted messages and their answers of version 3 to the
// newest: nothing is lost, answers are found by what they quote, and what had been taken away is quoted no longer.
func TestQuotesOfVersion3GoWithTheirMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id, words = "01JOLDGROUP000000000000000", "the-most-awful-words"
	sent := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	var want []*chatv1.Message
	var last int64
	add := func(m *chatv1.Message) *chatv1.Message {
		m.ConversationId, m.Epoch, m.Seq = id, 1, int64(len(want)+1)
		m.ClientMsgId, m.SentAt = fmt.Sprint("message-", m.GetSeq()), timestamppb.New(sent.Add(time.Duration(m.GetSeq())*time.Second))
		want = append(want, m)
		return m
	}
	change := func(m *chatv1.Message) { last++; m.Change = last }
	// 1 stays, 2 will be recalled, 3 was deleted before.
	add(&chatv1.Message{Sender: person("ann", 10), Content: text("Z"), Pinned: true, Mentions: &chatv1.Mentions{UserIds: []string{"bob", "Z"}}})
	add(&chatv1.Message{Sender: person("bob", 10), Content: text(words)})
	deleted := add(&chatv1.Message{Deleted: true})
	change(deleted)
	quotes := func(of int64, size int) *chatv1.Quote {
		return &chatv1.Quote{Seq: of, Sender: person("bob", 10), Excerpt: strings.Repeat(words+" Z ", 1+size%4)}
	}
	for i, size := range sizes {
		m := add(&chatv1.Message{
			Sender: person("cid", 1+size%200), ReplyTo: quotes(int64(1+i%3), size),
			Content: &chatv1.Content{Kind: &chatv1.Content_Custom{Custom: &chatv1.CustomContent{Type: "Z", Data: []byte(strings.Repeat("Z", size))}}},
		})
		if i%2 == 0 {
			m.Mentions = &chatv1.Mentions{UserIds: []string{"ann", strings.Repeat("Z", 64)}}
			m.Reactions = []*chatv1.Reaction{{Key: "Z", Count: 3}}
			m.EditedAt = timestamppb.New(sent.Add(time.Hour))
			change(m)
		}
	}
	add(&chatv1.Message{Sender: person("cid", 3), Content: text("Z answers what was away"), ReplyTo: &chatv1.Quote{Seq: 3}})
	recalled := add(&chatv1.Message{Sender: person("cid", 3), Deleted: true, Recalled: true})
	change(recalled)
	far := add(&chatv1.Message{Sender: person("cid", 3), Content: text("Z"), ReplyTo: quotes(1<<40, 1), Origin: &chatv1.Origin{Sender: person("Z", 5)}})

	w.old(3, func(tx *sql.Tx) error {
		for _, m := range want {
			body := w.bytesOf(&chatv1.Message{
				Sender: m.GetSender(), Content: m.GetContent(), Recalled: m.GetRecalled(), Mentions: m.GetMentions(), ReplyTo: m.GetReplyTo(),
				Origin: m.GetOrigin(), EditedAt: m.GetEditedAt(), Reactions: m.GetReactions(), Pinned: m.GetPinned(),
			})
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at, "+
				"deleted, change) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", id, m.GetSeq(), m.GetSender().GetId(), m.GetClientMsgId(), body,
				m.GetSentAt().AsTime().UnixMicro(), m.GetDeleted(), m.GetChange()); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO conversations (id, kind, owner_id, last_seq, last_change, created_at, title, "+
			"member_count) VALUES (?, 3, 'ann', ?, ?, '2026-01-02 03:04:05+00:00', 'Z', 1)", id, len(want), last); err != nil {
			return err
		}
		_, err := tx.ExecContext(t.Context(), "INSERT INTO members (conversation_id, user_id, role, joined_at) VALUES (?, 'ann', 3, 0)", id)
		return err
	})
	for _, m := range want {
		if m.GetDeleted() {
			m.ClientMsgId = ""
		}
		if m.GetReplyTo().GetSeq() == 3 && m.GetReplyTo().GetSender() != nil { // quoted what was away
			m.ReplyTo = &chatv1.Quote{Seq: 3}
		}
	}
	n := w.boot(fast())
	n.eventually("what was away is quoted no longer", func() bool { return w.number("SELECT count(*) FROM erasures") == 0 })
	assertSame := func() {
		t.Helper()
		got := n.page("ann", id)
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i, m := range got {
			if m.GetChange() < want[i].GetChange() || (m.GetReplyTo().GetSeq() != 3 && m.GetReplyTo().GetSeq() != 2 && m.GetSeq() != 2 && m.GetChange() != want[i].GetChange()) {
				t.Errorf("message %d has change %d", m.GetSeq(), m.GetChange())
			}
			if m.Change = want[i].GetChange(); !proto.Equal(m, want[i]) {
				t.Errorf("message %d is %.300v, want %.300v", m.GetSeq(), m, want[i])
			}
		}
	}
	assertSame()
	if got := w.number("SELECT quoted_seq FROM messages WHERE conversation_id = ? AND seq = ?", id, far.GetSeq()); got != 1<<40 {
		t.Errorf("the last answers %d", got)
	}
	_, err := n.as("ann").RecallMessage(t.Context(), &chatv1.RecallMessageRequest{ConversationId: id, Seq: 2})
	n.must(err)
	want[1] = left(want[1])
	for _, m := range want {
		if m.GetReplyTo().GetSeq() == 2 {
			m.ReplyTo = &chatv1.Quote{Seq: 2}
		}
	}
	assertSame()
	p := n.phone("ann")
	p.sync(100)
	p.assertWhole(id)
	if m := n.say("ann", id, "next", "x"); m.GetSeq() != int64(len(want)+1) {
		t.Errorf("the next is %v", m)
	}
}

// TestGroupsOfVersion5KnowWhoCameLater takes a group with a member who came later to the newest version: what is older is
// told to nobody who may not see it, and answers of that time quote it to those alone who may.
func TestGroupsOfVersion5KnowWhoCameLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const id, open, pair = "01JOLDGROUP000000000000000", "01JOPENGROUP00000000000000", "01JOLDPAIR0000000000000000"
	w.old(5, func(tx *sql.Tx) error {
		now := timestamppb.New(w.clock.now()).AsTime().UnixMicro()
		for _, c := range []struct {
			id          string
			kind, first int
		}{{id, 3, 3}, {open, 3, 1}, {pair, 2, 2}} {
			for seq := range int64(4) {
				m := &chatv1.Message{Sender: person("ann", 1), Content: text("x")}
				if seq++; seq == 1 {
					m.Content = text(secret)
				}
				quoted := int64(0)
				if seq >= 3 {
					quoted, m.ReplyTo = 1, &chatv1.Quote{Seq: 1, Sender: person("ann", 1), Excerpt: secret}
				}
				if _, err := tx.ExecContext(t.Context(), "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at, "+
					"quoted_seq) VALUES (?, ?, 'ann', ?, ?, ?, ?)", c.id, seq, fmt.Sprint("message-", seq), w.bytesOf(m), now, quoted); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO conversations (id, kind, owner_id, last_seq, created_at, history, member_count) "+
				"VALUES (?, ?, 'ann', 4, '2026-01-02 03:04:05+00:00', 1, 2)", c.id, c.kind); err != nil {
				return err
			}
			for user, first := range map[string]int{"ann": 1, "dan": c.first} {
				if _, err := tx.ExecContext(t.Context(), "INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq) "+
					"VALUES (?, ?, 1, ?, ?)", c.id, user, now, first); err != nil {
					return err
				}
			}
		}
		return nil
	})
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	for conversation, want := range map[string]int64{id: 3, open: 1, pair: 1, room: 1} {
		if got := w.number("SELECT shared_from FROM conversations WHERE id = ?", conversation); got != want {
			t.Errorf("conversation %s is shared from %d, want %d", conversation, got, want)
		}
	}
	n.edit("ann", id, 1, secret+" twice")
	n.react("ann", id, 4, "+1") // which quotes it
	if all := n.toldTo(told, id, 2); len(all) != 2 || all[0].GetChangedTo() != 1 || all[1].GetChangedTo() != 2 {
		t.Errorf("told %v", all)
	}
	for _, m := range n.page("dan", id) {
		assertUnquoted(t, "a page", m, 1)
	}
	assertUnquoted(t, "the last message", n.state("dan", id).GetLastMessage(), 1)
	dan, ann := n.phone("dan"), n.phone("ann")
	dan.sync(100)
	ann.sync(100)
	assertUnquoted(t, "what a device pulls", dan.said[id][3], 1)
	changed, err := n.as("dan").PullMessages(t.Context(), &chatv1.PullMessagesRequest{
		Have: []*chatv1.Have{{ConversationId: id, Position: at(4)}},
	})
	n.must(err)
	if got := changed.GetConversations()[0]; got.GetChange() != 2 || len(got.GetChanged()) != 1 {
		t.Errorf("the newcomer pulls %v", got)
	} else {
		assertUnquoted(t, "a change that a device pulls", got.GetChanged()[0], 1)
	}
	res, err := n.as("dan").SetReaction(t.Context(), &chatv1.SetReactionRequest{ConversationId: id, Seq: 4, Key: "+1"})
	n.must(err)
	assertUnquoted(t, "the answer to a sign", res.GetMessage(), 1)
	if m := ann.said[id][3]; m.GetReplyTo().GetExcerpt() != secret {
		t.Errorf("who was there has %v", m)
	}
}
