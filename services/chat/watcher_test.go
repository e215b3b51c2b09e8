package chat_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/services/chat"
)

type protoMessage = proto.Message

// watcher is a client that follows a room as its edge tells it: it reads what was said before, drops repeats, and reads
// gaps from the store.
type watcher struct {
	w      *world
	client chatv1connect.ChatServiceClient
	room   string
	sub    bus.Subscription
	at     *chatv1.Position // of the greeting

	mu     sync.Mutex
	events []*chatv1.Event
	epoch  int64
	last   int64
	closed bool
	more   chan struct{}
}

// watch follows the room, after a position or from the latest messages on, until the test or stop ends it.
func (w *world) watch(c chatv1connect.ChatServiceClient, after *chatv1.Position) *watcher {
	w.t.Helper()
	return w.watchIn(c, room, after)
}

func (w *world) watchIn(c chatv1connect.ChatServiceClient, id string, after *chatv1.Position) *watcher {
	w.t.Helper()
	v := &watcher{w: w, client: c, room: id, more: make(chan struct{}, 1)}
	v.mu.Lock() // what is told meanwhile comes after what was said before
	var err error
	v.sub, err = bus.Subscribe(w.bus, chat.TopicConversationEvents, "", v.told)
	w.must(err)
	w.t.Cleanup(v.stop)
	list := &chatv1.ListMessagesRequest{ConversationId: id, PageSize: 200}
	if after != nil {
		list.From = &chatv1.ListMessagesRequest_After{After: after}
		v.epoch, v.last = after.GetEpoch(), after.GetSeq()
	}
	page, err := c.ListMessages(w.t.Context(), list)
	w.must(err)
	v.keep(page.GetMessages())
	for after != nil && page.GetHasMore() {
		page = v.read()
	}
	v.at = &chatv1.Position{Epoch: v.epoch, Seq: v.last}
	v.mu.Unlock()
	return v
}

// read reads the next page after what was seen.
func (v *watcher) read() *chatv1.ListMessagesResponse {
	page, err := v.client.ListMessages(context.Background(), &chatv1.ListMessagesRequest{
		ConversationId: v.room, PageSize: 200,
		From: &chatv1.ListMessagesRequest_After{After: &chatv1.Position{Epoch: v.epoch, Seq: v.last}},
	})
	if err != nil {
		v.w.t.Errorf("read a gap: %v", err)
		return nil
	}
	v.keep(page.GetMessages())
	return page
}

func (v *watcher) keep(messages []*chatv1.Message) {
	for _, m := range messages {
		v.epoch, v.last = m.GetEpoch(), m.GetSeq()
		v.events = append(v.events, &chatv1.Event{ConversationId: v.room, Kind: &chatv1.Event_Message{Message: m}})
	}
}

// told handles chat.conversation_events.
func (v *watcher) told(_ context.Context, _ string, told *chatv1.ConversationEvents) error {
	if told.GetConversationId() != v.room {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil
	}
	for _, event := range told.GetEvents() {
		m := event.GetMessage()
		switch {
		case m == nil:
			if event.GetMessageChanged().GetSeq() > v.last {
				for page := v.read(); page.GetHasMore(); page = v.read() {
				}
			}
			v.events = append(v.events, event)
		case m.GetSeq() <= v.last:
		case m.GetSeq() > v.last+1:
			for page := v.read(); page.GetHasMore(); page = v.read() {
			}
		default:
			v.keep([]*chatv1.Message{m})
		}
	}
	select {
	case v.more <- struct{}{}:
	default:
	}
	return nil
}

// stop hangs up.
func (v *watcher) stop() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.w.must(v.sub.Close())
}

func (v *watcher) all() []*chatv1.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]*chatv1.Event(nil), v.events...)
}

// until waits until what was seen satisfies enough, and returns it.
func (v *watcher) until(what string, enough func(events []*chatv1.Event) bool) []*chatv1.Event {
	v.w.t.Helper()
	ctx, cancel := context.WithTimeout(v.w.t.Context(), patience)
	defer cancel()
	for {
		if events := v.all(); enough(events) {
			return events
		}
		select {
		case <-v.more:
		case <-ctx.Done():
			v.w.t.Fatalf("waited too long until %s; saw %v", what, v.all())
		}
	}
}

// saw waits until a message with that seq came.
func (v *watcher) saw(seq int64) []*chatv1.Event {
	v.w.t.Helper()
	return v.until("a message came", func(events []*chatv1.Event) bool {
		all := seqs(events)
		return len(all) > 0 && all[len(all)-1] >= seq
	})
}

func seqs(events []*chatv1.Event) (all []int64) {
	for _, e := range events {
		if m := e.GetMessage(); m != nil {
			all = append(all, m.GetSeq())
		}
	}
	return all
}

// assertRun fails unless all is from, from+1, … to.
func assertRun(t testing.TB, all []int64, from, to int64) {
	t.Helper()
	if int64(len(all)) != to-from+1 {
		t.Errorf("saw %d messages, want %d to %d", len(all), from, to)
	}
	for i, seq := range all {
		if seq != from+int64(i) {
			t.Fatalf("message %d stands at place %d of %v…", seq, from+int64(i), all[max(0, i-3):min(len(all), i+4)])
		}
	}
}
