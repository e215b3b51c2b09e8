package edge_test

import (
	"fmt"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/edge"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

func (w *world) stream() wire { return &streamWire{w: w} }

func leave(room string) *edgev1.ClientFrame {
	return &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Leave{Leave: &edgev1.Leave{ConversationId: room}}}
}

func ping() *edgev1.ClientFrame {
	return &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}}
}

// sender returns what sends frames of a session in somebody's name.
func (w *world) sender(p authn.Principal, sessionID string) func(f *edgev1.ClientFrame) (*edgev1.ServerFrame, error) {
	client := edgev1connect.NewEdgeServiceClient(tokenClient{w.http.Client(), w.Token(w.t, p)}, w.http.URL)
	return func(f *edgev1.ClientFrame) (*edgev1.ServerFrame, error) {
		res, err := client.Send(w.t.Context(), &edgev1.SendRequest{SessionId: sessionID, Frame: f})
		return res.GetFrame(), err
	}
}

// TestSendIsOnesOwn: neither another user nor another device of the same one sends anything to a session.
func TestSendIsOnesOwn(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() {
			w.chat.conversations["ann"], w.chat.conversations["bob"] = []string{"group"}, []string{"group"}
			w.chat.rooms["other"] = true
		})
		ann, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.member("bob"))
		ann.ask(enter("room"))
		tablet := w.member("ann")
		tablet.DeviceID, tablet.SessionID = "tablet", "session-tablet"
		renewal, onHers := w.member("ann"), w.member("bob")
		onHers.DeviceID = "device-ann"
		for name, p := range map[string]authn.Principal{"bob": w.member("bob"), "her tablet": tablet, "bob on her device": onHers} {
			send := w.sender(p, ann.session.GetSessionId())
			for _, f := range []*edgev1.ClientFrame{
				ping(), leave("room"), enter("other"), watch("bob"),
				{Kind: &edgev1.ClientFrame_Ack{Ack: &edgev1.Ack{}}},
				{Kind: &edgev1.ClientFrame_Typing{Typing: &edgev1.Typing{ConversationId: "group"}}},
				{Kind: &edgev1.ClientFrame_Renew{Renew: &edgev1.Renew{AccessToken: w.Token(t, renewal)}}},
			} {
				f.Id = 7
				if answer, err := send(f); !errs.Is(err, connect.CodeNotFound, edge.ReasonSessionNotFound) {
					t.Errorf("%s sent %T: %v, %v", name, f.GetKind(), answer, err)
				}
			}
		}
		w.tellPresence(w.changed(offline("bob")))
		w.say("other", 1, 1)
		w.say("room", 8, 9)
		assertRun(t, ann.seqs(2), 8, 9)
		ann.quiet("what others sent")
		bob.quiet("what others typed")
		if len(ann.events) != 2 || w.metric("stoa_edge_watched_people") != 0 {
			t.Errorf("ann heard %v", ann.events)
		}
	})
}

// TestSendCountsAmongCalls: what waits for an answer is bounded over a stream as well; what takes no time is not refused, and
// a Leave frees.
func TestSendCountsAmongCalls(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxCalls: 3})
	slow := make(chan struct{})
	w.chat.set(func() { w.chat.slowRoom = slow })
	p := w.member("ann")
	ann := w.signInAs((*world).stream, p)
	send := w.sender(p, ann.session.GetSessionId())
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if f, err := send(enter("room")); err != nil || f.GetEntered() == nil {
				t.Errorf("entering got %v, %v", f, err)
			}
		})
	}
	w.eventually("one more is refused", func() bool {
		_, err := send(watch())
		return errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited)
	})
	for range 10 {
		if f, err := send(ping()); err != nil || f.GetPong() == nil {
			t.Errorf("a ping got %v, %v", f, err)
		}
	}
	waiting.Go(func() {
		if f, err := send(leave("room")); err != nil || f.GetDone() == nil {
			t.Errorf("leaving got %v, %v", f, err)
		}
	})
	close(slow)
	waiting.Wait()
	if f, err := send(watch()); err != nil || f.GetWatching() == nil {
		t.Errorf("afterwards: %v, %v", f, err)
	}
}

// TestLeaveIsNotRefused for what is in flight, as long as there is something to leave.
func TestLeaveIsNotRefused(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{MaxCalls: 2})
			slow := make(chan struct{})
			w.chat.set(func() { w.chat.slowRoom, w.chat.rooms["other"] = slow, true })
			ann := w.signInAs(tr.open, w.member("ann"))
			send := func(id uint32, f *edgev1.ClientFrame) {
				t.Helper()
				f.Id = id
				w.must(ann.send(f))
			}
			send(101, enter("room"))
			send(102, enter("other"))
			send(103, enter("room"))
			send(104, leave("room"))
			send(105, leave("other"))
			answers := make(map[uint32]*edgev1.ServerFrame)
			await := func(n int) {
				t.Helper()
				ann.until("answers", func(f *edgev1.ServerFrame) bool {
					if f.GetId() > 100 {
						answers[f.GetId()] = f
					}
					return len(answers) == n
				})
			}
			await(1)
			if answers[103].GetError().GetReason() != errs.ReasonRateLimited {
				t.Errorf("one too many got %v", answers)
			}
			const many = 100 // of which most have nothing to leave
			for id := range uint32(many) {
				send(1000+id, leave("room"))
			}
			refused := 0
			ann.until("too many", func(f *edgev1.ServerFrame) bool {
				if f.GetError().GetReason() == errs.ReasonRateLimited {
					refused++
				}
				return refused == many-(2*2+20-4) // so many may wait, and four did
			})
			close(slow)
			await(5 + many - refused)
			for id, left := range map[uint32]bool{101: false, 102: false, 104: true, 105: true} {
				if f := answers[id]; (f.GetDone() != nil) != left || (f.GetEntered() == nil) != left {
					t.Errorf("frame %d got %v", id, f)
				}
			}
			w.say("room", 8, 8)
			w.say("other", 8, 8)
			ann.quiet("rooms that were left")
		})
	}
}

// TestStreamsBeginAtOnce: however long the rooms take that a stream is opened with, it hears what is pushed, and its end.
func TestStreamsBeginAtOnce(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	slow := make(chan struct{})
	w.chat.set(func() { w.chat.slowRoom, w.chat.conversations["ann"] = slow, []string{"group"} })
	var rooms []*edgev1.Enter
	for i := range 20 {
		room := fmt.Sprint("room-", i)
		w.chat.set(func() { w.chat.rooms[room] = i != 3 })
		rooms = append(rooms, &edgev1.Enter{ConversationId: room})
	}
	with := func(w *world) wire { return &streamWire{w: w, enter: rooms} }
	ann, bob := w.signInAs(with, w.member("ann")), w.signInAs(with, w.member("bob"))
	w.say("group", 1, 3)
	assertRun(t, ann.seqs(3), 1, 3)
	_, err := w.push.KickUsers(t.Context(), &edgev1.KickUsersRequest{UserIds: []string{"bob"}, Message: "bye"})
	w.must(err)
	if err := bob.stream().end(); !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
		t.Errorf("it ended with %v", err)
	}
	close(slow)
	id := uint32(0)
	ann.until("all rooms", func(f *edgev1.ServerFrame) bool {
		if f.GetId() == 0 {
			return false
		}
		if id++; f.GetId() != id || (f.GetEntered() != nil) != (id != 4) {
			t.Errorf("got %v for room %d", f, id)
		}
		return id == 20
	})
}
