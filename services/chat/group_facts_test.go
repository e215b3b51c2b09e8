package chat_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// TestFactsOfAGroup changes what a group is: what is refused leaves all of it as it was, and what members should notice is
// said.
func TestFactsOfAGroup(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.group("ann", nil, "bob")
	long := strings.Repeat("é", 61)
	update := func(r *chatv1.UpdateGroupRequest, paths ...string) error {
		r.ConversationId, r.UpdateMask = id, &fieldmaskpb.FieldMask{Paths: paths}
		_, err := n.groups("ann").UpdateGroup(t.Context(), r)
		return err
	}
	before := n.state("ann", id).GetConversation()
	for what, err := range map[string]error{
		"nothing":         update(&chatv1.UpdateGroupRequest{Title: "x"}),
		"no title":        update(&chatv1.UpdateGroupRequest{Title: " \u200b "}, "title"),
		"a long title":    update(&chatv1.UpdateGroupRequest{Title: long}, "title"),
		"two lines":       update(&chatv1.UpdateGroupRequest{Title: "a\nb"}, "title"),
		"a bad picture":   update(&chatv1.UpdateGroupRequest{Title: "x", AvatarUrl: "javascript:alert(1)"}, "title", "avatar_url"),
		"a blank word":    update(&chatv1.UpdateGroupRequest{Title: "x", Announcement: " \n "}, "title", "announcement"),
		"an unknown fact": update(&chatv1.UpdateGroupRequest{Title: "x"}, "title", "settings"),
	} {
		assertRefused(t, what, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	}
	for what, r := range map[string]*chatv1.CreateGroupRequest{
		"no title": {Title: " "}, "a long title": {Title: long}, "a bad picture": {Title: "x", AvatarUrl: "ftp://x"},
	} {
		r.RequestId = "a-request"
		_, err := n.groups("ann").CreateGroup(t.Context(), r)
		assertRefused(t, what, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	}
	if c := n.state("ann", id).GetConversation(); c.GetTitle() != before.GetTitle() || c.GetLastSeq() != before.GetLastSeq() {
		t.Errorf("after what was refused it is %v", c)
	}
	n.must(update(&chatv1.UpdateGroupRequest{AvatarUrl: "https://img/g", Announcement: "Hear"}, "avatar_url", "announcement"))
	if c := n.state("bob", id).GetConversation(); c.GetAvatarUrl() != "https://img/g" || c.GetAnnouncement() != "Hear" || c.GetTitle() != "A group" {
		t.Errorf("it is %v", c)
	}
	n.must(update(&chatv1.UpdateGroupRequest{}, "avatar_url", "announcement"))
	c := n.state("bob", id).GetConversation()
	if c.GetAvatarUrl() != "" || c.GetAnnouncement() != "" || c.GetLastSeq() != before.GetLastSeq()+1 { // an announcement that ends is no news
		t.Errorf("it is %v", c)
	}
	version := c.GetLastSeq()
	n.must(update(&chatv1.UpdateGroupRequest{Title: "A group"}, "title"))
	if c := n.state("bob", id).GetConversation(); c.GetLastSeq() != version {
		t.Errorf("the same title again is told: %v", c)
	}
}

// TestAGroupOpensItsHistory changes what newcomers see: it holds for those who come from then on, and what those who came
// before may not see stays theirs not to see.
func TestAGroupOpensItsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	id := n.group("ann", nil, "bob")
	old := n.say("ann", id, "old", "x").GetSeq()
	set := func(h chatv1.HistoryVisibility) {
		t.Helper()
		_, err := n.groups("ann").UpdateGroup(t.Context(), &chatv1.UpdateGroupRequest{
			ConversationId: id, Settings: &chatv1.GroupSettings{History: h, Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.history", "settings.join"}},
		})
		n.must(err)
	}
	join := func(user string, first int64) {
		t.Helper()
		_, err := n.groups(user).JoinGroup(t.Context(), &chatv1.JoinGroupRequest{ConversationId: id})
		n.must(err)
		if got := n.reads(user, id)[0]; got != first || n.state(user, id).GetMembership().GetFirstSeq() != first {
			t.Errorf("%s sees from message %d on, want %d", user, got, first)
		}
	}
	signed := func(told func() []*chatv1.ConversationEvents) *chatv1.Event {
		t.Helper()
		last := n.state("ann", id).GetConversation().GetLastChange() + 1
		n.react("ann", id, old, strings.Repeat("I", int(last)))
		all := n.toldTo(told, id, last)
		return all[len(all)-1]
	}
	set(chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL)
	join("early", 1)
	if e := signed(told); e.GetMessageChanged().GetSeq() != old {
		t.Errorf("while all see all, a change is told as %v", e)
	}
	set(chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN)
	join("late", n.state("ann", id).GetConversation().GetLastSeq()+1)
	set(chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL)
	join("later", 1)
	join("late", n.state("late", id).GetMembership().GetFirstSeq()) // who is there sees no more
	if e := signed(told); e.GetChangedTo() == 0 {
		t.Errorf("one who came late is there, and a change is told as %v", e)
	}
	n.close()
	n = w.boot(fast()) // it is in the store
	if e := signed(told); e.GetChangedTo() == 0 {
		t.Errorf("after a restart a change is told as %v", e)
	}
}

// TestAUserOwnsSoManyGroups makes one group too many, and ends one to make it.
func TestAUserOwnsSoManyGroups(t *testing.T) {
	t.Parallel()
	const most = 500
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil)
	w.own(id, most-1, "ann")
	wish := &chatv1.CreateGroupRequest{RequestId: "one-too-many", Title: "x"}
	_, err := n.groups("ann").CreateGroup(t.Context(), wish)
	assertRefused(t, "one too many", err, connect.CodeResourceExhausted, chat.ReasonTooManyGroups)
	_, err = n.groups("ann").DisbandGroup(t.Context(), &chatv1.DisbandGroupRequest{ConversationId: id})
	n.must(err)
	_, err = n.groups("ann").CreateGroup(t.Context(), wish)
	n.must(err)
}
