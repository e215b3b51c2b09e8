package edge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stoa-live/stoa/gateway/edge"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

func TestWatching(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.hiding(true, "eve")
		ann := w.signInAs(open, w.member("ann"))
		first := ann.watches("bob", "eve", "bob")
		if !first[0].GetOnline() || !first[1].GetHidden() || !first[2].GetOnline() {
			t.Errorf("watching %v", first)
		}
		before := ann.pushes
		w.tellPresence(w.changed(offline("bob"), online("eve"), offline("dan")))
		if p := ann.sees("bob"); p.GetOnline() || p.GetHidden() || len(ann.events) > 0 || ann.pushes != before+1 {
			t.Errorf("told %v and %v in %d frames", p, ann.events, ann.pushes-before)
		}
		w.tellPresence(w.hiding(true, "bob"))
		if p := ann.sees("bob"); !p.GetHidden() {
			t.Errorf("told %v of one who hides", p)
		}
		w.tellPresence(w.changed(online("bob")))
		w.tellPresence(w.hiding(false, "bob"))
		if p := ann.sees("bob"); !p.GetOnline() {
			t.Errorf("told %v of one who shows themselves again", p)
		}
		ann.watches("fence")
		w.tellPresence(w.changed(offline("bob")))
		w.fence(ann, "fence")
		if len(ann.events) > 0 {
			t.Errorf("told %v of one whom she does not follow any longer", ann.events)
		}
		ann.watches()
		w.eventually("nobody is followed", func() bool { return w.metric("stoa_edge_watched_people") == 0 })
	})
}

// held has presence keep its answer to the next question until it is let go, and tells when there is one.
func (w *world) held() (read chan struct{}, letGo func()) {
	read, gate := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.chat.presence.set(func() {
		w.chat.presence.underway = func() {
			if first.CompareAndSwap(false, true) {
				close(read)
				<-gate
			}
		}
	})
	letGo = sync.OnceFunc(func() { close(gate) })
	w.t.Cleanup(letGo)
	return read, letGo
}

// TestAnswersAndEventsRace: whatever comes last is what was read last.
func TestAnswersAndEventsRace(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		for name, change := range map[string]struct {
			make func(w *world) *presencev1.PresenceChanged
			fine func(p *presencev1.Presence) bool
		}{
			"goes":  {func(w *world) *presencev1.PresenceChanged { return w.changed(offline("bob")) }, func(p *presencev1.Presence) bool { return !p.GetOnline() }},
			"hides": {func(w *world) *presencev1.PresenceChanged { return w.hiding(true, "bob") }, (*presencev1.Presence).GetHidden},
			"own":   {func(w *world) *presencev1.PresenceChanged { return w.hiding(true, "ann") }, (*presencev1.Presence).GetHidden},
		} {
			t.Run(tr.name+" "+name, func(t *testing.T) {
				t.Parallel()
				w := serve(t, edge.Config{})
				ann, fence := w.signInAs(tr.open, w.member("ann")), w.signInAs((*world).webSocket, w.member("fence"))
				fence.watches("fence")
				// The event comes while the answer is on its way.
				read, letGo := w.held()
				f := watch("bob")
				f.Id = 99
				w.must(ann.send(f))
				<-read
				w.tellPresence(change.make(w))
				w.fence(fence, "fence")
				letGo()
				var last *presencev1.Presence
				answer := ann.until("the answer", func(f *edgev1.ServerFrame) bool { return f.GetId() == 99 })
				last = answer.GetWatching().GetPresences()[0]
				w.fence(fence, "fence")
				ann.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}})
				for _, e := range ann.events {
					last = e.GetPresence()
				}
				if !change.fine(last) {
					t.Errorf("at last she was told %v", last)
				}
				// The answer comes while the event is on its way.
				event := w.changed(offline("cid"))
				w.changed(online("cid"))
				newest := ann.watches("cid")[0]
				ann.events = nil
				w.tellPresence(event)
				w.fence(fence, "fence")
				ann.quiet(fmt.Sprint("something older than ", newest))
			})
		}
	}
}

