package presence_test

import (
	"fmt"
	"slices"
	"testing"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

func TestPeopleAreCounted(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.enter("n1", "a", "ann", "ben")
	s.enter("n2", "a", "cat")
	s.enter("n2", "b", "ann")
	s.settle("n1", "n2")
	res, err := s.withRole("guest", authv1.Role_ROLE_GUEST).CountPeople(t.Context(),
		&presencev1.CountPeopleRequest{ConversationIds: []string{"b", "nowhere", "a", "b"}})
	s.must(err)
	var got []string
	for _, c := range res.GetCounts() {
		got = append(got, fmt.Sprint(c.GetConversationId(), c.GetCount()))
	}
	if want := []string{"b1", "nowhere0", "a3", "b1"}; !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if n := s.countsTold("a"); len(n) == 0 || n[len(n)-1] != 3 {
		t.Errorf("told were %v", n)
	}
	if n := s.countsTold("b"); !slices.Equal(n, []int{1}) { // only what changed
		t.Errorf("told were %v", n)
	}
	s.exit("n2", "b", "ann")
	s.settle("n2")
	if n := s.countsTold("b"); !slices.Equal(n, []int{1, 0}) {
		t.Errorf("told were %v", n)
	}
}

// TestANumberThatStaysIsNotTold: one came and another left, or the same came back, in one report or while the bus was away.
func TestANumberThatStaysIsNotTold(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.enter("n1", "room", "ann")
	s.settle("n1")
	s.report(&edgev1.NodeReport{
		Node: "n1", Rooms: []*edgev1.RoomReport{
			{ConversationId: "room", Entered: []string{"ben"}, Left: []string{"ann"}},
			{ConversationId: "short", Entered: []string{"ann"}, Left: []string{"ann"}},
		},
	})
	s.settle("n1")
	if n := s.countsTold("room"); !slices.Equal(n, []int{1}) {
		t.Errorf("told were %v", n)
	}
	if n := s.countsTold("short"); len(n) > 0 {
		t.Errorf("told were %v", n)
	}
}

// TestManyRoomsAtOnce: numbers are told of a thousand conversations at a time, each once.
func TestManyRoomsAtOnce(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	r := &edgev1.NodeReport{Node: "n1", Complete: true}
	for i := range 2500 {
		r.Rooms = append(r.Rooms, &edgev1.RoomReport{ConversationId: fmt.Sprint("room-", i), Entered: []string{"ann"}})
	}
	s.report(r)
	s.eventually("all are told", func() bool { return s.metric("stoa_presence_counts_told_total") == 2500 })
	s.settle("n1")
	s.mu.Lock()
	defer s.mu.Unlock()
	told := make(map[string]bool)
	for _, e := range s.counts {
		if len(e.GetCounts()) > 1000 {
			t.Errorf("an event of %d conversations", len(e.GetCounts()))
		}
		for _, c := range e.GetCounts() {
			if told[c.GetConversationId()] || c.GetCount() != 1 {
				t.Errorf("told was %v", c)
			}
			told[c.GetConversationId()] = true
		}
	}
	if len(told) != 2500 || len(s.counts) > 6 {
		t.Errorf("%d conversations were told in %d events", len(told), len(s.counts))
	}
}
