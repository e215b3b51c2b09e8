package chat_test

import (
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

// TestARestoredBackup is told to devices that know more than it, also when as much has been written since.
func TestARestoredBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	group, quiet := n.group("ann", nil, "bob"), n.direct("ann", "cid")
	n.say("ann", quiet, "long ago", "x")
	ann := n.phone("ann")
	ann.sync(100)
	cursor := ann.cursor
	n.close()
	count, err := chat.Restored(t.Context(), service.Deps{Logger: w.rpc.Logger, StoreURL: w.storeURL})
	if err != nil || count < 2 {
		t.Fatalf("restored %d conversations, %v", count, err)
	}
	n = w.boot(fast())
	n.say("bob", group, "since then", "x")
	res, err := n.as("ann").Sync(t.Context(), &chatv1.SyncRequest{Cursor: cursor, PageSize: 100})
	n.must(err)
	epochs := make(map[string]int64)
	for _, s := range res.GetStates() {
		epochs[s.GetConversation().GetId()] = s.GetConversation().GetEpoch()
	}
	if epochs[group] != 2 || epochs[quiet] != 2 || res.GetRestart() {
		t.Errorf("the device was told %v", res)
	}
	pulled, err := n.as("ann").PullMessages(t.Context(), &chatv1.PullMessagesRequest{Have: []*chatv1.Have{
		{ConversationId: quiet, Position: &chatv1.Position{Epoch: 1, Seq: 7}, Change: 3}, // of a history that is no more
	}})
	n.must(err)
	if c := pulled.GetConversations()[0]; c.GetEpoch() != 2 || len(c.GetMessages()) != 1 || c.GetMessages()[0].GetSeq() != 1 {
		t.Errorf("the device pulled %v", c)
	}
	fresh := n.phone("ann")
	fresh.sync(100)
	fresh.assertWhole(group)
	fresh.assertWhole(quiet)
	if fresh.cursor <= cursor {
		t.Errorf("the cursor went from %d to %d", cursor, fresh.cursor)
	}
}
