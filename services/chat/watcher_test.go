package chat_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

type protoMessage = proto.Message

// watcher reads a subscription to its end and keeps what it saw.
type watcher struct {
	w      *world
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []*chatv1.Event
	err    error // how the stream ended
	more   chan struct{}
}

// watch subscribes and goes on reading until the test or stop ends it.
func (w *world) watch(c chatv1connect.ChatServiceClient, after *chatv1.Position) *watcher {
	w.t.Helper()
	return w.follow(c, &chatv1.SubscribeRequest{ConversationId: room, After: after})
}

// follow is watch with a request of the caller's.
func (w *world) follow(c chatv1connect.ChatServiceClient, r *chatv1.SubscribeRequest) *watcher {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	v := &watcher{w: w, cancel: cancel, done: make(chan struct{}), more: make(chan struct{}, 1)}
	stream, err := c.Subscribe(ctx, r)
	w.must(err)
	go func() {
		defer close(v.done)
		for stream.Receive() {
			v.mu.Lock()
			v.events = append(v.events, stream.Msg().GetEvent())
			v.mu.Unlock()
			select {
			case v.more <- struct{}{}:
			default:
			}
		}
		v.mu.Lock()
		v.err = stream.Err()
		v.mu.Unlock()
		_ = stream.Close()
	}()
	w.t.Cleanup(v.stop)
	return v
}

// stop hangs up.
func (v *watcher) stop() {
	v.cancel()
	<-v.done
}

// ended waits for the stream's own end and returns its error.
func (v *watcher) ended() error {
	v.w.t.Helper()
	ctx, cancel := context.WithTimeout(v.w.t.Context(), patience)
	defer cancel()
	select {
	case <-v.done:
	case <-ctx.Done():
		v.w.t.Fatal("the stream did not end")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
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
		case <-v.done:
			if events := v.all(); enough(events) {
				return events
			}
			v.w.t.Fatalf("the stream ended before %s: %v", what, v.ended())
		case <-ctx.Done():
			v.w.t.Fatalf("waited too long until %s; saw %v", what, v.all())
		}
	}
}

// greeted waits for the end of the greeting.
func (v *watcher) greeted() *chatv1.Subscribed {
	v.w.t.Helper()
	events := v.until("the greeting is over", func(events []*chatv1.Event) bool { return subscribed(events) != nil })
	return subscribed(events)
}

// saw waits until a message with that seq came.
func (v *watcher) saw(seq int64) []*chatv1.Event {
	v.w.t.Helper()
	return v.until("a message came", func(events []*chatv1.Event) bool {
		all := seqs(events)
		return len(all) > 0 && all[len(all)-1] >= seq
	})
}

func subscribed(events []*chatv1.Event) *chatv1.Subscribed {
	for _, e := range events {
		if e.GetSubscribed() != nil {
			return e.GetSubscribed()
		}
	}
	return nil
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
