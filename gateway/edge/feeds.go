package edge

import (
	"context"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/bus"
)

// listen subscribes to what services tell. Without groups: every edge hears all, and hands on what its sessions may hear.
func (e *Edge) listen() error {
	var problems []error
	add := func(s bus.Subscription, err error) {
		if s != nil {
			e.subscriptions = append(e.subscriptions, s)
		}
		problems = append(problems, err)
	}
	add(bus.Subscribe(e.deps.Bus, "chat.conversation_events", "", e.onConversationEvents))
	add(bus.Subscribe(e.deps.Bus, "chat.user_events", "", e.onUserEvents))
	add(bus.Subscribe(e.deps.Bus, "live.broadcast_changed", "", e.onBroadcastChanged))
	add(bus.Subscribe(e.deps.Bus, "presence.changed", "", e.onPresenceChanged))
	add(bus.Subscribe(e.deps.Bus, "presence.people_changed", "", e.onPeopleChanged))
	add(bus.Subscribe(e.deps.Bus, TopicDelivery, "", e.onDelivery))
	add(bus.Subscribe(e.deps.Bus, TopicSessionOpened, "", e.onSessionOpened))
	add(bus.Subscribe(e.deps.Bus, TopicTyping, "", e.onTyping))
	add(bus.Subscribe(e.deps.Bus, TopicNodeReport, "", e.onNodeReport))
	return errors.Join(problems...)
}

// encode encodes an event for pushFrame; nil for what cannot be encoded, which is logged.
func (e *Edge) encode(event *edgev1.Event) []byte {
	b, err := proto.Marshal(event)
	if err != nil {
		e.logger.Error("event not encoded", "error", err)
		return nil
	}
	return b
}

// onConversationEvents handles chat.conversation_events. Who comes hears what is told after that, who goes nothing more:
// events of one conversation come in its order.
func (e *Edge) onConversationEvents(_ context.Context, _ string, told *chatv1.ConversationEvents) error {
	t := e.hub.topic(told.GetConversationId())
	for _, event := range told.GetEvents() {
		if m := event.GetMembers(); m != nil {
			if t != nil {
				t.flush()
			}
			e.membersChanged(told.GetConversationId(), m)
			t = e.hub.topic(told.GetConversationId())
		}
		if t == nil || t.knows(event) {
			continue
		}
		if b := e.encode(&edgev1.Event{Kind: &edgev1.Event_Chat{Chat: event}}); b != nil {
			t.tell(b)
		}
	}
	return nil
}

// membersChanged attaches the sessions of those who came and detaches those of who went.
func (e *Edge) membersChanged(id string, changed *chatv1.MembersChanged) {
	for _, m := range changed.GetMembers() {
		for _, s := range e.sessionsOf(m.GetUser().GetId()) {
			if m.GetRole() == chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
				s.detach(id)
				continue
			}
			s.mu.Lock()
			delete(s.gone, id)
			s.mu.Unlock()
			s.attach(id)
		}
	}
}

// knows drops repeats: the bus may tell what it told before.
func (t *topic) knows(event *chatv1.Event) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch kind := event.GetKind().(type) {
	case *chatv1.Event_Message:
		m := kind.Message
		if m.GetEpoch() == t.epoch && m.GetSeq() <= t.seq {
			return true
		}
		if m.GetEpoch() != t.epoch {
			t.change = 0
		}
		t.epoch, t.seq = m.GetEpoch(), m.GetSeq()
	case *chatv1.Event_MessageChanged:
		m := kind.MessageChanged
		if m.GetEpoch() == t.epoch && m.GetChange() <= t.change {
			return true
		}
		t.change = m.GetChange()
	}
	return false
}

// attach lets a session hear a conversation.
func (s *session) attach(id string) {
	t, fresh := s.edge.hub.join(id, s)
	if !fresh {
		return
	}
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.topics = append(s.topics, t)
	}
	s.mu.Unlock()
	if ended {
		s.edge.hub.leave(t, s)
	}
}

