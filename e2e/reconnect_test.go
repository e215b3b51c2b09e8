package e2e_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// TestReconnect loses the encoder in mid-broadcast. Nobody who watches may notice more than a picture that stands for a
// while: no connection closes, no clock goes back.
func TestReconnect(t *testing.T) {
	s := serve(t, "STOA_LIVE_RECONNECT_WINDOW=15s")
	room := s.signUp("streamer").openRoom()
	address := room.issueKey()
	encoder := encoding{}.push(t, address)
	before := room.until(live)
	id := before.GetBroadcast().GetId()
	audience := room.owner.subscribe(room.conversation, nil)
	viewers := []*viewer{
		watchWebSocket(t, before.GetPlayback().GetWsFlvUrl()),
		watchHTTP(t, s.client, before.GetPlayback().GetFlvUrl()),
	}
	for _, v := range viewers {
		v.advances(2 * time.Second)
	}
	session := s.openHLS(before.GetPlayback().GetHlsUrl())
	known := session.segments()

	encoder.kill()
	waiting := room.until(interrupted)
	if waiting.GetPlayback() == nil {
		t.Error("an interrupted broadcast cannot be watched")
	}
	audience.broadcasts(interrupted)
	lost := viewers[0].latest()

	encoding{}.push(t, address)
	if got := room.until(live).GetBroadcast().GetId(); got != id {
		t.Errorf("the encoder came back to broadcast %s, not to %s", got, id)
	}
	for _, v := range viewers {
		v.advances(lost + 3*time.Second)
		v.continuous()
	}
	var states []livev1.BroadcastState
	for _, b := range audience.broadcasts(live) {
		states = append(states, b.GetState())
		if b.GetId() != id {
			t.Errorf("the audience was told of broadcast %s, not of %s", b.GetId(), id)
		}
	}
	if want := []livev1.BroadcastState{interrupted, live}; !slices.Equal(states, want) {
		t.Errorf("the audience was told of %v, want %v", states, want)
	}
	session.goesOn(known)
	resp, err := room.owner.live.GetStreamStats(within(t), &livev1.GetStreamStatsRequest{RoomId: room.id})
	must(t, err)
	if resp.GetStats().GetGaps() != 1 {
		t.Errorf("the figures count %d gaps, want 1", resp.GetStats().GetGaps())
	}
}

// TestReconnectTooLate loses the encoder for longer than the window: the broadcast is over, and who watches is let go.
func TestReconnectTooLate(t *testing.T) {
	t.Parallel()
	s := serve(t, "STOA_LIVE_RECONNECT_WINDOW=1s")
	room := s.signUp("streamer").openRoom()
	address := room.issueKey()
	encoder := encoding{}.push(t, address)
	before := room.until(live)
	audience := room.owner.subscribe(room.conversation, nil)
	viewers := []*viewer{
		watchWebSocket(t, before.GetPlayback().GetWsFlvUrl()),
		watchHTTP(t, s.client, before.GetPlayback().GetFlvUrl()),
	}
	for _, v := range viewers {
		v.advances(time.Second)
	}

	encoder.kill()
	after := room.until(ended)
	if after.GetPlayback() != nil || after.GetBroadcast().GetEndedAt() == nil {
		t.Errorf("the ended broadcast is %v", after)
	}
	for _, v := range viewers {
		v.endsCleanly()
		v.continuous()
	}
	for _, b := range audience.broadcasts(ended) {
		if b.GetId() != before.GetBroadcast().GetId() {
			t.Errorf("the audience was told of broadcast %s", b.GetId())
		}
	}
	// Whoever comes back then starts anew.
	encoding{}.push(t, address)
	if again := room.until(live).GetBroadcast().GetId(); again == before.GetBroadcast().GetId() {
		t.Error("an ended broadcast was taken up again")
	}
}

// hlsSession polls the playlist that one viewer was given.
type hlsSession struct {
	s        *server
	playlist string // address
}

// openHLS reads a multivariant playlist, as a player does once.
func (s *server) openHLS(address string) *hlsSession {
	s.t.Helper()
	resp, body := s.get(address)
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return &hlsSession{s, resolve(s.t, address, line)}
		}
	}
	s.t.Fatalf("the multivariant playlist is %s:\n%s", resp.Status, body)
	return nil
}

// segments returns the addresses in the playlist as it is now.
func (h *hlsSession) segments() []string {
	h.s.t.Helper()
	resp, body := h.s.get(h.playlist)
	var segments []string
	for line := range strings.Lines(string(body)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			segments = append(segments, resolve(h.s.t, h.playlist, line))
		}
	}
	if len(segments) == 0 {
		h.s.t.Fatalf("the playlist is %s:\n%s", resp.Status, body)
	}
	return segments
}

// goesOn waits for two segments that were not known, and checks that the picture's clock went on in the second.
func (h *hlsSession) goesOn(known []string) {
	t := h.s.t
	t.Helper()
	var fresh []string
	eventually(t, "the playlist has new segments", func() error {
		fresh = slices.DeleteFunc(h.segments(), func(address string) bool { return slices.Contains(known, address) })
		if len(fresh) < 2 {
			return fmt.Errorf("it has %d", len(fresh))
		}
		return nil
	})
	old := ffprobe(t, known[0], nil, 1000).times(t, "video")
	now := ffprobe(t, fresh[1], nil, 1000)
	now.check(t, true, true, 0)
	times := now.times(t, "video")
	if len(old) == 0 || len(times) == 0 || times[0] <= old[len(old)-1] {
		t.Errorf("the clock of the HLS picture does not go on: %v, then %v", old, times)
	}
}

// resolve makes a playlist's reference an address.
func resolve(t *testing.T, base, reference string) string {
	t.Helper()
	from, err := url.Parse(base)
	must(t, err)
	to, err := from.Parse(reference)
	must(t, err)
	return to.String()
}
