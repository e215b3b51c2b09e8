package chat_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/services/chat"
)

func TestLikesAreMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	published := collect[chatv1.LikesAdded](w, chat.TopicLikesAdded)
	v := n.watch(n.guest("reader"), nil)
	v.greeted()
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
		counted += int64(e.GetLikes().GetCount())
	}
	if counted != sum {
		t.Errorf("the bus told of %d likes, want %d", counted, sum)
	}
	if at := n.watch(n.guest("late"), nil).greeted(); at.GetLikeCount() != sum {
		t.Errorf("a newcomer is told of %d likes", at.GetLikeCount())
	}
	n.close()
	n = w.boot(fast())
	if at := n.watch(n.guest("later"), nil).greeted(); at.GetLikeCount() != sum {
		t.Errorf("after a restart there are %d likes", at.GetLikeCount())
	}
	if _, err := n.as("a").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 1}); err != nil {
		t.Error(err)
	}
	v = n.watch(n.guest("latest"), nil)
	v.until("the like was added", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool {
			return e.GetLikes().GetTotal() == sum+1 || e.GetSubscribed().GetLikeCount() == sum+1
		})
	})
}

func TestLikesOfAnUnsureBusAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	published := collect[chatv1.LikesAdded](w, chat.TopicLikesAdded)
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
			if l := e.GetLikes(); l.GetTotal() > total {
				if counted += int64(l.GetCount()); counted != l.GetTotal() {
					t.Fatalf("counted %d, told %v", counted, l)
				}
				total = l.GetTotal()
			}
		}
		return counted == 12
	})
}

func TestViewersArePeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	published := collect[chatv1.ViewersChanged](w, chat.TopicViewersChanged)
	count := func() int32 {
		if all := published(); len(all) > 0 {
			return all[len(all)-1].GetCount()
		}
		return -1
	}
	within := func(want int32) {
		t.Helper()
		start := time.Now()
		n.eventually("the count is right", func() bool { return count() == want })
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%d viewers were told after %v", want, took)
		}
	}
	first, second := n.watch(n.guest("ann"), nil), n.watch(n.guest("ann"), nil)
	if at := first.greeted(); at.GetViewerCount() != 1 {
		t.Errorf("greeted with %v", at)
	}
	if at := second.greeted(); at.GetViewerCount() != 1 {
		t.Errorf("two tabs are %d people", at.GetViewerCount())
	}
	within(1)
	third := n.watch(n.guest("bob"), nil)
	within(2)
	first.until("the other came", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool { return e.GetViewerCount().GetCount() == 2 })
	})
	second.stop()
	third.stop()
	within(1)
	first.stop()
	within(0)
	n.untilMetric("stoa_chat_conversations_open", 0)
	n.assertMetric("stoa_chat_subscribers", 0)
	// People who come and go all the time are told about at most once a second.
	before, start := len(published()), time.Now()
	for i := 0; time.Since(start) < 2*time.Second; i++ {
		v := n.watch(n.guest(fmt.Sprint("visitor-", i)), nil)
		v.greeted()
		if i%2 == 0 {
			v.stop()
		}
	}
	if told := len(published()) - before; told > 3 {
		t.Errorf("told %d times in two seconds", told)
	}
}

func TestBroadcastChangesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	v := n.watch(n.guest("reader"), nil)
	v.greeted()
	for _, state := range []livev1.BroadcastState{2, 3, 2, 4} {
		event := &livev1.BroadcastChanged{Broadcast: &livev1.Broadcast{Id: "b", State: state}, ConversationId: room}
		if err := bus.Publish(t.Context(), w.bus, "live.broadcast_changed", "b", event); err != nil {
			t.Fatal(err)
		}
	}
	states := func(events []*chatv1.Event) (all []livev1.BroadcastState) {
		for _, e := range events {
			if b := e.GetBroadcast(); b != nil {
				all = append(all, b.GetState())
			}
		}
		return all
	}
	events := v.until("the broadcast ended", func(events []*chatv1.Event) bool { return len(states(events)) == 4 })
	if got := states(events); !slices.Equal(got, []livev1.BroadcastState{2, 3, 2, 4}) {
		t.Errorf("told %v", got)
	}
}

func TestHeartbeatInSilence(t *testing.T) {
	t.Parallel()
	cfg := fast()
	cfg.Heartbeat = 20 * time.Millisecond
	n := newWorld(t).boot(cfg)
	v := n.watch(n.guest("reader"), nil)
	v.until("the heart beats", func(events []*chatv1.Event) bool {
		beats := 0
		for _, e := range events {
			if e.GetHeartbeat() != nil {
				beats++
			}
		}
		return beats >= 3
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