// TestWhoHidesIsNotSeenWhilePresenceIsAway: who is in doubt is hidden, and asked for until presence is back.
func TestWhoHidesIsNotSeenWhilePresenceIsAway(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	ann.watches("bob", "cid")
	w.chat.presence.set(func() {
		w.chat.presence.refuse = errs.Unavailable(errs.ReasonUnavailable, "presence is away")
	})
	w.tellPresence(w.hiding(false, "bob")) // his contacts still see him
	w.tellPresence(w.changed(offline("bob"), offline("cid")))
	if p := ann.sees("cid"); p.GetOnline() {
		t.Errorf("told %v", p)
	}
	if p := ann.sees("bob"); !p.GetHidden() || p.GetTurn() == 0 {
		t.Errorf("told %v of one in doubt", p)
	}
	w.chat.presence.set(func() { w.chat.presence.refuse = nil })
	if p := ann.sees("bob"); p.GetHidden() || p.GetOnline() {
		t.Errorf("told %v, and he shows that he is not there", p)
	}
	w.tellPresence(w.changed(online("bob")))
	if p := ann.sees("bob"); !p.GetOnline() {
		t.Errorf("told %v", p)
	}
}

// TestHidingIsMutual: who hides something does not see it of others, from the moment on that they hide it.
func TestHidingIsMutual(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	seen := timestamppb.New(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	gone := func(user string) *presencev1.Presence { return &presencev1.Presence{UserId: user, LastSeenAt: seen} }
	w.chat.presence.set(func() { w.chat.presence.noSeen = map[string]bool{"shy": true} })
	ann, shy := w.signInAs((*world).webSocket, w.member("ann")), w.signInAs((*world).webSocket, w.member("shy"))
	for _, d := range []*device{ann, shy} {
		d.watches("bob", "shy")
	}
	w.tellPresence(w.changed(gone("bob"), gone("shy")))
	if a, s := ann.sees("bob"), shy.sees("bob"); a.GetLastSeenAt() == nil || s.GetLastSeenAt() != nil || s.GetHidden() {
		t.Errorf("ann was told %v, and who hides when they were last seen %v", a, s)
	}
	if p := shy.sees("shy"); p.GetLastSeenAt() == nil {
		t.Errorf("of themselves they were told %v", p)
	}
	// She hides when she was last seen, and then herself; neither says anything to those who do not follow her.
	event := w.hiding(false, "ann")
	w.chat.presence.set(func() { w.chat.presence.noSeen["ann"] = true })
	w.tellPresence(event)
	if p := ann.sees("bob"); p.GetLastSeenAt() != nil {
		t.Errorf("told %v", p)
	}
	w.tellPresence(w.changed(gone("bob")))
	if p := ann.sees("bob"); p.GetLastSeenAt() != nil || p.GetHidden() {
		t.Errorf("told %v", p)
	}
	ann.events = nil
	w.tellPresence(w.hiding(true, "ann"))
	if p := ann.sees("bob"); !p.GetHidden() {
		t.Errorf("told %v although she hides", p)
	}
	w.tellPresence(w.changed(online("bob")))
	w.fence(shy, "bob")
	ann.sees("shy")
	ann.quiet("one who hides")
}

// TestGuestsFollowPeople: they have no privacy that could be asked for.
func TestGuestsFollowPeople(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	guest := w.signInAs((*world).webSocket, w.User("guest", authv1.Role_ROLE_GUEST))
	guest.watches("bob")
	w.tellPresence(w.changed(&presencev1.Presence{UserId: "bob", LastSeenAt: timestamppb.New(time.Unix(0, 0))}))
	if p := guest.sees("bob"); p.GetOnline() || p.GetLastSeenAt() == nil {
		t.Errorf("told %v", p)
	}
}

func TestRefusedWatchKeepsTheListBefore(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		ann := w.signInAs(open, w.member("ann"))
		ann.watches("bob")
		ann.quiet("nothing yet")
		w.chat.presence.set(func() {
			w.chat.presence.refuse = errs.ResourceExhausted(errs.ReasonRateLimited, "slow down")
		})
		if e := ann.ask(watch("cid")).GetError(); e.GetReason() != errs.ReasonRateLimited {
			t.Errorf("it was refused with %v", e)
		}
		w.chat.presence.set(func() { w.chat.presence.refuse = nil })
		w.tellPresence(w.changed(offline("cid"), offline("bob")))
		if p := ann.sees("bob"); p.GetOnline() || len(ann.events) > 0 {
			t.Errorf("told %v, and %v", p, ann.events)
		}
		if n := w.metric("stoa_edge_watched_people"); n != 1 {
			t.Errorf("%v people are followed", n)
		}
	})
}

func TestWatchWaitsForPresenceThatIsAway(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	w.chat.presence.set(func() { w.chat.presence.away = 3 })
	if p := ann.watches("bob")[0]; !p.GetOnline() {
		t.Errorf("watching %v", p)
	}
}

