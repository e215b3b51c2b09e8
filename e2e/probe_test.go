package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// probe is what ffprobe reads.
type probe struct {
	Streams []struct {
		Type   string `json:"codec_type"`
		Codec  string `json:"codec_name"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
	} `json:"streams"`
	Packets []struct {
		Type string `json:"codec_type"`
		DTS  string `json:"dts_time"` // seconds
	} `json:"packets"`
}

// ffprobe reads packets from an address, or from stdin where that is not nil.
func ffprobe(t *testing.T, address string, stdin io.Reader, packets int) probe {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if stdin != nil {
		address = "pipe:0"
	}
	cmd := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets",
		"-read_intervals", "%+#"+strconv.Itoa(packets), "-i", address)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &log
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffprobe %s: %v\n%s", address, err, &log)
	}
	var p probe
	must(t, json.Unmarshal(out.Bytes(), &p))
	if complaints := log.String(); complaints != "" {
		t.Logf("ffprobe %s says: %s", address, complaints)
	}
	return p
}

// check holds the streams to what the encoder sends, and their clocks to advancing by at least some time.
func (p probe) check(t *testing.T, video, audio bool, advance time.Duration) {
	t.Helper()
	want := map[string]string{}
	if video {
		want["video"] = "h264"
	}
	if audio {
		want["audio"] = "aac"
	}
	for _, s := range p.Streams {
		if s.Codec != want[s.Type] {
			t.Errorf("ffprobe found %s %q, want %q", s.Type, s.Codec, want[s.Type])
		}
		if s.Type == "video" && (s.Width != width || s.Height != height) {
			t.Errorf("ffprobe found a picture of %dx%d, want %dx%d", s.Width, s.Height, width, height)
		}
		delete(want, s.Type)
		p.checkClock(t, s.Type, advance)
	}
	for kind := range want {
		t.Errorf("ffprobe found no %s", kind)
	}
}

// checkClock holds the decoding times of one track to rising. Before ffprobe knows how long a frame of sound is, it may
// give two of them one time; those may stand, but never go back.
func (p probe) checkClock(t *testing.T, kind string, advance time.Duration) {
	t.Helper()
	times := p.times(t, kind)
	if len(times) < 2 {
		t.Errorf("ffprobe found %d %s packets", len(times), kind)
		return
	}
	for i := 1; i < len(times); i++ {
		if times[i] < times[i-1] || (kind == "video" && times[i] == times[i-1]) {
			t.Errorf("%s packet %d at %v comes after one at %v", kind, i, times[i], times[i-1])
		}
	}
	if got := times[len(times)-1] - times[0]; got < advance {
		t.Errorf("the %s clock advanced by %v, want at least %v", kind, got, advance)
	}
}

// times returns the decoding times of one track's packets.
func (p probe) times(t *testing.T, kind string) []time.Duration {
	t.Helper()
	var times []time.Duration
	for _, packet := range p.Packets {
		if packet.Type != kind {
			continue
		}
		seconds, err := strconv.ParseFloat(packet.DTS, 64)
		if err != nil {
			t.Fatalf("a %s packet has the time %q", kind, packet.DTS)
		}
		times = append(times, time.Duration(seconds*float64(time.Second)))
	}
	return times
}
