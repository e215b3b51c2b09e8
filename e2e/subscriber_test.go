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
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// subscriber is a long connection in one room: it keeps what was said there before, and what happens.
type subscriber struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []*edgev1.Event
	seq    int64 // of the last message that is kept
	err    error // how the stream ended
}

// subscribe goes on after a position, or reads the latest messages where that is nil, and waits until what happens is told.
func (p *person) subscribe(conversation string, after *chatv1.Position) *subscriber {
	t := p.s.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	v := &subscriber{t: t, cancel: cancel, done: make(chan struct{})}
	stream, err := p.edge.Connect(ctx, &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: conversation}}})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	entered := make(chan error, 1)
	go func() {
		defer close(v.done)
		for stream.Receive() {
			f := stream.Msg().GetFrame()
			switch kind := f.GetKind().(type) {
			case *edgev1.ServerFrame_Error:
				entered <- fmt.Errorf("enter: %v", kind.Error)
			case *edgev1.ServerFrame_Entered:
				v.keep(&edgev1.Event{Kind: &edgev1.Event_People{People: &presencev1.PeopleCount{Count: kind.Entered.GetPeople()}}})
				entered <- v.read(ctx, p, conversation, after)
			case *edgev1.ServerFrame_Push:
				v.keep(kind.Push.GetEvents()...)
			}
		}
		v.mu.Lock()
		v.err = stream.Err()
		v.mu.Unlock()
		_ = stream.Close()
	}()
	t.Cleanup(v.leave)
	select {
	case err := <-entered:
		if err != nil {
			t.Fatal(err)
		}
	case <-v.done:
		t.Fatalf("the stream ended before the room was entered: %v", v.err)
	case <-time.After(patience):
		t.Fatal("the room was not entered")
	}
	return v
}

// read keeps what was said before.
func (v *subscriber) read(ctx context.Context, p *person, conversation string, after *chatv1.Position) error {
	for {
		ask := &chatv1.ListMessagesRequest{ConversationId: conversation, PageSize: 200}
		if after != nil {
			ask.From = &chatv1.ListMessagesRequest_After{After: after}
		}
		page, err := p.chat.ListMessages(ctx, ask)
		if err != nil {
			return err
		}
		for _, m := range page.GetMessages() {
			v.keep(&edgev1.Event{Kind: &edgev1.Event_Chat{Chat: &chatv1.Event{
				ConversationId: conversation, Kind: &chatv1.Event_Message{Message: m},
			}}})
			if after != nil {
				after = &chatv1.Position{Epoch: m.GetEpoch(), Seq: m.GetSeq()}
			}
		}
		if after == nil || !page.GetHasMore() {
			return nil
		}
	}
}

// keep keeps events, each message once.
func (v *subscriber) keep(events ...*edgev1.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range events {
		if m := e.GetChat().GetMessage(); m != nil {
			if m.GetSeq() <= v.seq {
				continue
			}
			v.seq = m.GetSeq()
		}
		v.events = append(v.events, e)
	}
}

// leave hangs up.
func (v *subscriber) leave() {
	v.cancel()
	<-v.done
}

func (v *subscriber) all() []*edgev1.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.events)
}

// until waits until what was told is enough.
func (v *subscriber) until(what string, enough func([]*edgev1.Event) bool) {
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
	v.until("the broadcast is "+want.String(), func(events []*edgev1.Event) bool {
		told = nil
		for _, e := range events {
			if b := e.GetBroadcast().GetBroadcast(); b != nil {
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
		if m := e.GetChat().GetMessage(); m != nil {
			told = append(told, m)
		}
	}
	return told
}

// sees waits until a message was told.
func (v *subscriber) sees(message *chatv1.Message) {
	v.t.Helper()
	v.until(fmt.Sprintf("message %d came", message.GetSeq()), func([]*edgev1.Event) bool {
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
