package chat_test

import (
	"fmt"
	"slices"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// TestManyHiddenMessages hides more than a page of lists and of messages shows: every page of what is left has something, and
// another device learns of all that was hidden.
func TestManyHiddenMessages(t *testing.T) {
	t.Parallel()
	const last, hidden = 1300, 1200
	w := newWorld(t)
	n := w.boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob") // messages 1 and 2
	w.babble(id, "bob", last)
	for from := int64(51); from <= 50+hidden; from += 100 { // 51 to 1,250
		var seqs []int64
		for seq := from; seq < from+100; seq++ {
			seqs = append(seqs, seq)
		}
		_, err := n.as("ann").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: seqs})
		n.must(err)
	}
	var want []int64
	for seq := range int64(last) {
		if seq++; seq <= 50 || seq > 50+hidden {
			want = append(want, seq)
		}
	}
	var back, forth []int64
	for before, more := at(last+1), true; more; {
		page, err := n.as("ann").ListMessages(ctx, &chatv1.ListMessagesRequest{
			ConversationId: id, PageSize: 20, From: &chatv1.ListMessagesRequest_Before{Before: before},
		})
		n.must(err)
		if more = page.GetHasMore(); len(page.GetMessages()) == 0 {
			t.Fatalf("the page before %d is empty, and there is more: %v", before.GetSeq(), more)
		}
		for _, m := range slices.Backward(page.GetMessages()) {
			back = append(back, m.GetSeq())
		}
		before = at(page.GetMessages()[0].GetSeq())
	}
	for after, more := at(0), true; more; {
		page, err := n.as("ann").ListMessages(ctx, &chatv1.ListMessagesRequest{
			ConversationId: id, PageSize: 20, From: &chatv1.ListMessagesRequest_After{After: after},
		})
		n.must(err)
		if more = page.GetHasMore(); len(page.GetMessages()) == 0 {
			t.Fatalf("the page after %d is empty, and there is more: %v", after.GetSeq(), more)
		}
		for _, m := range page.GetMessages() {
			forth = append(forth, m.GetSeq())
		}
		after = at(forth[len(forth)-1])
	}
	slices.Reverse(back)
	if !slices.Equal(back, want) || !slices.Equal(forth, want) {
		t.Errorf("read %d backward and %d forward, want %d", len(back), len(forth), len(want))
	}
	// The last ones, too: the list shows what is left.
	var seqs []int64
	for seq := int64(51 + hidden); seq <= last; seq++ {
		seqs = append(seqs, seq)
	}
	_, err := n.as("ann").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: id, Seqs: seqs})
	n.must(err)
	if got := n.state("ann", id).GetLastMessage().GetSeq(); got != 50 {
		t.Errorf("the last message is %d, want 50", got)
	}
	var told []int64
	change, pages := int64(0), 0
	for more := true; more; pages++ {
		res, err := n.as("ann").ListHidden(ctx, &chatv1.ListHiddenRequest{ConversationId: id, AfterChange: change})
		n.must(err)
		told = append(told, res.GetHidden().GetSeqs()...)
		if res.GetHidden().GetHiddenChange() <= change {
			t.Fatalf("a page from change %d ends at %d", change, res.GetHidden().GetHiddenChange())
		}
		change, more = res.GetHidden().GetHiddenChange(), res.GetHasMore()
	}
	if slices.Sort(told); pages != 2 || len(told) != hidden+50 || len(slices.Compact(told)) != hidden+50 || change != 13 {
		t.Errorf("%d hidden messages are told in %d pages, up to change %d", len(told), pages, change)
	}
	if got := len(n.reads("bob", id)); got != 200 {
		t.Errorf("the other reads %d on a page", got)
	}
}

// TestAPageOfSyncEndsBetweenCommits changes several conversations of one user in one commit: a page that would end among them
// has them all, and each is told once.
func TestAPageOfSyncEndsBetweenCommits(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	var advances []*chatv1.Advance
	for i := range 6 {
		id := n.group("ann", nil, "bob")
		n.say("ann", id, fmt.Sprint("to-read-", i), "x")
		advances = append(advances, &chatv1.Advance{ConversationId: id, ReadSeq: 2})
	}
	before := n.phone("bob")
	before.sync(100)
	_, err := n.as("bob").AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{Advances: advances[:5]}) // one commit
	n.must(err)
	_, err = n.as("bob").AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{Advances: advances[5:]})
	n.must(err)
	for _, cursor := range []int64{before.cursor, 0} {
		told := make(map[string]int)
		var sizes []int
		for at, done := cursor, false; !done; {
			page, err := n.as("bob").Sync(t.Context(), &chatv1.SyncRequest{Cursor: at, PageSize: 2})
			n.must(err)
			sizes = append(sizes, len(page.GetStates()))
			for _, s := range page.GetStates() {
				told[s.GetConversation().GetId()]++
				if s.GetMembership().GetReadSeq() != 2 {
					t.Errorf("told %v", s)
				}
			}
			at, done = page.GetCursor(), page.GetDone()
		}
		if len(told) != 6 || !slices.Equal(sizes, []int{5, 1}) {
			t.Errorf("from %d: told %v in pages of %v", cursor, told, sizes)
		}
		for id, times := range told {
			if times != 1 {
				t.Errorf("from %d: %s is told %d times", cursor, id, times)
			}
		}
	}
}

// TestPagesOfBansAndConversations pages through who is kept out of a group, and through what a user is in.
func TestPagesOfBansAndConversations(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil)
	want := []string{"u5", "u4", "u3", "u2", "u1"}
	for _, user := range slices.Backward(want) {
		_, err := n.groups("ann").BanUser(ctx, &chatv1.BanUserRequest{ConversationId: id, UserId: user})
		n.must(err)
	}
	var got []string
	for token, first := "", true; first || token != ""; first = false {
		page, err := n.groups("ann").ListBannedUsers(ctx, &chatv1.ListBannedUsersRequest{ConversationId: id, PageSize: 2, PageToken: token})
		n.must(err)
		for _, b := range page.GetBans() {
			got = append(got, b.GetUser().GetId())
		}
		token = page.GetNextPageToken()
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept out are %v, want %v", got, want)
	}
	conversations := []string{id, n.direct("ann", "bob"), n.group("bob", nil, "ann"), n.direct("cid", "ann"), n.group("ann", nil)}
	left := n.group("bob", nil, "ann")
	_, err := n.groups("ann").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: left})
	n.must(err)
	var all []string
	for token, first := "", true; first || token != ""; first = false {
		page, err := n.neighbour("edge").ListConversationIds(ctx, &chatv1.ListConversationIdsRequest{UserId: "ann", PageSize: 2, PageToken: token})
		n.must(err)
		all = append(all, page.GetConversationIds()...)
		token = page.GetNextPageToken()
	}
	if !slices.Equal(all, conversations) {
		t.Errorf("she is in %v, want %v", all, conversations)
	}
}
