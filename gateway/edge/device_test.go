package edge_test

import (
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/edge"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// Reasons of goodbyes.
const (
	badFrame  = edgev1.GoodbyeReason_GOODBYE_REASON_BAD_FRAME
	full      = edgev1.GoodbyeReason_GOODBYE_REASON_FULL
	draining  = edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING
	expired   = edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED
	revoked   = edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED
	elsewhere = edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE
	kicked    = edgev1.GoodbyeReason_GOODBYE_REASON_KICKED
	slow      = edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER
)

// device is a signed-in client.
type device struct {
	wire

	t       *testing.T
	session *edgev1.SignedIn
	pushes  int64
	events  []*edgev1.Event
	next    uint32
}

// signInAs opens a connection and signs in.
func (w *world) signInAs(open func(w *world) wire, p authn.Principal) *device {
	w.t.Helper()
	return w.resumeAs(open, p, nil)
}

func (w *world) resumeAs(open func(w *world) wire, p authn.Principal, r *edgev1.Resume) *device {
	w.t.Helper()
	d := &device{wire: open(w), t: w.t, next: 1}
	f := signIn(w.Token(w.t, p))
	f.GetSignIn().Resume = r
	w.must(d.send(f))
	d.session = d.until("the sign-in", func(f *edgev1.ServerFrame) bool { return f.GetSignedIn() != nil }).GetSignedIn()
	return d
}

// stream returns the stream that a device is connected by.
func (d *device) stream() *streamWire {
	d.t.Helper()
	s, ok := d.wire.(*streamWire)
	if !ok {
		d.t.Fatal("no stream")
	}
	return s
}

// until reads frames up to the first that is wanted, and keeps what is pushed.
func (d *device) until(what string, wanted func(f *edgev1.ServerFrame) bool) *edgev1.ServerFrame {
	d.t.Helper()
	for {
		f, err := d.receive()
		if err != nil {
			d.t.Fatalf("waiting for %s: %v", what, err)
		}
		if p := f.GetPush(); p != nil {
			d.pushes++
			d.events = append(d.events, p.GetEvents()...)
		}
		if wanted(f) {
			return f
		}
		if g := f.GetGoodbye(); g != nil {
			d.t.Fatalf("waiting for %s: %v", what, g)
		}
	}
}

// ask sends a frame and returns its answer.
func (d *device) ask(f *edgev1.ClientFrame) *edgev1.ServerFrame {
	d.t.Helper()
	d.next++
	f.Id = d.next
	if err := d.send(f); err != nil {
		d.t.Fatal(err)
	}
	return d.until("an answer", func(a *edgev1.ServerFrame) bool { return a.GetId() == f.GetId() })
}

// seqs waits until so many messages were pushed, and returns their numbers.
func (d *device) seqs(n int) (all []int64) {
	d.t.Helper()
	read := func() bool {
		all = all[:0]
		for _, e := range d.events {
			if m := e.GetChat().GetMessage(); m != nil {
				all = append(all, m.GetSeq())
			}
		}
		return len(all) >= n
	}
	if !read() {
		d.until("messages", func(*edgev1.ServerFrame) bool { return read() })
	}
	return all
}

// goodbye waits for the last frame, and for the end after it.
func (d *device) goodbye() *edgev1.Goodbye {
	d.t.Helper()
	g := d.until("a goodbye", func(f *edgev1.ServerFrame) bool { return f.GetGoodbye() != nil }).GetGoodbye()
	if f, err := d.receive(); err == nil {
		d.t.Errorf("%v came after the goodbye", f)
	}
	return g
}

// endsBy waits for the last frame, and holds it and, over a stream, the end of the RPC to a reason.
func (d *device) endsBy(reason edgev1.GoodbyeReason) *edgev1.Goodbye {
	d.t.Helper()
	g := d.goodbye()
	if g.GetReason() != reason {
		d.t.Errorf("got %v, want %v", g, reason)
	}
	if s, ok := d.wire.(*streamWire); ok {
		want := map[edgev1.GoodbyeReason]struct {
			code   connect.Code
			reason string
		}{
			draining:  {connect.CodeUnavailable, edge.ReasonDraining},
			expired:   {connect.CodeUnauthenticated, authn.ReasonTokenExpired},
			revoked:   {connect.CodeUnauthenticated, authn.ReasonSessionRevoked},
			elsewhere: {connect.CodeAborted, edge.ReasonSignedInElsewhere},
			kicked:    {connect.CodePermissionDenied, errs.ReasonForbidden},
		}[reason]
		if !errs.Is(s.ended, want.code, want.reason) || want.reason == "" {
			d.t.Errorf("the RPC ended with %v, want %v", s.ended, want)
		}
	}
	return g
}

// quiet fails the test if something was pushed before the answer to a ping.
func (d *device) quiet(what string) {
	d.t.Helper()
	before := len(d.events)
	d.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}})
	if len(d.events) > before {
		d.t.Errorf("%s: got %v", what, d.events[before:])
	}
}

func assertRun(t *testing.T, all []int64, from, to int64) {
	t.Helper()
	if int64(len(all)) != to-from+1 {
		t.Fatalf("saw %v, want %d to %d", all, from, to)
	}
	for i, seq := range all {
		if seq != from+int64(i) {
			t.Fatalf("saw %v, want %d to %d", all, from, to)
		}
	}
}
