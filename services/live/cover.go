package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live/hub"
)

// coverPrefix is where covers are served.
const coverPrefix = "/live/covers/"

const (
	coverTimeout = 10 * time.Second
	maxCover     = 1 << 20
)

// covers takes a snapshot of each broadcast's picture now and then, by ffmpeg in a sandbox.
type covers struct {
	dir     string
	ffmpeg  string // path; empty where there is none, and then there are no covers
	every   time.Duration
	slots   chan struct{} // one ffmpeg at a time
	log     *slog.Logger
	sandbox sandbox
}

func newCovers(ctx context.Context, dir, ffmpeg string, every time.Duration, log *slog.Logger) (*covers, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make cover folder: %w", err)
	}
	path, err := exec.LookPath(ffmpeg)
	if err != nil {
		log.Warn("no covers: ffmpeg was not found", "ffmpeg", ffmpeg, "error", err)
		path = ""
	}
	c := &covers{dir: dir, ffmpeg: path, every: every, slots: make(chan struct{}, 1), log: log}
	if path != "" {
		c.sandbox = newSandbox(ctx, path, log)
	}
	return c, nil
}

// run takes snapshots of stream until ctx ends; taken is told of each.
func (c *covers) run(ctx context.Context, roomID string, stream *hub.Stream, taken func(ctx context.Context, roomID string)) {
	if c.ffmpeg == "" {
		return
	}
	// The first cover comes soon after the first picture.
	wait := 500 * time.Millisecond
	var last []byte
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		flv := stream.Snapshot()
		if flv == nil || bytes.Equal(flv, last) {
			continue
		}
		last, wait = flv, c.every
		if err := c.take(ctx, roomID, flv); err != nil {
			if ctx.Err() == nil && !failed { // once is enough for a stream that cannot be decoded
				c.log.Warn("take cover", "room", roomID, "error", err)
			}
			failed = true
			continue
		}
		failed = false
		taken(ctx, roomID)
	}
}

// take decodes one keyframe and stores it as a JPEG at most 640 pixels wide.
func (c *covers) take(ctx context.Context, roomID string, flv []byte) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
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
		return fmt.Errorf("ffmpeg: %w: %s", err, line)
	}
	if out.Len() == 0 {
		return errors.New("ffmpeg made no picture")
	}
	path := c.path(roomID)
	if err := os.WriteFile(path+".new", out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write cover: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("replace cover: %w", err)
	}
	return nil
}

func (c *covers) path(roomID string) string { return filepath.Join(c.dir, roomID+".jpg") }

var coverName = regexp.MustCompile(`^([0-9A-Z]{26})\.jpg$`)

// ServeHTTP serves {room}.jpg. The address changes with the picture, so it may be cached.
func (c *covers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := coverName.FindStringSubmatch(r.URL.Path[len(coverPrefix):])
	if match == nil || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		errs.WriteHTTP(w, r, errs.NotFound("NOT_FOUND", "There is no cover at this address."))
		return
	}
	f, err := os.Open(c.path(match[1]))
	if err != nil {
		errs.WriteHTTP(w, r, errs.NotFound("NOT_FOUND", "There is no cover at this address."))
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		errs.WriteHTTP(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeContent(w, r, "", info.ModTime(), f)
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
