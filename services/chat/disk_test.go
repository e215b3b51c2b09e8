package chat_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// TestNoRoomOnTheDisk has the database run full (SQLITE_FULL): what cannot be stored is refused as UNAVAILABLE and leaves
// nothing, what is acknowledged is there, reading goes on, and with room again so does everything.
func TestNoRoomOnTheDisk(t *testing.T) {
	t.Parallel()
	storetest.OnlySQLite(t, "it fills the disk of the file")
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob")
	first := n.say("bob", id, "first", "short").GetSeq()
	large := strings.Repeat("x", 4000)
	acked := make(map[int64]string) // client_msg_id by seq
	send := func(ctx context.Context, name string) error {
		res, err := n.as("bob").SendMessage(ctx, sending(id, name, large))
		if err == nil {
			acked[res.GetMessage().GetSeq()] = res.GetMessage().GetClientMsgId()
		}
		return err
	}
	assertFull := func(what string, err error) {
		t.Helper()
		assertRefused(t, what, err, connect.CodeUnavailable, errs.ReasonUnavailable)
		if text := fmt.Sprint(err); strings.Contains(text, "SQL") || strings.Contains(text, "disk") {
			t.Errorf("%s: the caller is told %q", what, text)
		}
	}
	n.must(n.service.LeaveRoom(ctx, 3))
	var refused error
	i := 0
	for ; refused == nil; i++ {
		if i == 100 {
			t.Fatal("a full disk takes everything")
		}
		refused = send(ctx, fmt.Sprint("filling-", i))
	}
	assertFull("a send", refused)
	before := n.page("ann", id) // reading goes on
	if last := n.state("ann", id).GetConversation(); last.GetLastSeq() != first+int64(len(acked)) || len(before) != int(last.GetLastSeq()) {
		t.Errorf("%d are acknowledged, %d can be read, and it says %v", len(acked), len(before), last)
	}

	// All kinds of changes in one batch: each is done, or refused without a trace.
	var group string
	names := []string{"a group", "an edit", "a sign", "a member", "a message", "another group"}
	acts := []func(ctx context.Context) error{
		func(ctx context.Context) error {
			res, err := n.groups("ann").CreateGroup(ctx, &chatv1.CreateGroupRequest{RequestId: "no-room-1", Title: strings.Repeat("x", 60)})
			group = res.GetState().GetConversation().GetId()
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: first, Content: text(large)})
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("ann").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: first, Key: "+1"})
			return err
		},
		func(ctx context.Context) error {
			_, err := n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"cid"}})
			return err
		},
		func(ctx context.Context) error { return send(ctx, "in-the-batch") },
		func(ctx context.Context) error {
			_, err := n.groups("bob").CreateGroup(ctx, &chatv1.CreateGroupRequest{RequestId: "no-room-2", Title: strings.Repeat("x", 60)})
			return err
		},
	}
	results := n.together(acts...)
	if !slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
		t.Fatal("a full disk takes everything")
	}
	for i, err := range results {
		if err != nil {
			assertFull(names[i], err)
		}
	}
	check := func(done []error) {
		t.Helper()
		said := n.page("ann", id)
		for i, m := range said {
			if m.GetSeq() != int64(i+1) {
				t.Fatalf("message %d stands at place %d", m.GetSeq(), i+1)
			}
			if want := acked[m.GetSeq()]; m.GetSeq() > first && m.GetSender() != nil && m.GetClientMsgId() != want {
				t.Errorf("message %d is %s, which was acknowledged as %q", m.GetSeq(), m.GetClientMsgId(), want)
			}
			delete(acked, m.GetSeq())
		}
		if len(acked) > 0 {
			t.Errorf("acknowledged and not there: %v", acked)
		}
		m := said[first-1]
		if edited := m.GetEditedAt() != nil; edited != (done[1] == nil) {
			t.Errorf("edited: %v, and the call said %v", edited, done[1])
		}
		if signs := len(m.GetReactions()); (signs == 1) != (done[2] == nil) {
			t.Errorf("%d signs, and the call said %v", signs, done[2])
		}
		if rows := w.number("SELECT count(*) FROM reactions"); (rows == 1) != (done[2] == nil) {
			t.Errorf("%d rows of signs, and the call said %v", rows, done[2])
		}
		members := n.state("ann", id).GetConversation().GetMemberCount()
		if (members == 3) != (done[3] == nil) {
			t.Errorf("%d members, and the call said %v", members, done[3])
		}
		groups := w.number("SELECT count(*) FROM conversations WHERE kind = 3")
		if want := 1 + int64(len(slices.DeleteFunc([]error{done[0], done[5]}, func(err error) bool { return err != nil }))); groups != want {
			t.Errorf("%d groups, want %d", groups, want)
		}
	}
	kept := make(map[int64]string)
	for seq, name := range acked {
		kept[seq] = name
	}
	check(results)
	acked = kept

	n.must(n.service.LeaveRoom(ctx, 10_000))
	for i, act := range acts { // the same again
		if err := act(ctx); err != nil {
			t.Errorf("%s, with room: %v", names[i], err)
		}
	}
	n.must(send(ctx, fmt.Sprint("filling-", i-1))) // which had been refused
	n.must(send(ctx, "with-room"))
	check(make([]error, len(acts)))
	n.close()
	w.behind(func(db *sql.DB) error {
		var verdict string
		err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict)
		if err == nil && verdict != "ok" {
			err = errors.New(verdict)
		}
		return err
	})
	n = w.boot(fast())
	if c := n.state("ann", group).GetConversation(); c.GetMemberCount() != 1 {
		t.Errorf("after a restart the group is %v", c)
	}
	n.say("bob", id, "after a restart", "x")
}
