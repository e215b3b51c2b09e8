package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// What the encoder sends.
const (
	width, height = 640, 360
	frameRate     = 25
)

// encoding is what ffmpeg makes of its test picture and tone.
type encoding struct {
	gop     int      // frames between keyframes; 50 (two seconds) when 0
	noVideo bool     // only the tone
	noAudio bool     // only the picture
	output  []string // more options of the output
}

// push starts ffmpeg, which streams in real time until it is stopped or cut.
func (e encoding) push(t *testing.T, address string) *process {
	t.Helper()
	p := start(t, exec.Command("ffmpeg", e.arguments(address)...))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("an encoder said:\n%s", p.output.tail())
		}
	})
	return p
}

// arguments are ffmpeg's.
func (e encoding) arguments(address string) []string {
	args := []string{"-hide_banner", "-loglevel", "warning", "-nostdin"}
	var codecs []string
	if !e.noVideo {
		gop := e.gop
		if gop == 0 {
			gop = 2 * frameRate
		}
		args = append(args, "-re", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=%d", width, height, frameRate))
		codecs = append(codecs, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
			"-g", fmt.Sprint(gop), "-keyint_min", fmt.Sprint(gop), "-threads", "1")
	}
	if !e.noAudio {
		args = append(args, "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100")
		codecs = append(codecs, "-c:a", "aac", "-b:a", "96k")
	}
	args = append(args, codecs...)
	args = append(args, e.output...)
	return append(args, "-f", "flv", address)
}

// refused waits until the encoder gives up, and checks that the streamer is told why.
func refused(t *testing.T, encoder *process, reason string) {
	t.Helper()
	if err := encoder.ended(); err == nil {
		t.Error("the encoder was not refused")
	}
	if log := encoder.output.String(); !strings.Contains(log, reason) {
		t.Errorf("the encoder does not say %q but:\n%s", reason, log)
	}
}
