package live_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// assertTold fails the test unless the bus is told of exactly these states, in this order.
func (n *node) assertTold(roomID string, want ...livev1.BroadcastState) {
	n.t.Helper()
	n.eventually("the bus is told", func() bool { return len(n.told(roomID)) >= len(want) })
	if got := n.told(roomID); !slices.Equal(got, want) {
		n.t.Errorf("the bus was told %v, want %v", got, want)
	}
}

func TestBroadcastLife(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	if got := n.get(room.GetId()); got.GetBroadcast() != nil || got.GetPlayback() != nil {
		t.Errorf("before the first broadcast: %v", got)
	}
	if _, err := n.as("ann").EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()}); !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") {
		t.Errorf("EndBroadcast before: %v", err)
	}

	e, err := n.push(key)
	n.must(err)
	first := n.until(room.GetId(), starting)
	if got := n.get(room.GetId()); got.GetPlayback() != nil || len(first.GetId()) != 26 || first.GetStartedAt() == nil || first.GetEndedAt() != nil {
		t.Errorf("while it starts: %v", got)
	}
	e.media()
	if b := n.until(room.GetId(), onAir); b.GetId() != first.GetId() {
		t.Errorf("on the air it is %q, not %q", b.GetId(), first.GetId())
	}
	if n.get(room.GetId()).GetPlayback() == nil {
		t.Error("there is nowhere to watch")
	}
	if got := n.metric("stoa_live_broadcasts", "live"); got != 1 {
		t.Errorf("metrics count %v broadcasts", got)
	}

	e.leave()
	if b := n.until(room.GetId(), interrupted); b.GetId() != first.GetId() || b.GetEndedAt() != nil {
		t.Errorf("interrupted: %v", b)
	}
	if n.get(room.GetId()).GetPlayback() == nil {
		t.Error("viewers have nowhere to wait")
	}
	e, err = n.push(key)
	n.must(err)
	// Without media it is not back yet.
	if b := n.get(room.GetId()).GetBroadcast(); b.GetState() != interrupted {
		t.Errorf("a silent encoder makes the broadcast %v", b)
	}
	e.media()
	if b := n.until(room.GetId(), onAir); b.GetId() != first.GetId() {
		t.Errorf("after the interruption it is %q, not %q", b.GetId(), first.GetId())
	}

	res, err := n.as("ann").EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()})
	n.must(err)
	if b := res.GetBroadcast(); b.GetState() != ended || b.GetId() != first.GetId() || b.GetEndedAt() == nil {
		t.Errorf("EndBroadcast: %v", res)
	}
	e.wasCut()
	if got := n.get(room.GetId()); got.GetBroadcast().GetState() != ended || got.GetPlayback() != nil {
		t.Errorf("after the end: %v", got)
	}
	if _, err := n.as("ann").EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()}); !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") {
		t.Errorf("EndBroadcast again: %v", err)
	}
	n.assertTold(room.GetId(), starting, onAir, interrupted, onAir, ended)

	// An encoder that connects again by itself does not undo it; after a while the room is free.
	if _, err := n.push(key); err == nil {
		t.Error("the encoder came back at once")
	}
	n.ahead.Add(int64(2 * time.Minute))
	n.live(room.GetId(), key)
	if b := n.get(room.GetId()).GetBroadcast(); b.GetId() == first.GetId() {
		t.Error("the next broadcast is the last one")
	}
	for result, least := range map[string]float64{"accepted": 3, "refused": 1} {
		if got := n.metric("stoa_live_publishes_total", result); got < least {
			t.Errorf("metrics count %v publishes %s, want at least %v", got, result, least)
		}
	}
}

func TestBroadcastEndsWhenItsEncoderStaysAway(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(func(c *live.Config) { c.ReconnectWindow = 100 * time.Millisecond })
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	first := n.get(room.GetId()).GetBroadcast().GetId()
	e.leave()
	n.until(room.GetId(), ended)
	n.assertTold(room.GetId(), starting, onAir, interrupted, ended)
	// Nobody decided that: it may start again at once.
	n.live(room.GetId(), key)
	if n.get(room.GetId()).GetBroadcast().GetId() == first {
		t.Error("an ended broadcast goes on")
	}
}

func TestEncoderWithoutMediaLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	for range 2 {
		e, err := n.push(key)
		n.must(err)
		n.until(room.GetId(), starting)
		e.send(hub.Video, hubtest.AVCConfig()) // which is no picture
		e.leave()
		n.until(room.GetId(), ended)
	}
	n.assertTold(room.GetId(), starting, ended, starting, ended)
}

func TestUnsupportedMediaIsRefused(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	e, err := n.push(n.key("ann", room.GetId()))
	n.must(err)
	e.send(hub.Video, []byte("\x90hvc1\x01\x02\x03"))
	e.wasCut()
	n.until(room.GetId(), ended)
}

func TestRestartResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room, silent := n.open("ann"), n.open("bob")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	n.live(silent.GetId(), n.key("bob", silent.GetId()))
	b := n.get(room.GetId()).GetBroadcast()
	n.must(n.end())
	e.wasCut()

	n = w.boot(nil)
	if got := n.get(room.GetId()); got.GetBroadcast().GetId() != b.GetId() || got.GetBroadcast().GetState() != interrupted || got.GetPlayback() == nil {
		t.Errorf("after the restart: %v", got)
	}
	n.live(room.GetId(), key)
	if got := n.get(room.GetId()).GetBroadcast(); got.GetId() != b.GetId() || !got.GetStartedAt().AsTime().Equal(b.GetStartedAt().AsTime()) {
		t.Errorf("the broadcast that goes on is %v, not %v", got, b)
	}
	n.must(n.end())

	n = w.boot(func(c *live.Config) { c.ReconnectWindow = 50 * time.Millisecond })
	n.until(silent.GetId(), ended)
	n.until(room.GetId(), ended)
	n.must(n.end())
	n = w.boot(nil)
	if got := n.get(silent.GetId()).GetBroadcast(); got.GetState() != ended || got.GetEndedAt() == nil {
		t.Errorf("an ended broadcast after a restart: %v", got)
	}
}

func TestStopBroadcast(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	res, err := n.control(n.AsService("admin")).StopBroadcast(t.Context(), &livev1.StopBroadcastRequest{RoomId: room.GetId()})
	n.must(err)
	if res.GetBroadcast().GetState() != ended {
		t.Errorf("StopBroadcast: %v", res)
	}
	e.wasCut()
	n.assertTold(room.GetId(), starting, onAir, ended)
	if _, err := n.push(key); err == nil {
		t.Error("the encoder came back at once")
	}
}

func TestBannedPeopleAreTakenOffTheAir(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room, other := n.open("ann"), n.open("bob")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	n.live(other.GetId(), n.key("bob", other.GetId()))
	n.users.set(func(d *directory) { d.banned = []string{"ann"} })
	n.must(bus.Publish(t.Context(), n.bus, "auth.user_changed", "ann", &authv1.UserChanged{User: &authv1.User{Id: "ann"}, Ban: &authv1.Ban{}}))
	e.wasCut()
	n.until(room.GetId(), ended)
	n.ahead.Add(int64(time.Hour))
	if _, err := n.push(key); err == nil {
		t.Error("somebody who is banned goes live")
	}
	if b := n.get(other.GetId()).GetBroadcast(); b.GetState() != onAir {
		t.Errorf("another's broadcast is %v", b)
	}
	n.users.set(func(d *directory) { d.banned = nil })
	n.must(bus.Publish(t.Context(), n.bus, "auth.user_changed", "ann", &authv1.UserChanged{User: &authv1.User{Id: "ann"}}))
	n.live(room.GetId(), key)
}

// watch opens the FLV of a room as a user and returns its body.
func (n *node) watch(user, roomID string) io.ReadCloser {
	n.t.Helper()
	res, err := n.as(user).GetRoom(n.t.Context(), &livev1.GetRoomRequest{RoomId: roomID})
	n.must(err)
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.server.URL()+res.GetPlayback().GetFlvUrl(), nil)
	n.must(err)
	flv, err := n.server.Client().Do(r)
	n.must(err)
	if flv.StatusCode != http.StatusOK {
		n.t.Fatalf("FLV: %s", flv.Status)
	}
	return flv.Body
}

// TestViewersStayThroughAnInterruption: the picture goes on in the same response, and ends with the broadcast.
func TestViewersStayThroughAnInterruption(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	body := n.watch("bob", room.GetId())
	defer body.Close() //nolint:errcheck // a test
	serial := e.serial
	e.leave()
	n.until(room.GetId(), interrupted)
	again, err := n.push(key)
	n.must(err)
	again.serial = serial
	again.media()
	n.until(room.GetId(), onAir)
	n.eventually("all has arrived", func() bool {
		res, err := n.as("x").GetStreamStats(t.Context(), &livev1.GetStreamStatsRequest{RoomId: room.GetId()})
		n.must(err)
		return res.GetStats().GetReceivedBytes() >= int64(2*(500+24*100+25*50))
	})
	_, err = n.as("ann").EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()})
	n.must(err)
	b, err := io.ReadAll(body)
	if err != nil {
		t.Errorf("the response ends with %v", err)
	}
	tags, err := hubtest.File(b)
	n.must(err)
	var pictures []uint64
	last := uint32(0)
	for _, tag := range tags {
		if tag.Kind != hub.Video || tag.IsConfig() {
			continue
		}
		if tag.At < last || tag.At > last+1000 {
			t.Errorf("the clock goes from %d to %d", last, tag.At)
		}
		last = tag.At
		pictures = append(pictures, tag.Serial())
	}
	if len(pictures) != 50 || pictures[0] != 1 || pictures[49] != 50 {
		t.Errorf("%d pictures arrived: %v", len(pictures), pictures)
	}
}

func TestRevokedSessionsStopWatching(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	n.live(room.GetId(), n.key("ann", room.GetId()))
	body := n.watch("bob", room.GetId())
	defer body.Close() //nolint:errcheck // a test
	n.must(bus.Publish(t.Context(), n.bus, "auth.sessions_revoked", "bob", &authv1.SessionsRevoked{
		Revocations: []*authv1.Revocation{{SessionId: "session-bob", RevokedAt: timestamppb.Now()}},
	}))
	_, _ = io.Copy(io.Discard, body) // ends
}
