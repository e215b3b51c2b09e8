package hls_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-live/stoa/services/live/hls"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

const (
	id       = "01JBR0ADCAST00000000000000"
	patience = 20 * time.Second
	// pictures is how many make a group, at 25 a second: longer than a segment must be, so that each group is one.
	pictures = 75
)

// studio is a stream and its packaging.
type studio struct {
	t         *testing.T
	root      string
	packager  *hls.Packager
	log       logbook
	hub       *hub.Hub
	stream    *hub.Stream
	publisher *hub.Publication
	serial    uint64
	at        uint32
	sound     bool // behind each picture
}

// newStudio opens a studio. Where the hub merges for an hour, a group of pictures is one batch.
func newStudio(t *testing.T, config hub.Config) *studio {
	t.Helper()
	s := &studio{t: t, root: filepath.Join(t.TempDir(), "hls"), hub: hub.New(config)}
	var err error
	if s.packager, err = hls.NewPackager(s.root, slog.New(&s.log)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.hub.Close()
		s.packager.Close()
	})
	s.stream = s.hub.Open("room")
	if s.publisher, err = s.stream.Publish(); err != nil {
		t.Fatal(err)
	}
	s.write(hub.Video, hubtest.AVCConfig())
	return s
}

func (s *studio) write(kind hub.Kind, payload []byte) {
	s.t.Helper()
	if err := s.publisher.Write(kind, s.at, payload); err != nil {
		s.t.Fatal(err)
	}
}

func (s *studio) picture(key bool) {
	s.t.Helper()
	s.serial++
	payload := hubtest.Inter(s.serial, 400)
	if key {
		payload = hubtest.Key(s.serial, 2000)
	}
	s.write(hub.Video, payload)
	if s.sound {
		s.write(hub.Audio, hubtest.Sound(0, 60))
	}
	s.at += 40
}

func (s *studio) gop() {
	s.t.Helper()
	for i := range pictures {
		s.picture(i == 0)
	}
}

// waitless is a channel for callers who do not wait.
func waitless() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func patient(t *testing.T) <-chan struct{} {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx.Done()
}

func (s *studio) eventually(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			s.t.Fatalf("waited too long until %s; the log says %q", what, s.log.all())
		}
	}
}

var segmentName = regexp.MustCompile(`^[A-Z2-7]{26}\.ts$`)

// segments returns the names in a playlist and checks its form.
func (s *studio) segments(playlist []byte) (names []string) {
	s.t.Helper()
	if !bytes.HasPrefix(playlist, []byte("#EXTM3U\n")) || !bytes.Contains(playlist, []byte("#EXT-X-TARGETDURATION:")) {
		s.t.Errorf("the playlist is\n%s", playlist)
	}
	for line := range strings.Lines(string(playlist)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
			if !segmentName.MatchString(line) {
				s.t.Errorf("a segment is named %q", line)
			}
		}
	}
	return names
}

