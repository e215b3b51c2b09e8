package presence_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	ent "github.com/stoa-live/stoa/gen/ent/presence"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

var never time.Time

func platforms(list ...authv1.Platform) []authv1.Platform { return list }

func TestMigrationsMatchTheSchema(t *testing.T) {
	db := storetest.Open(t, "presence", os.DirFS("."))
	storetest.AssertMatches(t, ent.NewClient(ent.Driver(db.WriteDriver())).Schema)
}

func TestPeopleComeAndGo(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.assertLooks(s.look("bob", "ann"), false, nil, never)

	s.come("n1", "ann", ios)
	s.settle("n1")
	s.assertTold("ann", 1)
	s.assertLooks(s.last("ann"), true, platforms(ios), never)
	s.assertLooks(s.look("bob", "ann"), true, platforms(ios), never)

	s.come("n1", "ann", web)
	s.settle("n1")
	s.assertTold("ann", 2)
	s.assertLooks(s.last("ann"), true, platforms(web, ios), never) // in rising order

	s.leave("n1", "ann", web)
	s.settle("n1")
	s.clock.advance(9 * time.Second)
	s.settle("n1")
	s.assertTold("ann", 2) // the grace
	s.assertLooks(s.look("bob", "ann"), true, platforms(web, ios), never)
	s.clock.advance(time.Second)
	s.settle("n1")
	s.assertTold("ann", 3)
	s.assertLooks(s.last("ann"), true, platforms(ios), never)

	left := s.clock.now()
	s.leave("n1", "ann", ios)
	s.settle("n1")
	s.clock.advance(10*time.Second - 1)
	s.settle("n1")
	s.assertTold("ann", 3)
	s.clock.advance(1)
	s.settle("n1")
	s.assertTold("ann", 4)
	s.assertLooks(s.last("ann"), false, nil, never)
	s.assertLooks(s.look("bob", "ann"), false, nil, left.Truncate(time.Minute))

	s.come("n1", "ann", android)
	s.settle("n1")
	s.assertTold("ann", 5)
	s.assertLooks(s.last("ann"), true, platforms(android), never) // not while online
}

// TestFlappingTellsNothing: whoever comes back within the grace, by whichever node, was there all the time.
func TestFlappingTellsNothing(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.come("n1", "ben", web)
	s.come("n1", "ben", ios)
	s.settle("n1")
	s.assertTold("ann", 1)
	s.assertTold("ben", 1)
	node := "n1"
	for i := range 10 {
		s.leave(node, "ann", web)
		s.leave("n1", "ben", ios) // the other device stays
		s.settle("n1", "n2")
		s.clock.advance(9 * time.Second)
		s.settle("n1", "n2")
		node = fmt.Sprint("n", 1+i%2)
		s.come(node, "ann", web)
		s.come("n1", "ben", ios)
		s.settle("n1", "n2")
	}
	s.clock.advance(11 * time.Second)
	s.settle("n1", "n2")
	s.assertTold("ann", 1)
	s.assertTold("ben", 1)
	s.assertLooks(s.look("bob", "ann"), true, platforms(web), never)
	s.assertLooks(s.look("bob", "ben"), true, platforms(web, ios), never)
}

// TestEachPlatformHasItsOwnGrace: that one kind of device comes and goes all the time hides from nobody that another one
// left for good, nor holds it up.
func TestEachPlatformHasItsOwnGrace(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	for _, platform := range platforms(web, ios, android) {
		s.come("n1", "ann", platform)
	}
	s.report(&edgev1.NodeReport{Node: "n1", Devices: []*edgev1.DeviceReport{
		{UserId: "ann", DeviceId: "second-phone", Platform: ios},
	}})
	s.settle("n1")
	s.leave("n1", "ann", web) // for good
	s.leave("n1", "ann", ios) // of two
	s.settle("n1")
	for range 9 {
		s.leave("n1", "ann", android)
		s.settle("n1")
		s.clock.advance(time.Second)
		s.come("n1", "ann", android)
		s.settle("n1")
	}
	told := len(s.told("ann"))
	s.assertLooks(s.last("ann"), true, platforms(web, android, ios), never)
	s.leave("n1", "ann", android)
	s.settle("n1")
	s.clock.advance(time.Second)
	s.settle("n1")
	s.assertTold("ann", told+1)
	s.assertLooks(s.last("ann"), true, platforms(android, ios), never)
	s.clock.advance(9 * time.Second)
	s.settle("n1")
	s.assertTold("ann", told+2)
	s.assertLooks(s.last("ann"), true, platforms(ios), never)
}

