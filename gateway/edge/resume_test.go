package edge_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
)

// people hears who is in a room, as edges report it.
type people struct {
	mu   sync.Mutex
	here map[string]bool
}

func (w *world) peopleIn(room string) *people {
	w.t.Helper()
	p := &people{here: make(map[string]bool)}
	s, err := bus.Subscribe(w.bus, edge.TopicNodeReport, "", func(_ context.Context, _ string, r *edgev1.NodeReport) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, changed := range r.GetRooms() {
			if changed.GetConversationId() != room {
				continue
			}
			for _, user := range changed.GetEntered() {
				p.here[user] = true
			}
			for _, user := range changed.GetLeft() {
				delete(p.here, user)
			}
		}
		return nil
	})
	w.must(err)
	w.t.Cleanup(func() { _ = s.Close() })
	return p
}

func (p *people) are(n int) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.here) == n
	}
}

// TestResumeGoesOnWithRoomsAndPeople: who was entered is left when the session is cut and is there again when it is resumed,
// and what is told of rooms and of people meanwhile is not missed.
func TestResumeGoesOnWithRoomsAndPeople(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() { w.chat.rooms["unseen"] = true })
		here, gone := w.peopleIn("room"), w.gone()
		unseen := w.peopleIn("unseen")
		p := w.member("ann")
		ann, bob := w.signInAs(open, p), w.signInAs(open, w.member("bob"))
		for _, d := range []*device{ann, bob} {
			if f := d.ask(enter("room")); f.GetEntered() == nil {
				t.Fatalf("got %v", f)
			}
		}
		hidden := enter("unseen")
		hidden.GetEnter().Unseen = true
		ann.ask(hidden)
		ann.watches("cid", "dan", "fence")
		w.eventually("both are in the room", here.are(2))

		w.cutAndNoticed(ann, gone)
		w.eventually("one has left it", here.are(1))
		w.say("room", 8, 9)
		w.tellPresence(w.changed(offline("cid")))
		back := w.resumeAs(open, p, &edgev1.Resume{SessionId: ann.session.GetSessionId(), Received: ann.pushes})
		if !back.session.GetResumed() {
			t.Fatalf("not resumed: %v", back.session)
		}
		back.pushes = ann.pushes
		w.eventually("both are in it again", here.are(2))
		if p := back.sees("cid"); p.GetOnline() {
			t.Errorf("told %v", p)
		}
		w.tellPresence(w.changed(offline("dan")))
		if p := back.sees("dan"); p.GetOnline() {
			t.Errorf("told %v", p)
		}
		w.say("room", 10, 10)
		w.say("unseen", 1, 1)
		assertRun(t, back.seqs(4)[:3], 8, 10)
		if f := back.ask(enter("room")); f.GetEntered().GetPeople() != 2 {
			t.Errorf("entered again: %v", f)
		}
		if !unseen.are(0)() {
			t.Error("who is unseen is counted")
		}
		back.ask(leave("room"))
		w.eventually("one is left", here.are(1))
	})
}

// TestSlowStreamIsCutAlone: a stream that nobody reads ends its session, and whoever comes back learns why.
func TestSlowStreamIsCutAlone(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Queue: 16})
	w.chat.set(func() {
		w.chat.conversations["slow"], w.chat.conversations["quick"] = []string{"group"}, []string{"group"}
	})
	p := w.member("slow")
	narrow := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(4 << 10) // what the kernel takes for it need not be written
		}
		return conn, err
	}}
	t.Cleanup(narrow.CloseIdleConnections)
	client := edgev1connect.NewEdgeServiceClient(&tokenClient{&http.Client{Transport: narrow}, w.Token(t, p)}, w.http.URL)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	stream, err := client.Connect(ctx, &edgev1.ConnectRequest{})
	w.must(err)
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	id := stream.Msg().GetFrame().GetSignedIn().GetSessionId()
	quick := w.signInAs((*world).webSocket, w.member("quick"))
	noise := make([]byte, 60<<10) // the RPC would compress anything else to nothing
	_, _ = rand.Read(noise)       // it never fails
	n := 0
	w.eventually("the slow one is cut", func() bool {
		n++
		tell(w, "chat.conversation_events", "group", &chatv1.ConversationEvents{ConversationId: "group", Events: []*chatv1.Event{{
			ConversationId: "group", Kind: &chatv1.Event_Message{Message: &chatv1.Message{
				Epoch: 1, Seq: int64(n), Content: &chatv1.Content{Kind: &chatv1.Content_Custom{Custom: &chatv1.CustomContent{Data: noise}}},
			}},
		}}})
		assertRun(t, quick.seqs(n), 1, int64(n)) // who reads is never held up
		return w.metric("stoa_edge_slow_total") == 1
	})
	w.eventually("its session is gone", func() bool { return w.metric("stoa_edge_sessions") == 1 })
	hangUp()
	back := w.resumeAs((*world).stream, p, &edgev1.Resume{SessionId: id})
	if s := back.session; s.GetResumed() || s.GetEnded() != slow {
		t.Errorf("who came back was told %v", s)
	}
	quick.quiet("a slow neighbour")
}

// TestEverybodyComesBack: what a wave of people who come costs a follower is a frame for what presence tells at once, not one
// for each of them.
func TestEverybodyComesBack(t *testing.T) {
	t.Parallel()
	const followed, followers, told = 200, 20, 5
	w := serve(t, edge.Config{})
	users := make([]string, followed)
	for i := range users {
		users[i] = "user-" + strconv.Itoa(i)
	}
	all := func(here bool) {
		w.t.Helper()
		event := w.changed()
		for _, u := range users {
			p := offline(u)
			p.Online, p.Turn = here, event.GetTurn()
			event.Presences = append(event.Presences, p, offline("stranger-"+u)) // whom nobody follows
		}
		w.tellPresence(event)
	}
	var devices []*device
	for i := range followers {
		d := w.signInAs((*world).webSocket, w.member("follower-"+strconv.Itoa(i)))
		d.watches(users...)
		devices = append(devices, d)
	}
	for i := range told {
		all(i%2 == 1)
	}
	for i, d := range devices {
		d.until("all news", func(*edgev1.ServerFrame) bool { return len(d.events) >= told*followed })
		if d.pushes != told || len(d.events) != told*followed {
			t.Errorf("follower %d was told %d things in %d frames", i, len(d.events), d.pushes)
		}
	}
}

// TestWatchIsBounded, whatever the transport.
func TestWatchIsBounded(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		ann := w.signInAs(open, w.member("ann"))
		users := make([]string, 201)
		for i := range users {
			users[i] = "user-" + strconv.Itoa(i)
		}
		ann.watches(users[:200]...)
		err := ann.send(watch(users...))
		if _, ok := ann.wire.(*streamWire); ok {
			if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
				t.Errorf("one more got %v", err)
			}
			if n := w.metric("stoa_edge_watched_people"); n != 200 {
				t.Errorf("%v people are followed", n)
			}
			return
		}
		w.must(err)
		if g := ann.goodbye(); g.GetReason() != badFrame {
			t.Errorf("got %v", g)
		}
	})
}
