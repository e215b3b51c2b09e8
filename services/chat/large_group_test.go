package chat_test

import (
	"context"
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// largest is how many members a group may have.
const largest = 100_000

// crowd makes an open group of ann and so many in all, m-000000 and so on, in the store itself.
func (w *world) crowd(members int) (n *node, id string) {
	w.t.Helper()
	n = w.boot(fast())
	id = n.group("ann", &chatv1.GroupSettings{Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN})
	n.close()
	joined := w.number("SELECT joined_at FROM members WHERE conversation_id = ?", id)
	version := w.number("SELECT version FROM members WHERE conversation_id = ?", id)
	w.insert("members (conversation_id, user_id, role, joined_at, first_seq, read_seq, delivered_seq, member_version, version)",
		members-1, func(i int) []any {
			return []any{id, fmt.Sprintf("m-%06d", i), 1, joined, 1, 1, 1, 2 + i, version}
		})
	w.exec("UPDATE conversations SET member_count = ?2, member_version = ?2 WHERE id = ?1", id, members)
	return w.boot(fast()), id
}

// costs is what one act makes the database and the bus do.
type costs struct {
	pagesOfWriter, pagesOfReader int64
	rows                         int64 // written
	told                         int   // bytes
}

// cost does something once to warm up and then once more, and counts what that took.
func (n *node) cost(told func() []*chatv1.ConversationEvents, act func(round int)) costs {
	n.t.Helper()
	act(0)
	settled := func() bool { return n.number("SELECT count(*) FROM outboxes") == 0 }
	n.eventually("the outbox is empty", settled)
	rows := func() int64 { return n.number("SELECT count(*) FROM written") }
	write, read, err := n.service.PagesRead(n.t.Context())
	n.must(err)
	before, heard := rows(), len(told())
	act(1)
	var out costs
	out.pagesOfWriter, out.pagesOfReader, err = n.service.PagesRead(n.t.Context())
	n.must(err)
	out.pagesOfWriter, out.pagesOfReader = out.pagesOfWriter-write, out.pagesOfReader-read
	n.eventually("the outbox is empty", settled)
	out.rows = rows() - before
	for _, events := range told()[heard:] {
		out.told += proto.Size(events)
	}
	return out
}

// TestAGroupOfAHundredThousand works in a group of the largest size: what an act costs does not grow with the group.
func TestAGroupOfAHundredThousand(t *testing.T) {
	t.Parallel()
	measure := func(members int) map[string]costs {
		w := newWorld(t)
		n, id := w.crowd(members)
		told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
		ctx := t.Context()
		w.exec("CREATE TABLE written (what text)")
		for _, table := range []string{"conversations", "members", "messages"} {
			for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
				w.trigger("see_"+table+"_"+change, "AFTER "+change+" ON "+table, "", "INSERT INTO written VALUES ('"+table+"')")
			}
		}
		// Who leaves first makes room: the group is full.
		join := func(user string) error {
			_, err := n.groups(user).JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: id})
			return err
		}
		if members == largest {
			assertRefused(t, "one too many", join("late"), connect.CodeResourceExhausted, chat.ReasonGroupFull)
			_, err := n.groups("ann").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: []string{"late"}})
			assertRefused(t, "one too many", err, connect.CodeResourceExhausted, chat.ReasonGroupFull)
		}
		out := make(map[string]costs)
		out["leave"] = n.cost(told, func(round int) {
			_, err := n.groups(fmt.Sprintf("m-%06d", round)).LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
			n.must(err)
		})
		version := n.state("ann", id).GetConversation().GetMemberVersion()
		out["join"] = n.cost(told, func(round int) { n.must(join(fmt.Sprint("new-", round))) })
		var page *chatv1.SyncMembersResponse
		out["sync members"] = n.cost(told, func(round int) {
			var err error
			page, err = n.groups("ann").SyncMembers(ctx, &chatv1.SyncMembersRequest{ConversationId: id, AfterVersion: version + 1})
			n.must(err)
		})
		if len(page.GetMembers()) != 1 || page.GetMembers()[0].GetUser().GetId() != "new-1" || !page.GetDone() || page.GetVersion() != version+2 {
			t.Errorf("after one join: %v", page)
		}
		out["send"] = n.cost(told, func(round int) { n.say("ann", id, fmt.Sprint("to-all-", round), "x") })
		out["sync"] = n.cost(told, func(int) {
			res, err := n.as("m-000005").Sync(ctx, &chatv1.SyncRequest{})
			if err != nil || len(res.GetStates()) != 1 || res.GetStates()[0].GetMembership().GetUnreadCount() != 6 {
				t.Errorf("one of them has %v, %v", res, err)
			}
		})
		token := ""
		out["a page of members"] = n.cost(told, func(round int) { // the first, and then one far behind it
			for range 1 + 8*round {
				res, err := n.groups("ann").ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: id, PageSize: 1, PageToken: token})
				n.must(err)
				token = res.GetNextPageToken()
			}
		})
		if members == largest {
			assertAllMembers(ctx, t, n, id)
		}
		return out
	}
	small, large := measure(20), measure(largest)
	for act, cost := range large {
		few := small[act]
		t.Logf("%s: %+v, in a group of 20 %+v", act, cost, few)
		// The trees of indexes are a few pages higher.
		if cost.pagesOfWriter > 2*few.pagesOfWriter+100 || cost.pagesOfReader > 2*few.pagesOfReader+100 {
			t.Errorf("%s looks at %d and %d pages, in a group of 20 at %d and %d", act, cost.pagesOfWriter, cost.pagesOfReader,
				few.pagesOfWriter, few.pagesOfReader)
		}
		if cost.rows != few.rows || cost.rows > 6 {
			t.Errorf("%s writes %d rows, in a group of 20 %d", act, cost.rows, few.rows)
		}
		if cost.told > few.told+50 {
			t.Errorf("%s tells %d bytes, in a group of 20 %d", act, cost.told, few.told)
		}
	}
}

// assertAllMembers reads all members in pages: each once, and the last page costs what the first did.
func assertAllMembers(ctx context.Context, t *testing.T, n *node, id string) {
	t.Helper()
	known := make(map[string]bool, largest)
	token, first, last := "", int64(0), int64(0)
	c := n.groups("m-000005")
	for {
		_, before, err := n.service.PagesRead(ctx)
		n.must(err)
		res, err := c.ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: id, PageSize: 500, PageToken: token})
		n.must(err)
		_, after, err := n.service.PagesRead(ctx)
		n.must(err)
		if token == "" {
			first = after - before
		}
		if last = after - before; last > 2*first+100 {
			t.Errorf("a page after %d members looks at %d pages, the first at %d", len(known), last, first)
		}
		for _, m := range res.GetMembers() {
			if user := m.GetUser().GetId(); known[user] {
				t.Fatalf("%s is listed twice", user)
			}
			known[m.GetUser().GetId()] = true
		}
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if count := n.state("ann", id).GetConversation().GetMemberCount(); len(known) != int(count) || count != largest || !known["ann"] || known["m-000000"] {
		t.Errorf("%d members are listed, and there are %d", len(known), count)
	}
}
