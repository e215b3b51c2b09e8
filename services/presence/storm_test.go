package presence_test

import (
	"fmt"
	"testing"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/services/presence"
)

// crowd reports all people of some nodes, as many at each.
func (w *world) crowd(nodes, each int) (users []string) {
	w.t.Helper()
	for n := range nodes {
		r := &edgev1.NodeReport{Node: fmt.Sprint("n", n), Complete: true}
		for i := range each {
			user := fmt.Sprintf("user-%d-%d", n, i)
			users = append(users, user)
			r.Devices = append(r.Devices, dev(user, web))
		}
		w.report(r)
	}
	return users
}

// assertStorm checks that what was told since some events is each user once, in full events: a fence may be in the last.
func (w *world) assertStorm(what string, since int, users []string, online bool) (events int) {
	w.t.Helper()
	const most = 1000
	told := make(map[string]int, len(users))
	w.mu.Lock()
	all := w.events[since:]
	w.mu.Unlock()
	for _, e := range all {
		if n := len(e.GetPresences()); n > most {
			w.t.Errorf("%s: an event of %d people", what, n)
		}
		for _, p := range e.GetPresences() {
			if told[p.GetUserId()]++; p.GetUserId()[:4] == "user" && p.GetOnline() != online {
				w.t.Fatalf("%s: told was %v", what, p)
			}
		}
	}
	for _, user := range users {
		if told[user] != 1 {
			w.t.Fatalf("%s: %s was told %d times", what, user, told[user])
		}
	}
	// Reports come one after the other, so that a pulse may find a part of one only at its end; and the fences.
	if limit := len(users)/most + 12; len(all) > limit {
		w.t.Errorf("%s: %d events for %d people", what, len(all), len(users))
	}
	return len(all)
}

// TestAStorm: everyone comes at once, is thrown out and comes back at once, and leaves at once. Each is told once, and who
// comes back in time is not told at all. What it costs is counted in events and bytes: it grows with those who changed,
// whoever follows them.
func TestAStorm(t *testing.T) {
	t.Parallel()
	const nodes, each = 4, 5000
	s := newWorld(t).boot(quick())
	events := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.events)
	}
	spent := func() int {
		s.bus.mu.Lock()
		defer s.bus.mu.Unlock()
		return s.bus.bytes[presence.TopicChanged]
	}
	const dear = 40 // bytes a user: a name of 11, a state, a platform, and what frames them
	users := s.crowd(nodes, each)
	s.settle("n0")
	s.assertStorm("all come", 0, users, true)
	if got := spent(); got > dear*nodes*each {
		t.Errorf("that all came cost %d bytes", got)
	}
	quiet := spent()
	s.untilMetric("stoa_presence_online", nodes*each+2)

	for n := range nodes {
		s.report(&edgev1.NodeReport{Node: fmt.Sprint("n", n), Gone: true})
	}
	s.settle("fences")
	s.clock.advance(9 * time.Second)
	s.settle("fences")
	s.crowd(nodes, each)
	s.settle("fences")
	s.clock.advance(9 * time.Second)
	s.settle("fences")
	for _, user := range users {
		s.assertTold(user, 1)
	}

	if got := spent() - quiet; got > 1000 { // the fences
		t.Errorf("that all came back in time cost %d bytes", got)
	}
	since := events()
	for n := range nodes {
		s.report(&edgev1.NodeReport{Node: fmt.Sprint("n", n), Complete: true})
	}
	s.settle("n0", "n1", "n2", "n3")
	s.clock.advance(10 * time.Second)
	s.settle("fences")
	s.assertStorm("all leave", since, users, false)
	if got := spent() - quiet; got > dear*nodes*each {
		t.Errorf("that all left cost %d bytes", got)
	}
	s.eventually("all are stored", func() bool { return s.metric("stoa_presence_last_seen_stored_total") >= nodes*each })
	for _, user := range []string{users[0], users[len(users)-1]} {
		s.assertLooks(s.look("bob", user), false, nil, s.clock.now().Add(-10*time.Second).Truncate(time.Minute))
	}
}