func (s *studio) segment(name string) []byte {
	s.t.Helper()
	f, err := s.packager.Segment(id, name)
	if err != nil {
		s.t.Fatalf("open segment %s: %v", name, err)
	}
	defer f.Close() //nolint:errcheck // a test
	b, err := io.ReadAll(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// pictures demuxes the video of an MPEG-TS segment (ISO/IEC 13818-1) into tags for the judge.
func (s *studio) pictures(ts []byte) (tags []hubtest.Tag) {
	s.t.Helper()
	const packetSize, videoPID = 188, 0x100
	var pes []byte
	finish := func() {
		if len(pes) > 0 {
			tags = append(tags, s.picturesOf(pes)...)
		}
		pes = nil
	}
	for len(ts) > 0 {
		if len(ts) < packetSize || ts[0] != 0x47 {
			s.t.Fatalf("%d bytes are no MPEG-TS packet", len(ts))
		}
		p := ts[:packetSize]
		ts = ts[packetSize:]
		if int(p[1]&0x1f)<<8|int(p[2]) != videoPID {
			continue
		}
		if p[1]&0x40 != 0 {
			finish()
		}
		payload := 4
		if p[3]&0x20 != 0 {
			payload += 1 + int(p[4])
		}
		pes = append(pes, p[payload:]...)
	}
	finish()
	return tags
}

// picturesOf reads one PES packet of H.264 in Annex B form.
func (s *studio) picturesOf(pes []byte) (tags []hubtest.Tag) {
	s.t.Helper()
	if len(pes) < 19 || !bytes.HasPrefix(pes, []byte{0, 0, 1}) {
		s.t.Fatalf("%d bytes are no PES packet", len(pes))
	}
	stamp := pes[9:] // PTS, and DTS behind it where there are both
	if pes[7]&0x40 != 0 {
		stamp = pes[14:]
	}
	dts := uint64(stamp[0]>>1&7)<<30 | uint64(stamp[1])<<22 | uint64(stamp[2]>>1)<<15 | uint64(stamp[3])<<7 | uint64(stamp[4])>>1
	for _, nal := range bytes.Split(pes[9+int(pes[8]):], []byte{0, 0, 1}) {
		if len(nal) == 0 {
			continue
		}
		const slice, idr = 1, 5
		switch at := uint32(dts / 90); nal[0] & 0x1f {
		case idr:
			tags = append(tags, hubtest.Tag{Kind: hub.Video, At: at, Payload: hubtest.Key(hubtest.NALSerial(nal), 0)})
		case slice:
			tags = append(tags, hubtest.Tag{Kind: hub.Video, At: at, Payload: hubtest.Inter(hubtest.NALSerial(nal), 0)})
		}
	}
	return tags
}

func TestPlaylistAppearsWithItsFirstSegment(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{Merge: time.Hour})
	s.packager.Start(id, s.stream)
	if _, err := s.packager.Playlist(id, waitless()); !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("before the first segment: %v", err)
	}
	if _, err := s.packager.Playlist("other", patient(t)); !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("of another broadcast: %v", err)
	}
	if _, err := s.packager.Segment("other", "AAAAAAAAAAAAAAAAAAAAAAAAAA.ts"); !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("a segment of another broadcast: %v", err)
	}
	if _, err := s.packager.Segment(id, "AAAAAAAAAAAAAAAAAAAAAAAAAA.ts"); !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("a segment that is not there: %v", err)
	}
	s.sound = true
	s.write(hub.Audio, hubtest.AACConfig())
	for range 3 {
		s.gop()
	}
	playlist, err := s.packager.Playlist(id, patient(t))
	if err != nil {
		t.Fatal(err)
	}
	names := s.segments(playlist)
	if len(names) == 0 {
		t.Fatalf("the playlist names no segment:\n%s", playlist)
	}
	var judge hubtest.Judge
	first := s.pictures(s.segment(names[0]))
	if err := judge.Take(first); err != nil {
		t.Fatal(err)
	}
	if judge.Frames != pictures || judge.Skips != 0 || judge.Last != pictures || first[1].At-first[0].At != 40 {
		t.Errorf("the first segment holds %d frames up to %d, %d ms apart", judge.Frames, judge.Last, first[1].At-first[0].At)
	}
}

func TestSegmentsAreCleanedUp(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{Merge: time.Hour})
	s.packager.Start(id, s.stream)
	const groups = 40
	for range groups {
		s.gop()
	}
	seen := map[string]bool{}
	var names []string
	s.eventually("the last segment is listed", func() bool {
		playlist, err := s.packager.Playlist(id, patient(t))
		if err != nil {
			t.Fatal(err)
		}
		names = s.segments(playlist)
		return bytes.Contains(playlist, []byte("#EXT-X-MEDIA-SEQUENCE:32\n")) || bytes.Contains(playlist, []byte("#EXT-X-MEDIA-SEQUENCE:33\n"))
	})
	if len(names) != 6 {
		t.Errorf("the playlist names %d segments, want 6", len(names))
	}
	var judge hubtest.Judge
	for _, name := range names {
		if seen[name] {
			t.Errorf("segment %s is named twice", name)
		}
		seen[name] = true
		if err := judge.Take(s.pictures(s.segment(name))); err != nil {
			t.Error(err)
		}
	}
	if judge.Frames != 6*pictures || judge.Skips != 0 {
		t.Errorf("the listed segments hold %d frames with %d skips", judge.Frames, judge.Skips)
	}
	files, err := filepath.Glob(filepath.Join(s.root, id, "*.ts"))
	if err != nil {
		t.Fatal(err)
	}
	if most := 6 + 6 + 2; len(files) > most {
		t.Errorf("%d segments are kept, want at most %d", len(files), most)
	}
}

