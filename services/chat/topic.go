package chat

import (
	"context"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// topic is what this node tells about one conversation, while somebody listens.
type topic struct {
	id      string
	metrics *metrics

	mu      sync.Mutex
	members map[*subscription]struct{}
	open    int            // subscriptions that have not left; members lacks those that were cut for being slow
	people  map[string]int // subscriptions of each user that are seen

	// Of the hub's pulse alone:
	told   int // people, as last published
	toldAt time.Time
}

func newTopic(id string, m *metrics) *topic {
	return &topic{
		id: id, metrics: m, members: make(map[*subscription]struct{}), people: make(map[string]int),
	}
}

// subscription is one subscriber's place in a topic. Its queue is the only thing between the publisher and a slow peer,
// and it is bounded: when it is full, the subscription is cut.
type subscription struct {
	topic  *topic
	userID string
	unseen bool               // its user is not among the people
	queue  chan *chatv1.Event // events are shared with all subscribers: never changed
	cut    context.CancelCauseFunc

	live bool // messages come through the queue and no longer from the store; guarded by topic.mu
}

// join adds a subscription, to which messages do not go before it is live.
func (t *topic) join(userID string, unseen bool, queue int, cut context.CancelCauseFunc) *subscription {
	s := &subscription{topic: t, userID: userID, unseen: unseen, queue: make(chan *chatv1.Event, queue), cut: cut}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members[s] = struct{}{}
	t.open++
	if !unseen {
		t.people[userID]++
	}
	return s
}

// leave removes a subscription. It is called once for each.
func (t *topic) leave(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.members, s)
	t.open--
	if s.unseen {
		return
	}
	if t.people[s.userID]--; t.people[s.userID] <= 0 {
		delete(t.people, s.userID)
	}
}

// goLive lets messages into the queue. Every message that the store did not show before comes through it from now on,
// for a message is published only after its commit.
func (s *subscription) goLive() {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	s.live = true
}

// count returns the people in the conversation, each counted once.
func (t *topic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.people)
}

// deliver puts an event into every queue and never waits. A subscription whose greeting still goes on reads messages
// from the store and learns counts at its end. A broadcast's change it must not miss, nor that a message was taken away
// which the greeting may have shown already.
func (t *topic) deliver(event *chatv1.Event) {
	always := false
	switch event.GetKind().(type) {
	case *chatv1.Event_Broadcast, *chatv1.Event_MessageDeleted:
		always = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.members {
		if !s.live && !always {
			continue
		}
		select {
		case s.queue <- event:
		default:
			delete(t.members, s) // it stays among the people until its stream has ended
			t.metrics.slow.Inc()
			t.metrics.dropped.Add(float64(len(s.queue) + 1))
			s.cut(slowConsumer())
		}
	}
}

// cutAll ends every subscription.
func (t *topic) cutAll(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.members {
		s.cut(cause)
	}
}

func (t *topic) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open == 0
}
