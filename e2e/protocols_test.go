package e2e_test

import (
	"fmt"
	"testing"
	"time"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// TestOnlySound and TestOnlyPicture play streams of one track.
func TestOnlySound(t *testing.T) {
	t.Parallel()
	testOneTrack(t, encoding{noVideo: true}, 100)
}

func TestOnlyPicture(t *testing.T) {
	t.Parallel()
	testOneTrack(t, encoding{noAudio: true}, 60)
}

func testOneTrack(t *testing.T, e encoding, packets int) {
	s := serve(t)
	room := s.signUp("streamer").openRoom()
	encoder := e.push(t, room.issueKey())
	playback := room.until(live).GetPlayback()
	video, audio := !e.noVideo, !e.noAudio
	ffprobe(t, playback.GetFlvUrl(), nil, packets).check(t, video, audio, time.Second)
	ffprobe(t, "", openWebSocket(t, playback.GetWsFlvUrl()), packets).check(t, video, audio, time.Second)
	ffprobe(t, playback.GetHlsUrl(), nil, packets).check(t, video, audio, time.Second)
	resp, err := room.owner.live.GetStreamStats(within(t), &livev1.GetStreamStatsRequest{RoomId: room.id})
	must(t, err)
	if st := resp.GetStats(); (st.GetVideo().GetCodec() != "") != video || (st.GetAudio().GetCodec() != "") != audio {
		t.Errorf("the figures are %v", st)
	}
	encoder.running()
}

// TestClockWraps starts an encoder's clock shortly before it overflows. RTMP's has 32 bits of milliseconds, of which
// ffmpeg writes 31: it jumps back by 24 days, and no viewer may see it.
func TestClockWraps(t *testing.T) {
	t.Parallel()
	s := serve(t)
	room := s.signUp("streamer").openRoom()
	const wrap = 1 << 31 // ms
	offset := time.Duration(wrap)*time.Millisecond - 4*time.Second
	encoder := encoding{output: []string{"-output_ts_offset", fmt.Sprintf("%.3f", offset.Seconds())}}.push(t, room.issueKey())
	playback := room.until(live).GetPlayback()
	viewers := []*viewer{watchWebSocket(t, playback.GetWsFlvUrl()), watchHTTP(t, s.client, playback.GetFlvUrl())}
	for _, v := range viewers {
		v.advances(8 * time.Second)
		v.continuous()
	}
	resp, err := room.owner.live.GetStreamStats(within(t), &livev1.GetStreamStatsRequest{RoomId: room.id})
	must(t, err)
	if resp.GetStats().GetGaps() == 0 {
		t.Error("the clock did not wrap, so nothing was tested")
	}
	encoder.running()
}