// TestAStormIsFair: who changed first is told first, however often the bus refuses, whoever else changes meanwhile and
// however often; and likewise conversations.
func TestAStormIsFair(t *testing.T) {
	t.Parallel()
	const crowd = 3500
	s := newWorld(t).boot(quick())
	s.bus.refuse.Store(true)
	r := &edgev1.NodeReport{Node: "n1", Complete: true}
	for i := range crowd {
		user := fmt.Sprintf("user-%d", (i*997)%crowd) // in no order of names
		r.Devices = append(r.Devices, dev(user, web))
		r.Rooms = append(r.Rooms, &edgev1.RoomReport{ConversationId: "room-of-" + user, Entered: []string{user}})
	}
	s.report(r)
	s.eventually("the report is heard", func() bool { return s.people("room-of-user-1") == 1 })
	refused := s.bus.refused.Load()
	s.eventually("the bus refused", func() bool { return s.bus.refused.Load() > refused+10 })
	first := r.GetDevices()[0].GetUserId() // who does not lose their place by this
	s.come("n1", first, ios)
	s.come("n1", first, android)
	s.eventually("they are heard", func() bool { return len(s.look("bob", first).GetPlatforms()) == 3 })
	refused = s.bus.refused.Load() // what is being told was taken before that
	s.eventually("the bus refused", func() bool { return s.bus.refused.Load() > refused+3 })
	s.bus.refuse.Store(false)
	s.settle("late")
	s.mu.Lock()
	defer s.mu.Unlock()
	var people, rooms []string
	for _, e := range s.events {
		for _, p := range e.GetPresences() {
			people = append(people, p.GetUserId())
		}
	}
	for _, e := range s.counts {
		for _, c := range e.GetCounts() {
			rooms = append(rooms, c.GetConversationId())
		}
	}
	if len(people) != crowd+2 || len(rooms) != crowd {
		t.Fatalf("%d people and %d conversations were told", len(people), len(rooms))
	}
	for i, d := range r.GetDevices() {
		if people[i] != d.GetUserId() || rooms[i] != "room-of-"+d.GetUserId() {
			t.Fatalf("told after %d others were %s and %s, want %s", i, people[i], rooms[i], d.GetUserId())
		}
	}
}

// TestAStuckTopicHoldsUpNothingElse: nobody takes numbers of people; presence is told, and last seen stored, all the same.
func TestAStuckTopicHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.Timeout = 200 * time.Millisecond
	s := newWorld(t).boot(cfg)
	s.bus.stuck.Store(presence.TopicPeopleChanged)
	s.enter("n1", "room", "ann")
	s.come("n1", "ann", web)
	s.settle("n1")
	s.assertTold("ann", 1)
	s.leave("n1", "ann", web)
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.untilMetric("stoa_presence_last_seen_stored_total", 1)
	s.bus.stuck.Store("")
	s.eventually("the number is told", func() bool { return fmt.Sprint(s.countsTold("room")) == "[1]" })
}

// TestPulsesKeepTheirDistance: of a topic there is one event in a pulse's time at most, however much there is to tell.
func TestPulsesKeepTheirDistance(t *testing.T) {
	t.Parallel()
	const pulse = 50 * time.Millisecond
	cfg := quick()
	cfg.Pulse = pulse
	s := newWorld(t).boot(cfg)
	r := &edgev1.NodeReport{Node: "n1", Complete: true}
	for i := range 4500 {
		user := fmt.Sprint("user-", i)
		r.Devices = append(r.Devices, dev(user, web))
		r.Rooms = append(r.Rooms, &edgev1.RoomReport{ConversationId: "room-" + user, Entered: []string{user}})
	}
	s.report(r)
	s.settle("n1")
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	for _, topic := range []string{presence.TopicChanged, presence.TopicPeopleChanged} {
		at := s.bus.at[topic]
		if len(at) < 5 {
			t.Errorf("%s: %d events for 4500 changes", topic, len(at))
		}
		for i := range len(at) - 1 {
			if d := at[i+1].Sub(at[i]); d < pulse {
				t.Errorf("%s: %v between two events", topic, d)
			}
		}
	}
}

// TestWhileTheBusIsAway: changes wait for it, and each is told once, as it is then.
func TestWhileTheBusIsAway(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.enter("n1", "room", "ann")
	s.settle("n1")
	s.bus.refuse.Store(true)
	s.come("n1", "ben", web)
	s.enter("n1", "room", "ben")
	s.eventually("the bus refused", func() bool { return s.bus.refused.Load() > 5 })
	s.come("n1", "ben", ios)
	s.enter("n1", "room", "cat")
	s.leave("n1", "ann", web)
	s.eventually("ben has two", func() bool { return len(s.look("bob", "ben").GetPlatforms()) == 2 })
	s.clock.advance(10 * time.Second)
	s.eventually("ann is away", func() bool { return !s.look("bob", "ann").GetOnline() })
	s.bus.refuse.Store(false)
	s.settle("n1")
	s.assertTold("ben", 1)
	s.assertLooks(s.last("ben"), true, platforms(web, ios), never)
	s.assertTold("ann", 2)
	s.assertLooks(s.last("ann"), false, nil, never)
	s.assertLooks(s.look("bob", "ann"), false, nil, s.clock.now().Add(-10*time.Second).Truncate(time.Minute))
	if got := fmt.Sprint(s.countsTold("room")); got != "[1 3]" {
		t.Errorf("told were %v", got)
	}
	if s.metric("stoa_presence_pulse_failures_total") == 0 {
		t.Error("nothing failed")
	}
}
