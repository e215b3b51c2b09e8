package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"
)

const (
	coverTimeout = 10 * time.Second
	maxCover     = 1 << 20
)

// camera makes pictures of keyframes, by ffmpeg in a sandbox.
type camera struct {
	ffmpeg  string        // path; empty where there is none, and then there are no snapshots
	slots   chan struct{} // one ffmpeg at a time
	sandbox sandbox
}

func newCamera(ctx context.Context, ffmpeg string, log *slog.Logger) *camera {
	path, err := exec.LookPath(ffmpeg)
	if err != nil {
		log.Warn("no snapshots: ffmpeg was not found", "ffmpeg", ffmpeg, "error", err)
		return &camera{}
	}
	return &camera{ffmpeg: path, slots: make(chan struct{}, 1), sandbox: newSandbox(ctx, path, log)}
}

func (c *camera) works() bool { return c.ffmpeg != "" }

// take decodes one keyframe, which comes as an FLV file, into a JPEG at most 640 pixels wide.
func (c *camera) take(ctx context.Context, flv []byte) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, coverTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, c.ffmpeg,
		"-v", "error", "-nostdin", "-protocol_whitelist", "pipe", "-format_whitelist", "flv", "-codec_whitelist", "h264",
		"-threads", "1", "-f", "flv", "-i", "pipe:0", "-frames:v", "1", "-vf", "scale='min(640,iw)':-2", "-q:v", "5",
		"-f", "image2pipe", "-c:v", "mjpeg", "pipe:1")
	cmd.Env = []string{} // nothing of ours is its business
	cmd.Dir = os.TempDir()
	cmd.Stdout = &limitedBuffer{Buffer: &out, left: maxCover}
	cmd.Stderr = &limitedBuffer{Buffer: &errOut, left: 4096}
	if err := c.sandbox.run(cmd, flv); err != nil {
		line, _, _ := bytes.Cut(bytes.TrimSpace(errOut.Bytes()), []byte("\n"))
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, line)
	}
	if out.Len() == 0 {
		return nil, errors.New("ffmpeg made no picture")
	}
	return out.Bytes(), nil
}

// limitedBuffer takes a bounded number of bytes and refuses more.
type limitedBuffer struct {
	*bytes.Buffer
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return 0, errors.New("output is too large")
	}
	b.left -= len(p)
	return b.Buffer.Write(p)
}
