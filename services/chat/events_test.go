package chat_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/services/chat"
)

// likesTold collects the likes that the bus tells.
func likesTold(w *world) func() []*chatv1.Likes {
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	return func() (likes []*chatv1.Likes) {
		for _, events := range told() {
			for _, e := range events.GetEvents() {
				if e.GetLikes() != nil {
					likes = append(likes, e.GetLikes())
				}
			}
		}
		return likes
	}
}

// likes is the number of likes that somebody is told who enters the room.
func (n *node) likes() int64 {
	n.t.Helper()
	res, err := n.neighbour("edge").GetRoom(n.t.Context(), &chatv1.GetRoomRequest{ConversationId: room, UserId: "guest"})
	n.must(err)
	return res.GetLikeCount()
}

func TestLikesAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	published := likesTold(w)
	v := n.watch(n.guest("reader"), nil)
	const users, calls, each = 5, 20, 3
	var all sync.WaitGroup
	for u := range users {
		c := n.as(string(rune('a' + u)))
		all.Go(func() {
			for range calls {
				if _, err := c.Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: each}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	events := v.until("all likes were told", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool { return e.GetLikes().GetTotal() == users*calls*each })
	})
	var sum, last int64
	told := 0
	for _, e := range events {
		if l := e.GetLikes(); l != nil {
			told++
			if sum += int64(l.GetCount()); sum != l.GetTotal() || l.GetTotal() <= last {
				t.Errorf("likes %v after %d", l, last)
			}
			last = l.GetTotal()
		}
	}
	if told > 10 {
		t.Errorf("%d calls were told in %d events", users*calls, told)
	}
	n.eventually("the bus has told as much", func() bool { return len(published()) == told })
	var counted int64 // by who listens to the bus, such as for a broadcast
	for _, e := range published() {
		counted += int64(e.GetCount())
	}
	if counted != sum {
		t.Errorf("the bus told of %d likes, want %d", counted, sum)
	}
	if likes := n.likes(); likes != sum {
		t.Errorf("a newcomer is told of %d likes", likes)
	}
	n.close()
	n = w.boot(fast())
	if likes := n.likes(); likes != sum {
		t.Errorf("after a restart there are %d likes", likes)
	}
	if _, err := n.as("a").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 1}); err != nil {
		t.Error(err)
	}
	n.eventually("the like was added", func() bool { return n.likes() == sum+1 })
}

func TestLikesOfAnUnsureBusAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	published := likesTold(w)
	like := func(count int32) {
		t.Helper()
		if _, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: count}); err != nil {
			t.Fatal(err)
		}
	}
	w.bus.refuse.Store(true)
	like(3)
	n.eventually("the bus refused them", func() bool { return w.bus.refused.Load() > 0 })
	like(4)
	w.bus.deny.Store(true)
	w.bus.refuse.Store(false)
	n.eventually("they were told twice", func() bool { return len(published()) >= 2 })
	w.bus.deny.Store(false)
	like(5)
	// A repeat is the same event, so who has seen its total does not count it again.
	n.eventually("every like was counted", func() bool {
		var counted, total int64
		for _, e := range published() {
			if l := e; l.GetTotal() > total {
				if counted += int64(l.GetCount()); counted != l.GetTotal() {
					t.Fatalf("counted %d, told %v", counted, l)
				}
				total = l.GetTotal()
			}
		}
		return counted == 12
	})
}

func TestSenderAsTheyWereCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.send("ann", "named-1", "x")
	n.send("ann", "named-2", "x")
	w.users.set(func(d *directory) {
		if d.asked != 1 {
			t.Errorf("auth was asked %d times", d.asked)
		}
		d.names["ann"] = "Ann the Great"
	})
	event := &authv1.UserChanged{User: &authv1.User{Id: "ann"}}
	if err := bus.Publish(t.Context(), w.bus, "auth.user_changed", "ann", event); err != nil {
		t.Fatal(err)
	}
	i := 0
	n.eventually("the new name is used", func() bool {
		i++
		return n.send("ann", "named-new-"+string(rune('a'+i)), "x").GetSender().GetNickname() == "Ann the Great"
	})
	res, err := n.as("bob").ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: room})
	if err != nil || res.GetMessages()[0].GetSender().GetNickname() != "ann" {
		t.Errorf("history was rewritten: %v, %v", res, err)
	}
	// A change whose event was lost shows after a minute.
	w.users.set(func(d *directory) { d.names["ann"] = "Ann" })
	w.clock.advance(time.Minute)
	if m := n.send("ann", "named-late", "x"); m.GetSender().GetNickname() != "Ann" {
		t.Errorf("got %v", m)
	}
}
