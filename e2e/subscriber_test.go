package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// subscriber reads a conversation's events and keeps them.
type subscriber struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []*chatv1.Event
	err    error // how the stream ended
}

// subscribe goes on after a position, or greets a newcomer where that is nil, and waits until the greeting is over.
func (p *person) subscribe(conversation string, after *chatv1.Position) *subscriber {
	t := p.s.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := &subscriber{t: t, cancel: cancel, done: make(chan struct{})}
	stream, err := p.chat.Subscribe(ctx, &chatv1.SubscribeRequest{ConversationId: conversation, After: after})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(v.done)
		for stream.Receive() {
			v.mu.Lock()
			v.events = append(v.events, stream.Msg().GetEvent())
			v.mu.Unlock()
		}
		v.mu.Lock()
		v.err = stream.Err()
		v.mu.Unlock()
		_ = stream.Close()
	}()
	t.Cleanup(v.leave)
	v.until("the greeting is over", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool { return e.GetSubscribed() != nil })
	})
	return v
}

// leave hangs up.
func (v *subscriber) leave() {
	v.cancel()
	<-v.done
}

func (v *subscriber) all() []*chatv1.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.events)
}

// until waits until what was told is enough.
func (v *subscriber) until(what string, enough func([]*chatv1.Event) bool) {
	v.t.Helper()
	eventually(v.t, "a subscriber sees that "+what, func() error {
		events := v.all()
		if enough(events) {
			return nil
		}
		select {
		case <-v.done:
			v.t.Fatalf("the stream ended before a subscriber saw that %s: %v", what, v.err)
		default:
		}
		return fmt.Errorf("it saw %v", events)
	})
}

// broadcasts waits until the last state that was told is the wanted one, and returns all broadcasts that were told.
func (v *subscriber) broadcasts(want livev1.BroadcastState) []*livev1.Broadcast {
	v.t.Helper()
	var told []*livev1.Broadcast
	v.until("the broadcast is "+want.String(), func(events []*chatv1.Event) bool {
		told = nil
		for _, e := range events {
			if b := e.GetBroadcast(); b != nil {
				told = append(told, b)
			}
		}
		return len(told) > 0 && told[len(told)-1].GetState() == want
	})
	return told
}

// messages returns the messages that were told.
func (v *subscriber) messages() []*chatv1.Message {
	var told []*chatv1.Message
	for _, e := range v.all() {
		if m := e.GetMessage(); m != nil {
			told = append(told, m)
		}
	}
	return told
}

// sees waits until a message was told.
func (v *subscriber) sees(message *chatv1.Message) {
	v.t.Helper()
	v.until(fmt.Sprintf("message %d came", message.GetSeq()), func([]*chatv1.Event) bool {
		return slices.ContainsFunc(v.messages(), func(m *chatv1.Message) bool { return m.GetSeq() == message.GetSeq() })
	})
}

// ends waits for the stream's own end and returns its error.
func (v *subscriber) ends() error {
	v.t.Helper()
	select {
	case <-v.done:
		if v.err == nil {
			return errors.New("no error")
		}
		return v.err
	case <-time.After(patience):
		v.t.Fatal("the stream did not end")
		return nil
	}
}