// detach lets a session hear a conversation no more, nor begin to when the list that is being read still has it.
func (s *session) detach(id string) {
	s.mu.Lock()
	if s.gone != nil {
		s.gone[id] = true
	}
	var left *topic
	for i, t := range s.topics {
		if t.id == id {
			left = t
			s.topics = append(s.topics[:i:i], s.topics[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	if left != nil {
		s.edge.hub.leave(left, s)
	}
}

// onUserEvents handles chat.user_events.
func (e *Edge) onUserEvents(_ context.Context, _ string, told *chatv1.UserEvents) error {
	to := e.sessionsOf(told.GetUserId())
	if len(to) == 0 {
		return nil
	}
	var events [][]byte
	for _, event := range told.GetEvents() {
		if b := e.encode(&edgev1.Event{Kind: &edgev1.Event_Own{Own: event}}); b != nil {
			events = append(events, b)
		}
	}
	e.deliver(events, to)
	return nil
}

// onBroadcastChanged handles live.broadcast_changed.
func (e *Edge) onBroadcastChanged(_ context.Context, _ string, changed *livev1.BroadcastChanged) error {
	t := e.hub.topic(changed.GetConversationId())
	if t == nil || changed.GetBroadcast() == nil {
		return nil
	}
	if b := e.encode(&edgev1.Event{Kind: &edgev1.Event_Broadcast{Broadcast: &edgev1.RoomBroadcast{
		ConversationId: changed.GetConversationId(), Broadcast: changed.GetBroadcast(),
	}}}); b != nil {
		t.tell(b)
	}
	return nil
}

// onPeopleChanged handles presence.people_changed.
func (e *Edge) onPeopleChanged(_ context.Context, _ string, changed *presencev1.PeopleChanged) error {
	for _, c := range changed.GetCounts() {
		t := e.hub.topic(c.GetConversationId())
		if t == nil {
			continue
		}
		t.mu.Lock()
		t.people = int(c.GetCount())
		t.mu.Unlock()
		if b := e.encode(&edgev1.Event{Kind: &edgev1.Event_People{People: c}}); b != nil {
			t.tell(b)
		}
	}
	return nil
}

// onDelivery handles edge.delivery.
func (e *Edge) onDelivery(_ context.Context, _ string, d *edgev1.Delivery) error {
	if d.GetGoodbye() != nil {
		for _, user := range d.GetUserIds() {
			for _, s := range e.sessionsOf(user) {
				s.end(goodbyeOf(d.GetGoodbye()), "kicked")
			}
		}
		return nil
	}
	b := e.encode(d.GetEvent())
	if b == nil {
		return nil
	}
	if d.GetEveryone() {
		e.begin(func() { e.paced([][]byte{b}, e.everyone(), int(d.GetRate())) })
		return nil
	}
	if id := d.GetConversationId(); id != "" {
		if t := e.hub.topic(id); t != nil {
			t.tell(b)
		}
		return nil
	}
	to := make(map[*session]struct{}) // who is named twice is told once
	for _, user := range d.GetUserIds() {
		for _, s := range e.sessionsOf(user) {
			to[s] = struct{}{}
		}
	}
	for _, device := range d.GetDeviceIds() {
		for _, s := range e.sessionsAt(device) {
			to[s] = struct{}{}
		}
	}
	e.deliver([][]byte{b}, slices.Collect(maps.Keys(to)))
	return nil
}

// onTyping handles edge.typing: everyone in the conversation but who types, unless too many would hear it.
func (e *Edge) onTyping(_ context.Context, _ string, told *edgev1.TypingTold) error {
	t := e.hub.topic(told.GetTyping().GetConversationId())
	if t == nil || t.crowded() {
		return nil
	}
	if b := e.encode(&edgev1.Event{Kind: &edgev1.Event_Typing{Typing: told.GetTyping()}}); b != nil {
		t.tellOthers(b, told.GetTyping().GetUserId())
	}
	return nil
}

// crowded reports whether so many sessions are in a conversation here that nobody is told who types in it.
func (t *topic) crowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions) > maxTypingTo
}