// TestReportsAreHeardTwice: the bus may bring the same report again.
func TestReportsAreHeardTwice(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	for range 3 {
		s.come("n1", "ann", web)
		s.enter("n1", "room", "ann")
	}
	for range 2 {
		s.leave("n1", "ann", web)
		s.exit("n1", "room", "ann")
	}
	s.leave("n1", "nobody-came", web)
	s.exit("n1", "nobody-came", "ann")
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	s.assertTold("ann", 2)
	s.assertTold("nobody-came", 0)
	if n := s.people("room"); n != 0 {
		t.Errorf("%d people are there", n)
	}
	if s.last("ann").GetOnline() {
		t.Error("one who left stayed")
	}
}

func TestOneUserAtTwoNodes(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	for _, node := range []string{"n1", "n2"} {
		s.come(node, "ann", web)
		s.enter(node, "room", "ann")
	}
	s.settle("n1", "n2")
	s.assertTold("ann", 1)
	s.assertLooks(s.last("ann"), true, platforms(web), never)
	if n := s.people("room"); n != 1 {
		t.Errorf("one user counts %d", n)
	}
	s.leave("n1", "ann", web)
	s.exit("n1", "room", "ann")
	s.settle("n1", "n2")
	s.clock.advance(10 * time.Second)
	s.settle("n1", "n2")
	s.assertTold("ann", 1)
	if n := s.people("room"); n != 1 {
		t.Errorf("one user counts %d", n)
	}
	s.leave("n2", "ann", web)
	s.exit("n2", "room", "ann")
	s.settle("n1", "n2")
	s.clock.advance(10 * time.Second)
	s.settle("n1", "n2")
	s.assertTold("ann", 2)
	if n := s.people("room"); n != 0 || s.last("ann").GetOnline() {
		t.Errorf("%d people are there, and ann is %v", n, s.last("ann"))
	}
	if got := fmt.Sprint(s.countsTold("room")); got != "[1 0]" {
		t.Errorf("told were %v", got)
	}
}

// TestADeadNodeTakesItsPeople: a node that says nothing for 30 seconds is gone, and those who are there only with it.
func TestADeadNodeTakesItsPeople(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.come("n1", "ben", web)
	s.come("n2", "ben", ios)
	s.enter("n1", "room", "ann", "ben")
	s.enter("n2", "room", "ben")
	s.settle("n1", "n2")
	for range 2 {
		s.clock.advance(15*time.Second - 1)
		s.settle("n2")
	}
	s.assertTold("ann", 1)
	if n := s.people("room"); n != 2 {
		t.Errorf("%d people are there", n)
	}
	s.clock.advance(2)
	s.settle("n2")
	if n := s.people("room"); n != 1 {
		t.Errorf("%d people are there", n)
	}
	s.assertTold("ann", 1) // the grace
	s.clock.advance(10 * time.Second)
	s.settle("n2")
	s.assertTold("ann", 2)
	s.assertLooks(s.look("bob", "ann"), false, nil, s.clock.now().Add(-10*time.Second).Truncate(time.Minute))
	s.assertTold("ben", 2)
	s.assertLooks(s.last("ben"), true, platforms(ios), never)
	s.untilMetric("stoa_presence_nodes", 1)

	// It was only out of reach.
	s.report(&edgev1.NodeReport{
		Node: "n1", Complete: true, Devices: []*edgev1.DeviceReport{dev("ann", web), dev("ben", web)},
		Rooms: []*edgev1.RoomReport{{ConversationId: "room", Entered: []string{"ann", "ben"}}},
	})
	s.settle("n1")
	s.assertLooks(s.last("ann"), true, platforms(web), never)
	s.assertLooks(s.last("ben"), true, platforms(web, ios), never)
	if n := s.people("room"); n != 2 {
		t.Errorf("%d people are there", n)
	}
}

