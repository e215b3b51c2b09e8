package chat_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/services/chat"
)

// TestEventsBearTheirCommit: whoever synced up to the commit of an event knows what it tells; whoever synced before it
// does not.
func TestEventsBearTheirCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	group := n.group("ann", nil, "bob")
	var mu sync.Mutex
	told := make(map[string]int64)
	note := func(what string, commit int64) {
		mu.Lock()
		defer mu.Unlock()
		told[what] = commit
	}
	ofUsers, err := bus.Subscribe(w.bus, chat.TopicUserEvents, "", func(_ context.Context, user string, e *chatv1.UserEvents) error {
		for _, event := range e.GetEvents() {
			if event.GetState() != nil {
				note("state of "+user, event.GetCommit())
			}
			if event.GetHidden() != nil {
				note("hidden of "+user, event.GetCommit())
			}
		}
		return nil
	})
	w.must(err)
	ofTalk, err := bus.Subscribe(w.bus, chat.TopicConversationEvents, "", func(_ context.Context, _ string, e *chatv1.ConversationEvents) error {
		for _, event := range e.GetEvents() {
			switch event.GetKind().(type) {
			case *chatv1.Event_Conversation:
				note("conversation", event.GetCommit())
			case *chatv1.Event_Members:
				note("members", event.GetCommit())
			case *chatv1.Event_MessageChanged:
				note("changed", event.GetCommit())
			}
		}
		return nil
	})
	w.must(err)
	t.Cleanup(func() { w.must(ofUsers.Close()); w.must(ofTalk.Close()) })
	cursor := func() int64 {
		p := n.phone("ann")
		p.sync(100)
		return p.cursor
	}
	for _, c := range []struct {
		tells string
		do    func()
	}{
		{"conversation", func() {
			_, err := n.groups("ann").UpdateGroup(t.Context(), &chatv1.UpdateGroupRequest{
				ConversationId: group, Title: "New", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
			})
			n.must(err)
		}},
		{"state of ann", func() {
			said := n.say("bob", group, "m1", "x")
			_, err := n.as("ann").AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{Advances: []*chatv1.Advance{
				{ConversationId: group, ReadSeq: said.GetSeq()},
			}})
			n.must(err)
		}},
		{"hidden of ann", func() {
			_, err := n.as("ann").HideMessages(t.Context(), &chatv1.HideMessagesRequest{ConversationId: group, Seqs: []int64{1}})
			n.must(err)
		}},
		{"changed", func() {
			said := n.say("ann", group, "m2", "x")
			_, err := n.as("ann").RecallMessage(t.Context(), &chatv1.RecallMessageRequest{ConversationId: group, Seq: said.GetSeq()})
			n.must(err)
		}},
		{"members", func() {
			_, err := n.groups("ann").RemoveMembers(t.Context(), &chatv1.RemoveMembersRequest{ConversationId: group, UserIds: []string{"bob"}})
			n.must(err)
		}},
	} {
		before := cursor()
		c.do()
		after := cursor()
		commit := func() int64 {
			mu.Lock()
			defer mu.Unlock()
			return told[c.tells]
		}
		w.eventually(c.tells+" is told", func() bool { return commit() > before })
		if commit() > after {
			t.Errorf("%s: told of commit %d, and Sync had come to %d", c.tells, commit(), after)
		}
	}
}
