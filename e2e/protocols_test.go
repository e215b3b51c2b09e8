package e2e_test

import (
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