// TestANodeThatStops: its people may come back elsewhere within the grace.
func TestANodeThatStops(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	for _, user := range []string{"ann", "ben"} {
		s.come("n1", user, web)
		s.enter("n1", "room", user)
	}
	s.settle("n1")
	s.report(&edgev1.NodeReport{Node: "n1", Gone: true})
	s.settle("n2")
	s.untilMetric("stoa_presence_nodes", 1)
	if n := s.people("room"); n != 0 {
		t.Errorf("%d people are there", n)
	}
	s.clock.advance(5 * time.Second)
	s.come("n2", "ann", web)
	s.settle("n2")
	s.clock.advance(5 * time.Second)
	s.settle("n2")
	s.assertTold("ann", 1)
	s.assertTold("ben", 2)
	if s.last("ben").GetOnline() {
		t.Error("one who did not come back stayed")
	}
}

// TestACompleteReportRepairs: what was lost on the way is known ten seconds later.
func TestACompleteReportRepairs(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "stays", web)
	s.come("n1", "left", web)
	s.enter("n1", "room", "stays", "left")
	s.enter("n1", "empty", "left")
	s.settle("n1")
	s.report(&edgev1.NodeReport{
		Node: "n1", Complete: true,
		Devices: []*edgev1.DeviceReport{dev("stays", web), dev("came", ios)},
		Rooms: []*edgev1.RoomReport{ // one of them in two parts
			{ConversationId: "room", Entered: []string{"stays"}},
			{ConversationId: "room", Entered: []string{"came"}},
			{ConversationId: "new", Entered: []string{"came"}},
		},
	})
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	s.assertTold("stays", 1)
	s.assertTold("left", 2)
	s.assertTold("came", 1)
	s.assertLooks(s.last("came"), true, platforms(ios), never)
	if s.last("left").GetOnline() {
		t.Error("one whose leaving was lost stayed")
	}
	for room, want := range map[string]int{"room": 2, "empty": 0, "new": 1} {
		if n := s.people(room); n != want {
			t.Errorf("%d people are in %s, want %d", n, room, want)
		}
	}
}

// TestTheClockGoesBack: nobody stays for ever, and nobody is thrown out.
func TestTheClockGoesBack(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.come("n2", "ben", web)
	s.settle("n1", "n2")
	s.leave("n1", "ann", web)
	s.settle("n1")
	s.clock.advance(-24 * time.Hour)
	s.settle("n1")
	s.assertTold("ann", 1)
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	s.assertTold("ann", 2)
	s.assertTold("ben", 1)
	s.clock.advance(20 * time.Second)
	s.settle("n1") // n2 is lost now
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	s.assertTold("ben", 2)
}

// TestNobodyIsSeenInTheFuture: the clock was wrong when somebody left.
func TestNobodyIsSeenInTheFuture(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	s.clock.advance(24 * time.Hour)
	s.report(&edgev1.NodeReport{Node: "n1", Gone: true})
	s.settle("n2")
	s.clock.advance(10 * time.Second)
	s.eventually("ann is away", func() bool { return !s.look("bob", "ann").GetOnline() })
	s.clock.advance(-24 * time.Hour)
	s.assertLooks(s.look("bob", "ann"), false, nil, s.clock.now().Truncate(time.Minute))
}

// TestAPlatformWithoutAName is of tokens of before there were platforms in them.
func TestAPlatformWithoutAName(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", authv1.Platform_PLATFORM_UNSPECIFIED)
	s.settle("n1")
	s.assertLooks(s.last("ann"), true, nil, never)
}

func TestPeopleAreAnsweredInTheOrderAsked(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	asked := []string{"ben", "ann", "ghost", "ann", "me"}
	res, err := s.as("me").BatchGetPresence(t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: asked})
	s.must(err)
	for i, p := range res.GetPresences() {
		if p.GetUserId() != asked[i] || p.GetOnline() != (asked[i] == "ann") || p.GetHidden() != (asked[i] == "ghost") {
			t.Errorf("asked for %s, got %v", asked[i], p)
		}
	}
}
