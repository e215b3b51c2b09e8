package chat_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// TestAGroupIsMadeOnceWhoeverIsDeletedSince makes a group, has its answer lost, and asks again when one of the members has no
// account any more: the answer is the group, and only another request is refused.
func TestAGroupIsMadeOnceWhoeverIsDeletedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	ask := func(request string) (*chatv1.CreateGroupResponse, error) {
		return n.groups("ann").CreateGroup(t.Context(), &chatv1.CreateGroupRequest{
			RequestId: request, Title: "Us", UserIds: []string{"bob", "cid"},
		})
	}
	first, err := ask("the-request")
	w.must(err)
	w.users.set(func(d *directory) { d.gone["cid"] = true })
	w.clock.advance(2 * time.Minute) // nobody remembers who cid was
	again, err := ask("the-request")
	w.must(err)
	if one, other := first.GetState().GetConversation(), again.GetState().GetConversation(); one.GetId() != other.GetId() ||
		other.GetMemberCount() != 3 || other.GetLastSeq() != 1 {
		t.Errorf("it was %v, and is %v", one, other)
	}
	_, err = ask("another-request")
	assertRefused(t, "a group with somebody who is gone", err, connect.CodeNotFound, chat.ReasonUserNotFound)
	ids, err := n.neighbour("edge").ListConversationIds(t.Context(), &chatv1.ListConversationIdsRequest{UserId: "ann"})
	w.must(err)
	if len(ids.GetConversationIds()) != 1 {
		t.Errorf("ann is in %v", ids.GetConversationIds())
	}
}