func TestStopRemovesEverything(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{Merge: time.Hour})
	s.packager.Start(id, s.stream)
	s.packager.Start("other", s.stream)
	for range 3 {
		s.gop()
	}
	if _, err := s.packager.Playlist(id, patient(t)); err != nil {
		t.Fatal(err)
	}
	s.packager.Stop(id)
	s.packager.Stop(id)
	if _, err := os.Stat(filepath.Join(s.root, id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if _, err := s.packager.Playlist(id, patient(t)); !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("the playlist after Stop: %v", err)
	}
	s.gop() // whoever is stopped takes no more frames, and the other goes on
	if _, err := s.packager.Playlist("other", patient(t)); err != nil {
		t.Errorf("the other broadcast: %v", err)
	}
	s.packager.Close()
	if left, err := os.ReadDir(s.root); err != nil || len(left) != 0 {
		t.Errorf("Close leaves %v, %v", left, err)
	}
}

func TestStopReleasesWhoWaits(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{})
	s.packager.Start(id, s.stream)
	waiting := make(chan error, 1)
	go func() {
		_, err := s.packager.Playlist(id, nil)
		waiting <- err
	}()
	s.packager.Stop(id)
	if err := <-waiting; !errors.Is(err, hls.ErrUnknown) {
		t.Errorf("who waits gets %v", err)
	}
}

func TestNewPackagerEmptiesItsFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	stale := filepath.Join(root, "01JSTALE000000000000000000")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := hls.NewPackager(root, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a former process left: %v", err)
	}
	if _, err := hls.NewPackager(filepath.Join("/dev/null", "hls"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder that cannot be is no error")
	}
}

// TestPanicEndsOnlyItself: an empty payload is more than lal can bear. The stream and other broadcasts go on.
func TestPanicEndsOnlyItself(t *testing.T) {
	t.Parallel()
	s := newStudio(t, hub.Config{})
	s.packager.Start(id, s.stream)
	reader := s.stream.NewReader()
	s.picture(true)
	s.packager.Offer(id, []hub.Frame{{Kind: hub.Video}})
	s.eventually("the muxer has panicked", func() bool { return s.log.has("panic in HLS muxer") })
	if _, err := s.packager.Playlist(id, patient(t)); err == nil {
		t.Error("there is a playlist after a panic")
	}
	s.eventually("the folder is gone", func() bool {
		_, err := os.Stat(filepath.Join(s.root, id))
		return errors.Is(err, os.ErrNotExist)
	})
	// What nobody takes is not kept either.
	for range 1000 {
		s.picture(false)
	}
	if s.log.has("cannot keep up") {
		t.Error("frames are queued for a muxer that is gone")
	}
	healthy := s.hub.Open("healthy")
	s.publisher, _ = healthy.Publish()
	s.packager.Start("other", healthy)
	s.write(hub.Video, hubtest.AVCConfig())
	for range 3 {
		s.gop()
	}
	if _, err := s.packager.Playlist("other", patient(t)); err != nil {
		t.Errorf("another broadcast after the panic: %v", err)
	}
	for {
		blocks, err := reader.Poll(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) == 0 {
			break
		}
	}
	s.packager.Stop(id)
}

// logbook remembers what is logged.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logbook) WithGroup(string) slog.Handler            { return l }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Message)
	return nil
}

func (l *logbook) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

func (l *logbook) has(text string) bool {
	for _, line := range l.all() {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}
