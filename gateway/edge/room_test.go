package edge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/edge"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
)

// gone hears which devices are not here any longer: the edge has noticed that they were cut.
func (w *world) gone() <-chan string {
	w.t.Helper()
	devices := make(chan string, 1000)
	s, err := bus.Subscribe(w.bus, edge.TopicNodeReport, "", func(_ context.Context, _ string, r *edgev1.NodeReport) error {
		for _, d := range r.GetDevices() {
			if d.GetOffline() {
				devices <- d.GetDeviceId()
			}
		}
		return nil
	})
	w.must(err)
	w.t.Cleanup(func() { _ = s.Close() })
	return devices
}

// cutAndNoticed cuts a device off, and waits until the edge knows.
func (w *world) cutAndNoticed(d *device, gone <-chan string) {
	w.t.Helper()
	d.cut()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case id := <-gone:
			if id == d.session.GetDeviceId() {
				return
			}
		case <-limit.C:
			w.t.Fatal("nobody noticed that it was cut")
		}
	}
}

// turnedAway tries to sign in, and fails the test unless there is no room.
func (w *world) turnedAway(open func(w *world) wire, p authn.Principal) {
	w.t.Helper()
	n := open(w)
	w.must(n.send(signIn(w.Token(w.t, p))))
	if s, ok := n.(*streamWire); ok {
		if err := s.end(); !errs.Is(err, connect.CodeResourceExhausted, edge.ReasonTooManySessions) {
			w.t.Errorf("the RPC ended with %v", err)
		}
		return
	}
	if g := last(w.t, n); g.GetReason() != full || g.GetReconnectMs() < 5000 {
		w.t.Errorf("got %v", g)
	}
}

func (w *world) onDevice(user, id string) authn.Principal {
	p := w.member(user)
	p.DeviceID = id
	return p
}

// TestAFullEdge takes nobody more, but for a device that comes again, and for a user in whose name somebody waits to be
// resumed.
func TestAFullEdge(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{MaxSessions: 2})
		gone := w.gone()
		ann, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.member("bob"))
		w.turnedAway(open, w.member("cid"))
		w.turnedAway(open, w.onDevice("ann", "her tablet"))
		again := w.signInAs(open, w.member("ann"))
		ann.endsBy(elsewhere)
		w.cutAndNoticed(again, gone)
		w.turnedAway(open, w.member("cid"))
		tablet := w.signInAs(open, w.onDevice("ann", "her tablet"))
		w.turnedAway(open, w.member("ann"))
		tablet.quiet("who was turned away")
		bob.quiet("another's comings and goings")
		if n := w.metric("stoa_edge_sessions"); n != 2 {
			t.Errorf("%v sessions are here", n)
		}
	})
}

// TestTheLongestCutGivesWay where a user has as many connections as one may have.
func TestTheLongestCutGivesWay(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{MaxUserSessions: 3})
		gone := w.gone()
		var devices []*device
		for i := range 3 {
			devices = append(devices, w.signInAs(open, w.onDevice("ann", fmt.Sprint("device-", i))))
		}
		w.turnedAway(open, w.onDevice("ann", "device-3"))
		w.cutAndNoticed(devices[1], gone)
		w.clock.advance(time.Second)
		w.cutAndNoticed(devices[0], gone)
		w.signInAs(open, w.onDevice("ann", "device-3"))
		resume := func(i int) *edgev1.SignedIn {
			t.Helper()
			return w.resumeAs(open, w.onDevice("ann", fmt.Sprint("device-", i)),
				&edgev1.Resume{SessionId: devices[i].session.GetSessionId()}).session
		}
		if s := resume(0); !s.GetResumed() {
			t.Errorf("who was cut later got %v", s)
		}
		w.turnedAway(open, w.onDevice("ann", "device-1"))
		w.cutAndNoticed(devices[2], gone)
		if s := resume(1); s.GetResumed() || s.GetEnded() != full {
			t.Errorf("who gave way got %v", s)
		}
	})
}

// TestRoomsAreBounded: one may be in so many rooms, enter each of them again, and another one after one was left.
func TestRoomsAreBounded(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		const most = 20
		room := func(i int) string { return fmt.Sprint("room-", i) }
		for i := range most + 1 {
			w.chat.set(func() { w.chat.rooms[room(i)] = true })
		}
		ann := w.signInAs(open, w.member("ann"))
		for i := range most {
			if f := ann.ask(enter(room(i))); f.GetEntered() == nil {
				t.Fatalf("room %d: %v", i, f)
			}
		}
		if e := ann.ask(enter(room(most))).GetError(); e.GetReason() != edge.ReasonTooManyRooms || e.GetCode() != 8 {
			t.Errorf("one more: %v", e)
		}
		w.say(room(most), 8, 8)
		ann.quiet("a room that was not entered")
		if f := ann.ask(enter(room(3))); f.GetEntered() == nil {
			t.Errorf("once more: %v", f)
		}
		ann.ask(leave(room(3)))
		if f := ann.ask(enter(room(most))); f.GetEntered() == nil {
			t.Errorf("in place of another: %v", f)
		}
	})
}
