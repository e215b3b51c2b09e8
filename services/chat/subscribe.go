package chat

import (
	"context"
	"fmt"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// farewell is how long a peer that does not read has to be told why its stream ended.
const farewell = 2 * time.Second

// Subscribe sends a conversation's events to sink until ctx ends, and returns why it ended: history after the given
// position (or the greeting), Subscribed, then what happens. The owner and the staff may come unseen: they are not
// counted among the people in the conversation. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND), PERMISSION_DENIED
// (FORBIDDEN), RESOURCE_EXHAUSTED (SLOW_CONSUMER, TOO_MANY_SUBSCRIPTIONS), UNAVAILABLE (DRAINING), the context's
// cause.
func (s *Service) Subscribe(
	ctx context.Context, p authn.Principal, conversationID string, after *Position, unseen bool, sink Sink,
) error {
	if err := s.started(); err != nil {
		return err
	}
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return err
	}
	if unseen && !p.IsStaff() && p.UserID != c.OwnerID {
		return errs.PermissionDenied(errs.ReasonForbidden, "only the owner and the staff may watch unseen").
			With("required_role", authn.Moderator.String())
	}
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	member, err := s.hub.join(conversationID, p.UserID, unseen, cut)
	if err != nil {
		return err
	}
	defer s.hub.leave(member)
	defer expireAtEnd(ctx, sink)()
	// History goes at the peer's pace, and has no queue that could overflow: a peer that takes nothing of it is cut here.
	stalled := time.AfterFunc(s.cfg.Patience, func() { cut(slowConsumer()) })
	defer stalled.Stop()
	f := &feed{store: s.store, sink: sink, sent: func() { stalled.Reset(s.cfg.Patience) }}
	if err := s.greet(ctx, f, member, conversationID, after); err != nil {
		return f.reason(ctx, err)
	}
	stalled.Stop()
	f.sent = func() {}
	return f.reason(ctx, f.follow(ctx, member, s.cfg.Heartbeat))
}

// expireAtEnd gives sink's Sends a deadline once ctx ends, for a peer that does not read would hold them for ever. The
// function that it returns must be called while sink may still be used.
func expireAtEnd(ctx context.Context, sink Sink) (stop func()) {
	expired := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(expired)
		sink.Expire(farewell)
	})
	return func() {
		if !cancel() {
			<-expired
		}
	}
}

// greet sends history and Subscribed. The subscription has joined its topic before: what is committed from here on
// either shows in the store or comes through the queue, or both.
func (s *Service) greet(
	ctx context.Context, f *feed, member *subscription, conversationID string, after *Position,
) (err error) {
	if f.conversation, err = s.store.conversation(ctx, conversationID); err != nil {
		return err
	}
	f.last = f.conversation.start(after)
	if err := f.catchUp(ctx); err != nil { // as long as it takes, at the peer's pace
		return err
	}
	member.goLive()
	// Counted after going live: what changes from here on is told by events.
	viewers, liked := member.topic.count(), s.likes.told(conversationID, f.conversation.Likes)
	if err := f.catchUp(ctx); err != nil { // what came meanwhile
		return err
	}
	return f.sink.Send(&chatv1.Event{Kind: &chatv1.Event_Subscribed{Subscribed: &chatv1.Subscribed{
		Position:    &chatv1.Position{Epoch: f.conversation.Epoch, Seq: f.last},
		ViewerCount: int32(viewers), //nolint:gosec // people on one node
		LikeCount:   liked,
	}}})
}

// feed sends a conversation's messages in order, each once.
type feed struct {
	store        *store
	sink         Sink
	conversation Conversation
	last         int64 // seq of the last message that was sent
	sent         func()
}

// reason prefers why the stream was told to end over how its end showed.
func (f *feed) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	return err
}

// catchUp sends every stored message after the last one.
func (f *feed) catchUp(ctx context.Context) error {
	for {
		messages, err := f.store.messagesAfter(ctx, f.conversation, f.last, pageSize)
		if err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
		for _, m := range messages {
			if ctx.Err() != nil {
				return ended(ctx)
			}
			if err := f.send(m); err != nil {
				return err
			}
		}
		if len(messages) < pageSize {
			return nil
		}
	}
}

// follow sends what the queue brings, and a heartbeat whenever it has brought nothing for that long.
func (f *feed) follow(ctx context.Context, member *subscription, heartbeat time.Duration) error {
	silence := time.NewTimer(heartbeat)
	defer silence.Stop()
	for {
		if ctx.Err() != nil { // before another event, of which there may be many
			return ended(ctx)
		}
		select {
		case <-ctx.Done():
			return ended(ctx)
		case event := <-member.queue:
			if err := f.event(ctx, event); err != nil {
				return err
			}
		case <-silence.C:
			if err := f.sink.Send(&chatv1.Event{Kind: &chatv1.Event_Heartbeat{Heartbeat: &chatv1.Heartbeat{}}}); err != nil {
				return err
			}
		}
		silence.Reset(heartbeat)
	}
}

// event sends an event, but a message only in its turn: a repeat is dropped, and what lies between it and the last one
// is read from the store, in which it must be.
func (f *feed) event(ctx context.Context, event *chatv1.Event) error {
	m := event.GetMessage()
	if m == nil {
		return f.other(ctx, event)
	}
	if m.GetSeq() <= f.last {
		return nil
	}
	if m.GetSeq() > f.last+1 {
		return f.catchUp(ctx) // brings this one, too
	}
	if err := f.sink.Send(event); err != nil {
		return err
	}
	f.last = m.GetSeq()
	return nil
}

// other sends an event that is no message. That a message was taken away can overtake the message itself: then the store
// is read up to it first, which shows it emptied, and what comes late is dropped as a repeat.
func (f *feed) other(ctx context.Context, event *chatv1.Event) error {
	at := event.GetMessageDeleted().GetPosition()
	if at.GetEpoch() == f.conversation.Epoch && at.GetSeq() > f.last {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
	return f.sink.Send(event)
}

func (f *feed) send(m *chatv1.Message) error {
	if err := f.sink.Send(&chatv1.Event{Kind: &chatv1.Event_Message{Message: m}}); err != nil {
		return err
	}
	f.sent()
	f.last = m.GetSeq()
	return nil
}
