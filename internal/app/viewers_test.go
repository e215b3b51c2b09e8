package app_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/testkit"
)

// promised is how soon a viewer count is right.
const promised = 2 * time.Second

func TestViewerCountsCountPeople(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	owner := as(s, binary, s.User(t, "owner").Token)
	one, other, guest := as(s, binary, s.User(t, "one").Token), as(s, binary, s.User(t, "other").Token), as(s, binary, s.Guest(t).Token)
	room := owner.openRoom(t, "A room")
	key, err := owner.live.IssueStreamKey(t.Context(), &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	s.Publish(t, key.GetRtmpUrl(), key.GetStreamKey())
	var slowest []time.Duration
	counted := func(what string, want int32) {
		t.Helper()
		start := time.Now()
		testkit.Eventually(t, 10*promised, what, func() bool {
			res, err := owner.live.GetRoom(t.Context(), &livev1.GetRoomRequest{RoomId: room.GetId()})
			if err != nil || res.GetBroadcast() == nil {
				t.Fatalf("%v, %v", res, err)
			}
			return res.GetBroadcast().GetViewerCount() == want
		})
		slowest = append(slowest, time.Since(start))
	}
	counted("nobody", 0)
	tab, _ := one.subscribe(t, room.GetConversationId())
	second, _ := one.subscribe(t, room.GetConversationId())
	counted("two tabs of one", 1)
	friend, _ := other.subscribe(t, room.GetConversationId())
	visitor, _ := guest.subscribe(t, room.GetConversationId())
	counted("two users and a guest", 3)
	tab.leave()
	friend.leave()
	counted("one tab and a guest", 2)
	second.leave()
	visitor.leave()
	counted("nobody again", 0)
	// A machine that was busy elsewhere may be late once; a count that is late by design always is.
	late := 0
	for _, took := range slowest {
		if took > promised {
			late++
		}
	}
	if late > 1 {
		t.Errorf("counts were right after %v; %v is promised", slowest, promised)
	}
	if _, err := owner.live.EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()}); err != nil {
		t.Error(err)
	}
	_, err = owner.live.EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()})
	refused(t, "ending it again", err, connect.CodeFailedPrecondition, "NOT_LIVE")
}
