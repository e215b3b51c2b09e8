package chat

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// viewersInterval is how often, at most, the number of people in a conversation is told.
const viewersInterval = time.Second

// hub holds the topics of this node: a conversation has one while it has subscribers here. The bus feeds it, so every
// node hears what any node stored.
type hub struct {
	metrics *metrics
	queue   int // events that a subscriber may be behind
	perUser int // subscriptions a user may have

	mu       sync.Mutex
	topics   map[string]*topic
	byUser   map[string]int
	open     int
	changed  map[string]*topic // topics whose people came or went since they were last told
	draining bool
}

func newHub(cfg Config, m *metrics) *hub {
	return &hub{
		metrics: m, queue: cfg.Queue, perUser: cfg.MaxSubscriptions,
		topics: make(map[string]*topic), byUser: make(map[string]int), changed: make(map[string]*topic),
	}
}

// join subscribes a user to a conversation, unseen if they shall not be counted among its people; cut is called when the
// subscription must end before its stream does. Errors: RESOURCE_EXHAUSTED (TOO_MANY_SUBSCRIPTIONS), UNAVAILABLE
// (DRAINING).
func (h *hub) join(
	conversationID, userID string, unseen bool, cut context.CancelCauseFunc,
) (*subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, draining()
	}
	if h.byUser[userID] >= h.perUser {
		return nil, errs.ResourceExhausted(ReasonTooManySubscriptions, "too many streams are open, close one first")
	}
	t := h.topics[conversationID]
	if t == nil {
		t = newTopic(conversationID, h.metrics)
		h.topics[conversationID] = t
		h.metrics.conversations.Set(float64(len(h.topics)))
	}
	h.byUser[userID]++
	h.open++
	h.changed[conversationID] = t
	h.metrics.subscribers.Inc()
	return t.join(userID, unseen, h.queue, cut), nil
}

// leave ends a subscription. Its topic stays until its emptiness has been told.
func (h *hub) leave(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.topic.leave(s)
	if h.byUser[s.userID]--; h.byUser[s.userID] <= 0 {
		delete(h.byUser, s.userID)
	}
	h.open--
	h.changed[s.topic.id] = s.topic
	h.metrics.subscribers.Dec()
}

// subscriptions returns how many are open.
func (h *hub) subscriptions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// deliver hands an event to the conversation's subscribers on this node.
func (h *hub) deliver(conversationID string, event *chatv1.Event) {
	h.mu.Lock()
	t := h.topics[conversationID]
	h.mu.Unlock()
	if t != nil {
		t.deliver(event)
	}
}

// drain ends all subscriptions and refuses new ones.
func (h *hub) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	for _, t := range h.topics {
		t.cutAll(draining())
	}
}

// viewers tells the number of people in each conversation where it changed: to its subscribers, and by publish. A
// conversation that was told less than viewersInterval ago waits for the next call, unless all is true; one that could
// not be published, too.
//
// Each node counts its own people. Once there are several, publish must name the node and the counts be added up.
func (h *hub) viewers(now time.Time, all bool, publish func(conversationID string, count int) error) {
	h.mu.Lock()
	changed := slices.Collect(maps.Values(h.changed))
	h.mu.Unlock()
	for _, t := range changed {
		if !all && now.Sub(t.toldAt) < viewersInterval {
			continue
		}
		h.mu.Lock()
		delete(h.changed, t.id) // before it is counted: who comes now changes it again
		h.mu.Unlock()
		if count := t.count(); count != t.told {
			if publish(t.id, count) != nil {
				h.mu.Lock()
				h.changed[t.id] = t
				h.mu.Unlock()
				continue
			}
			t.told, t.toldAt = count, now
			t.deliver(&chatv1.Event{Kind: &chatv1.Event_ViewerCount{
				ViewerCount: &chatv1.ViewerCount{Count: int32(count)}, //nolint:gosec // people on one node
			}})
		}
		h.reap(t)
	}
}

// reap forgets a topic to which nobody is subscribed and in which nobody is believed to be.
func (h *hub) reap(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.told == 0 && t.empty() && h.changed[t.id] == nil {
		delete(h.topics, t.id)
		h.metrics.conversations.Set(float64(len(h.topics)))
	}
}

// messageStored handles chat.message_stored.
func (h *hub) messageStored(_ context.Context, _ string, event *chatv1.MessageStored) error {
	m := event.GetMessage()
	h.deliver(m.GetConversationId(), &chatv1.Event{Kind: &chatv1.Event_Message{Message: m}})
	return nil
}

// messageDeleted handles chat.message_deleted.
func (h *hub) messageDeleted(_ context.Context, _ string, event *chatv1.MessageTakenAway) error {
	h.deliver(event.GetConversationId(), &chatv1.Event{
		Kind: &chatv1.Event_MessageDeleted{MessageDeleted: &chatv1.MessageDeleted{Position: event.GetPosition()}},
	})
	return nil
}

// likesAdded handles chat.likes_added.
func (h *hub) likesAdded(_ context.Context, _ string, event *chatv1.LikesAdded) error {
	h.deliver(event.GetConversationId(), &chatv1.Event{Kind: &chatv1.Event_Likes{Likes: event.GetLikes()}})
	return nil
}

// broadcastChanged handles live.broadcast_changed.
func (h *hub) broadcastChanged(_ context.Context, _ string, event *livev1.BroadcastChanged) error {
	if event.GetConversationId() != "" && event.GetBroadcast() != nil {
		h.deliver(event.GetConversationId(), &chatv1.Event{
			Kind: &chatv1.Event_Broadcast{Broadcast: event.GetBroadcast()},
		})
	}
	return nil
}
