package live_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

func TestOnlySoundAndOnlyPicture(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	sound, picture := n.open("ann"), n.open("bob")
	e, err := n.push(n.key("ann", sound.GetId()))
	n.must(err)
	e.send(hub.Audio, hubtest.AACConfig())
	e.send(hub.Audio, hubtest.Sound(1, 50))
	n.until(sound.GetId(), onAir)
	f, err := n.push(n.key("bob", picture.GetId()))
	n.must(err)
	f.send(hub.Video, hubtest.AVCConfig())
	f.send(hub.Video, hubtest.Key(1, 50))
	n.until(picture.GetId(), onAir)
	for room, want := range map[string][2]string{sound.GetId(): {"", "aac"}, picture.GetId(): {"h264", ""}} {
		stats, err := n.as("x").GetStreamStats(t.Context(), &livev1.GetStreamStatsRequest{RoomId: room})
		n.must(err)
		if got := [2]string{stats.GetStats().GetVideo().GetCodec(), stats.GetStats().GetAudio().GetCodec()}; got != want {
			t.Errorf("codecs are %q, want %q", got, want)
		}
	}
}

func TestStreamStats(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	request := &livev1.GetStreamStatsRequest{RoomId: room.GetId()}
	if _, err := n.as("ann").GetStreamStats(t.Context(), request); !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") {
		t.Errorf("before: %v", err)
	}
	key := n.key("ann", room.GetId())
	e := n.live(room.GetId(), key)
	e.media()
	var st *livev1.StreamStats
	n.eventually("two keyframes are in", func() bool {
		res, err := n.as("ann").GetStreamStats(t.Context(), request)
		n.must(err)
		st = res.GetStats()
		return st.GetGopLength().AsDuration() == time.Second
	})
	v, a := st.GetVideo(), st.GetAudio()
	if v.GetCodec() != "h264" || v.GetProfile() != "High" || v.GetWidth() != 1280 || v.GetHeight() != 720 {
		t.Errorf("video: %v", v)
	}
	if a.GetCodec() != "aac" || a.GetSampleRate() != 44100 || a.GetChannels() != 2 {
		t.Errorf("audio: %v", a)
	}
	if st.GetGaps() != 0 || st.GetReceivedBytes() < 25*100 || st.GetUptime() == nil || st.GetConnections() != 0 {
		t.Errorf("stats: %v", st)
	}
	e.leave()
	n.until(room.GetId(), interrupted)
	n.live(room.GetId(), key)
	res, err := n.as("ann").GetStreamStats(t.Context(), request)
	n.must(err)
	if res.GetStats().GetGaps() != 1 {
		t.Errorf("after an interruption %d gaps are counted", res.GetStats().GetGaps())
	}
}

// TestViewersAreCountedAsPeople: what chat says, whatever connections there are.
func TestViewersAreCountedAsPeople(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	n.live(room.GetId(), n.key("ann", room.GetId()))
	for range 3 {
		defer n.watch("bob", room.GetId()).Close() //nolint:errcheck // a test
	}
	for _, count := range []int32{7, 0, 1} {
		n.must(bus.Publish(t.Context(), n.bus, "presence.people_changed", "", &presencev1.PeopleChanged{
			Counts: []*presencev1.PeopleCount{{ConversationId: room.GetConversationId(), Count: count}},
		}))
		n.eventually("the count is right", func() bool { return n.get(room.GetId()).GetBroadcast().GetViewerCount() == count })
	}
	st, err := n.as("x").GetStreamStats(t.Context(), &livev1.GetStreamStatsRequest{RoomId: room.GetId()})
	n.must(err)
	if st.GetStats().GetConnections() != 3 {
		t.Errorf("%d connections are counted, want 3", st.GetStats().GetConnections())
	}
}
