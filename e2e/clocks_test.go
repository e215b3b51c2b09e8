package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/services/live/lalset"
)

// TestClockWraps starts ffmpeg's clock shortly before it overflows. It writes 31 of RTMP's 32 bits of milliseconds: its
// clock jumps back by 24 days, and no viewer may see it.
func TestClockWraps(t *testing.T) {
	t.Parallel()
	room := serve(t).signUp("streamer").openRoom()
	const wrap = 1 << 31 * time.Millisecond
	offset := fmt.Sprintf("%.3f", (wrap - 4*time.Second).Seconds())
	encoding{output: []string{"-output_ts_offset", offset}}.push(t, room.issueKey())
	checkClock(t, room, 1)
}

// TestClockOverflows goes over all 32 bits, which is how a clock that started at 0 goes on after 49 days.
func TestClockOverflows(t *testing.T) {
	t.Parallel()
	room := serve(t).signUp("streamer").openRoom()
	relay(t, room.issueKey(), func(ms uint32) uint32 { return ms - 4000 })
	checkClock(t, room, 0)
}

// TestClockJumps sets an encoder's clock ahead and then back.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	room := serve(t).signUp("streamer").openRoom()
	const hour = 60 * 60 * 1000
	relay(t, room.issueKey(), func(ms uint32) uint32 {
		switch {
		case ms < 2000:
			return ms + hour
		case ms < 4000:
			return ms + 3*hour
		default:
			return ms
		}
	})
	checkClock(t, room, 2)
}

// checkClock watches until the clock must have done what it does, which the figures have to count as so many gaps.
func checkClock(t *testing.T, room *room, gaps int64) {
	t.Helper()
	playback := room.until(live).GetPlayback()
	viewers := []*viewer{watchWebSocket(t, playback.GetWsFlvUrl()), watchHTTP(t, room.owner.s.client, playback.GetFlvUrl())}
	for _, v := range viewers {
		v.advances(8 * time.Second)
		v.continuous()
	}
	resp, err := room.owner.live.GetStreamStats(within(t), &livev1.GetStreamStatsRequest{RoomId: room.id})
	must(t, err)
	if got := resp.GetStats().GetGaps(); got != gaps {
		t.Errorf("the figures count %d gaps, want %d", got, gaps)
	}
}

// relay pushes what ffmpeg encodes with other times than its own, by lal's RTMP client.
func relay(t *testing.T, address string, clock func(ms uint32) uint32) {
	t.Helper()
	lalset.Apply()
	session := rtmp.NewPushSession()
	must(t, session.Push(address))
	r, w := io.Pipe()
	cmd := exec.Command("ffmpeg", encoding{}.arguments("pipe:1")...)
	cmd.Stdout = w
	encoder := start(t, cmd)
	done := make(chan error, 1)
	go func() {
		done <- readTags(bufio.NewReader(r), func(kind byte, ms uint32, payload []byte) error {
			if kind != tagAudio && kind != tagVideo {
				return nil
			}
			csid := rtmp.CsidAudio
			if kind == tagVideo {
				csid = rtmp.CsidVideo
			}
			return session.WriteMsg(base.RtmpMsg{Payload: payload, Header: base.RtmpHeader{
				Csid: csid, MsgLen: uint32(len(payload)), MsgTypeId: kind, MsgStreamId: rtmp.Msid1, TimestampAbs: clock(ms),
			}})
		})
	}()
	t.Cleanup(func() {
		encoder.kill()
		_ = r.Close()
		_ = session.Dispose()
		<-done
	})
}
