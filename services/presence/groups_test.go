package presence_test

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
)

// count returns what a caller is told of conversations.
func (s *server) count(as presencev1connect.PresenceServiceClient, conversations ...string) []int32 {
	s.t.Helper()
	res, err := as.CountPeople(s.t.Context(), &presencev1.CountPeopleRequest{ConversationIds: conversations})
	s.must(err)
	var counts []int32
	for _, c := range res.GetCounts() {
		counts = append(counts, c.GetCount())
	}
	return counts
}

func (s *server) assertCount(what, user string, want int32) {
	s.t.Helper()
	if got := s.count(s.as(user), "group"); got[0] != want {
		s.t.Errorf("%s: %s counts %d, want %d", what, user, got[0], want)
	}
}

// TestMembersOnlineAreCounted for those who are in the group, as of 10 seconds ago at most, without those who hide.
func TestMembersOnlineAreCounted(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.book.gather("group", "ann", "ben", "cat", "dan", "eve")
	for _, user := range []string{"ann", "ben", "cat", "someone else"} {
		s.come("n1", user, web)
	}
	s.setPrivacy("cat", nobody, everyone)
	s.settle("n1")
	s.assertCount("at first", "eve", 2)
	s.assertCount("a stranger", "zoe", 0)
	s.assertCount("one who hides", "cat", 0)
	if got := s.count(s.withRole("eve", authv1.Role_ROLE_GUEST), "group"); got[0] != 0 {
		t.Errorf("a guest counts %d", got[0])
	}
	s.enter("n1", "room", "ann", "ben", "zoe")
	s.come("n1", "dan", ios)
	s.settle("n1")
	if got := fmt.Sprint(s.count(s.as("eve"), "room", "group", "nowhere", "group")); got != "[3 2 0 2]" {
		t.Errorf("counted %v", got)
	}
	before := s.book.lists.Load()
	s.clock.advance(10*time.Second - 1)
	s.assertCount("as it was", "ann", 2)
	if n := s.book.lists.Load() - before; n > 0 {
		t.Errorf("it asked for members %d times more", n)
	}
	s.clock.advance(1)
	s.assertCount("after 10 seconds", "ann", 3)
	s.clock.advance(-time.Hour) // what is from the future is counted again
	s.come("n1", "eve", web)
	s.settle("n1")
	s.assertCount("after the clock went back", "ann", 4)
	s.book.gather("group", "ann", "ben")
	s.clock.advance(10 * time.Second)
	s.assertCount("after three have gone", "ben", 2)
	s.assertCount("one of those", "eve", 0)
}

// TestALargeGroupIsCounted over pages, and once for all who ask at the same time.
func TestALargeGroupIsCounted(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	const members, online = 12_000, 7_000
	all := make([]string, members)
	report := &edgev1.NodeReport{Node: "n1", Complete: true}
	for i := range all {
		all[i] = fmt.Sprintf("user-%05d", i)
		if i < online {
			report.Devices = append(report.Devices, dev(all[i], web))
		}
	}
	s.book.gather("group", all...)
	s.report(report)
	s.eventually("all are there", func() bool { return s.metric("stoa_presence_online") >= online })
	s.assertCount("over pages", all[members-1], online)
	if n := s.book.lists.Load(); n != 3 {
		t.Errorf("it asked for members %d times", n)
	}
}

func TestCountsWithoutChat(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.book.gather("group", "ann")
	s.book.down.Store(true)
	_, err := s.as("ann").CountPeople(t.Context(), &presencev1.CountPeopleRequest{ConversationIds: []string{"group"}})
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("without chat: %v", err)
	}
	s.enter("n1", "room", "ben")
	s.settle("n1")
	if got := s.count(s.as("ann"), "room"); got[0] != 1 {
		t.Errorf("rooms are counted as %d", got[0])
	}
}
