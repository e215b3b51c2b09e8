package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"net/http"
	"testing"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// TestWatch is the main job: what ffmpeg pushes over RTMP comes out as FLV and HLS, with its figures and a cover.
func TestWatch(t *testing.T) {
	s := serve(t)
	room := s.signUp("streamer").openRoom()
	encoder := encoding{}.push(t, room.issueKey())
	playback := room.until(live).GetPlayback()

	// About 70 packets make a second.
	ffprobe(t, playback.GetFlvUrl(), nil, 250).check(t, true, true, 2*time.Second)
	ffprobe(t, "", openWebSocket(t, playback.GetWsFlvUrl()), 250).check(t, true, true, 2*time.Second)
	ffprobe(t, playback.GetHlsUrl(), nil, 250).check(t, true, true, 2*time.Second)
	checkFigures(t, room)
	checkCover(t, s, room)
	checkViewerCount(t, s, room)
	encoder.running()
}

// checkFigures holds GetStreamStats to what the encoder sends.
func checkFigures(t *testing.T, room *room) {
	eventually(t, "the figures are right", func() error {
		resp, err := room.owner.live.GetStreamStats(within(t), &livev1.GetStreamStatsRequest{RoomId: room.id})
		if err != nil {
			return err
		}
		st := resp.GetStats()
		video, audio, gop := st.GetVideo(), st.GetAudio(), st.GetGopLength().AsDuration()
		switch {
		case video.GetCodec() != "h264", video.GetWidth() != width, video.GetHeight() != height:
		case audio.GetCodec() != "aac", audio.GetSampleRate() != 44100, audio.GetChannels() != 1:
		case video.GetFrameRate() < frameRate-7, video.GetFrameRate() > frameRate+7:
		case gop < 1900*time.Millisecond, gop > 2100*time.Millisecond:
		case video.GetBitrateBps() <= 0, audio.GetBitrateBps() <= 0, st.GetReceivedBytes() <= 0, st.GetUptime().AsDuration() <= 0:
		case st.GetGaps() != 0:
		default:
			return nil
		}
		return fmt.Errorf("they are %v", st)
	})
}

// checkCover waits for the room's cover and decodes it.
func checkCover(t *testing.T, s *server, room *room) {
	var address string
	eventually(t, "the room has a cover", func() error {
		if address = room.get().GetRoom().GetCoverUrl(); address == "" {
			return errors.New("it has none")
		}
		return nil
	})
	resp, body := s.get(address)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Fatalf("the cover is answered with %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	picture, err := jpeg.Decode(bytes.NewReader(body))
	must(t, err)
	if size := picture.Bounds().Size(); size.X != width || size.Y != height {
		t.Errorf("the cover is %v, want %dx%d", size, width, height)
	}
}

// checkViewerCount holds the count of viewers to people, whatever number of tabs they have open.
func checkViewerCount(t *testing.T, s *server, room *room) {
	guest := s.signUp("viewer")
	guest.subscribe(room.conversation, nil)
	guest.subscribe(room.conversation, nil)
	room.owner.subscribe(room.conversation, nil).until("two people are there", func(events []*edgev1.Event) bool {
		last := int32(0)
		for _, e := range events {
			if people := e.GetPeople(); people != nil {
				last = people.GetCount()
			}
		}
		return last == 2
	})
	eventually(t, "the room counts two people", func() error {
		if n := room.get().GetBroadcast().GetViewerCount(); n != 2 {
			return fmt.Errorf("it counts %d", n)
		}
		return nil
	})
}