// TestLaterWatchStays: of two lists that are asked for at once, the one that was sent later is followed.
func TestLaterWatchStays(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	read, letGo := w.held()
	early := watch("bob")
	early.Id = 99
	w.must(ann.send(early))
	<-read
	ann.watches("cid", "fence")
	letGo()
	if f := ann.until("the answer to the first", func(f *edgev1.ServerFrame) bool { return f.GetId() == 99 }); !f.GetWatching().GetPresences()[0].GetOnline() {
		t.Errorf("it is %v", f)
	}
	w.tellPresence(w.changed(offline("bob"), offline("cid")))
	w.fence(ann, "fence")
	if p := ann.sees("cid"); p.GetOnline() || len(ann.events) > 0 {
		t.Errorf("told %v, and %v", p, ann.events)
	}
	ann.cut()
	w.eventually("nobody is followed", func() bool {
		w.clock.advance(10 * time.Second) // from when the edge has noticed
		return w.metric("stoa_edge_watched_people") == 0
	})
}

// TestPresenceNeverGoesBack drives changes, hiding and new lists at random, while answers are on their way for a while: no
// client is ever told something older than before, and at last each knows how it is.
func TestPresenceNeverGoesBack(t *testing.T) {
	t.Parallel()
	const people, clients, changes = 5, 3, 400
	w := serve(t, edge.Config{FrameRate: 1e6})
	w.chat.presence.set(func() {
		w.chat.presence.underway = func() { time.Sleep(rand.N(2 * time.Millisecond)) }
	})
	users := make([]string, people)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	versions := make(map[string]int)
	version := func(p *presencev1.Presence) int {
		n, _ := strconv.Atoi(p.GetStatus().GetText()) // empty before the first
		return n
	}
	devices := make([]*device, clients)
	for i := range devices {
		devices[i] = w.signInAs((*world).webSocket, w.member(fmt.Sprint("client-", i)))
		devices[i].watches(append(users, "fence")...)
	}
	var changing, reading sync.WaitGroup
	changing.Go(func() {
		for i := range changes {
			u := users[rand.N(people)]
			versions[u]++
			p := &presencev1.Presence{UserId: u, Online: true, Status: &presencev1.Status{Text: strconv.Itoa(versions[u])}}
			event := w.changed(p)
			if i%7 == 0 { // the event waits while answers are given
				time.Sleep(time.Millisecond)
			}
			w.tellPresence(event)
			if i%10 == 0 {
				w.tellPresence(w.hiding(i%20 == 0, u))
			}
		}
		w.tellPresence(w.hiding(false, users...))
	})
	for _, d := range devices {
		reading.Go(func() {
			last, turns := make(map[string]*presencev1.Presence), make(map[string]int64)
			shown := make(map[string]int)
			take := func(p *presencev1.Presence) {
				if p.GetTurn() < turns[p.GetUserId()] {
					t.Errorf("turn %d of %s came after %d", p.GetTurn(), p.GetUserId(), turns[p.GetUserId()])
				}
				if !p.GetHidden() && version(p) < shown[p.GetUserId()] {
					t.Errorf("%v came after version %d", p, shown[p.GetUserId()])
				}
				turns[p.GetUserId()], last[p.GetUserId()] = p.GetTurn(), p
				shown[p.GetUserId()] = max(shown[p.GetUserId()], version(p))
			}
			ended := make(chan struct{})
			go func() { changing.Wait(); close(ended) }()
			over := false
			for id := uint32(1000); ; id++ {
				if !over {
					f := watch(append(slices.Clone(users), "fence")...)
					f.Id = id
					if err := d.send(f); err != nil {
						t.Error(err)
						return
					}
				}
				for answered := over; ; {
					f, err := d.receive()
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range f.GetPush().GetEvents() {
						take(e.GetPresence())
					}
					for _, p := range f.GetWatching().GetPresences() {
						take(p)
					}
					if f.GetError() != nil {
						t.Error(f)
						return
					}
					if answered = answered || f.GetId() == id; answered {
						break
					}
				}
				select {
				case <-ended:
					over = true
				default:
				}
				if over {
					right := true
					for _, u := range users {
						right = right && !last[u].GetHidden() && version(last[u]) == versions[u]
					}
					if right {
						return
					}
				}
			}
		})
	}
	changing.Wait()
	reading.Wait()
}
