package edge

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// gate is a link that writes when a test lets it.
type gate struct {
	writing chan struct{} // takes one when a write begins
	let     chan struct{} // lets one write go on

	mu  sync.Mutex
	got []byte
}

func newGate() *gate { return &gate{writing: make(chan struct{}, 64), let: make(chan struct{}, 64)} }

func (g *gate) form() form              { return formBare }
func (g *gate) try([]byte) (int, error) { return 0, nil }
func (g *gate) close()                  {}
func (g *gate) bid()                    {}
func (g *gate) address() string         { return "" }

func (g *gate) write(bufs net.Buffers, _ time.Duration) error {
	g.writing <- struct{}{}
	<-g.let
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range bufs {
		g.got = append(g.got, b...)
	}
	return nil
}

func (g *gate) has(want []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Equal(g.got, want)
}

func bareEdge(t *testing.T, cfg Config) *Edge {
	t.Helper()
	e, err := New(cfg, Deps{Deps: service.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	return e
}

func bareSession(e *Edge, l link) *session {
	return &session{
		edge: e, id: "s", owner: authn.Principal{UserID: "ann"}, link: l, over: make(chan struct{}), away: true,
		frames: rate.NewLimiter(1, 1),
	}
}

func pushed(text string) *frame { return &frame{plain: []byte(text), push: true} }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited too long until " + what)
		}
	}
}

// TestAResumeOvertakesAWriter: a write to the link before is still going on when a session is resumed, and ends well after
// that. Nothing is written twice or in another order.
func TestAResumeOvertakesAWriter(t *testing.T) {
	e := bareEdge(t, Config{})
	before, after := newGate(), newGate()
	s := bareSession(e, before)
	s.put(pushed("a"))
	s.writing = true
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.drain(before)
	}()
	<-before.writing
	if !s.resume(after, 0, s.owner, "", false, &frame{plain: []byte("in")}) {
		t.Fatal("not resumed")
	}
	<-after.writing          // "in" and "a" are on their way
	before.let <- struct{}{} // and the old writer finds another link
	<-ended
	s.mu.Lock()
	if !s.writing {
		t.Error("the next push would have a second writer")
	}
	s.mu.Unlock()
	for range 50 {
		s.send(pushed("b"))
	}
	close(after.let)
	eventually(t, "all is written", func() bool { return after.has([]byte("ina" + string(bytes.Repeat([]byte("b"), 50)))) })
}

// TestAnswersWait: what a client asked for and does not read costs it answers, not the session.
func TestAnswersWait(t *testing.T) {
	e := bareEdge(t, Config{})
	l := newGate()
	s := bareSession(e, l)
	large := &frame{plain: make([]byte, queueBytes+1)}
	s.answer(l, 1, large) // one always fits
	<-l.writing
	s.answer(l, 2, &frame{plain: make([]byte, 100)})
	s.mu.Lock()
	ended, waiting := s.ended || s.last, len(s.queue)
	answer := s.queue[waiting-1].plain
	s.mu.Unlock()
	close(l.let)
	if f, err := decode(answer); ended || waiting != 2 || err != nil || f.GetId() != 2 || f.GetError().GetReason() != "RATE_LIMITED" {
		t.Errorf("it ended: %v, %d frames wait, and it was answered by %v, %v", ended, waiting, f, err)
	}
	eventually(t, "all is written", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 0
	})
}

// TestLateAnswers of calls from before a cut are not taken for those of calls after it.
func TestLateAnswers(t *testing.T) {
	e := bareEdge(t, Config{})
	before, after := newGate(), newGate()
	close(after.let)
	s := bareSession(e, before)
	asked, answered := make(chan struct{}), make(chan struct{})
	s.inFlight(1, func() *frame {
		close(asked)
		<-answered
		return &frame{plain: []byte("late")}
	})
	<-asked
	if !s.resume(after, 0, s.owner, "", false, &frame{plain: []byte("in")}) {
		t.Fatal("not resumed")
	}
	close(answered)
	eventually(t, "the call is over", func() bool { return s.calls.Load() == 0 })
	s.send(pushed("!"))
	eventually(t, "all is written", func() bool { return after.has([]byte("in!")) })
}

// TestPongsWait for the frame that is half written: in the middle of it they would be part of it.
func TestPongsWait(t *testing.T) {
	e := bareEdge(t, Config{})
	g := newGate()
	s := bareSession(e, g)
	k := newConn(e, &timedConn{}, formWebSocket, &wsFramer{}, "192.0.2.1:1")
	k.session.Store(s)
	s.send(pushed("a"))
	<-g.writing
	if err := k.reply([]byte("pong")); err != nil {
		t.Fatal(err)
	}
	close(g.let)
	eventually(t, "the pong is written", func() bool { return g.has([]byte("apong")) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pushed != 1 || len(s.kept) != 1 {
		t.Errorf("%d pushes, %d kept: a pong is none", s.pushed, len(s.kept))
	}
}

// TestNoDeadlineStays on a connection after something was written to it: the next write may come at any time.
func TestNoDeadlineStays(t *testing.T) {
	e := bareEdge(t, Config{})
	c := &timedConn{}
	k := newConn(e, c, formDelimited, &tcpFramer{}, "192.0.2.1:1")
	if err := k.write(net.Buffers{[]byte("x")}, farewell); err != nil {
		t.Fatal(err)
	}
	if len(c.deadlines) < 2 || c.deadlines[0].IsZero() || !c.deadlines[len(c.deadlines)-1].IsZero() {
		t.Errorf("deadlines were %v", c.deadlines)
	}
}

type timedConn struct {
	net.Conn

	deadlines []time.Time
}

func (c *timedConn) Write(b []byte) (int, error) { return len(b), nil }

func (c *timedConn) SetWriteDeadline(t time.Time) error {
	c.deadlines = append(c.deadlines, t)
	return nil
}

func TestAddressesAreCountedByNetwork(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1234":                "192.0.2.7",
		"[::ffff:192.0.2.7]:1":          "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443":    "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1%eth0]:1": "2001:db8:1:2::/64",
		"pipe":                          "pipe",
	} {
		if got := originOf(peer); got != want {
			t.Errorf("%s is counted as %s, want %s", peer, got, want)
		}
	}
}

func TestReasonsOfEnds(t *testing.T) {
	f := newFates()
	now := time.Now()
	f.put("s", fate{user: "ann", reason: reasonOf("slow"), until: now.Add(time.Minute)})
	if f.of("s", "ann") != edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER || f.of("s", "bob") != 0 || f.of("t", "ann") != 0 {
		t.Error("it is not told to the one who may know")
	}
	f.expire(now.Add(2 * time.Minute))
	if f.of("s", "ann") != 0 {
		t.Error("it is remembered for ever")
	}
}
