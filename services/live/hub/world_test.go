package hub_test

import (
	"time"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// failer is what tests and property tests have in common.
type failer interface {
	Helper()
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// encoder publishes numbered frames, 25 pictures a second.
type encoder struct {
	t      failer
	hub    *hub.Hub
	stream *hub.Stream
	*hub.Publication

	serial uint64
	at     uint32
}

// encode claims a new stream and configures it for picture and sound.
func encode(t failer, config hub.Config) *encoder {
	t.Helper()
	h := hub.New(config)
	t.Cleanup(h.Close)
	e := encodeTo(t, h.Open("room"))
	e.hub = h
	e.write(hub.Video, hubtest.AVCConfig())
	e.write(hub.Audio, hubtest.AACConfig())
	return e
}

func encodeTo(t failer, s *hub.Stream) *encoder {
	t.Helper()
	p, err := s.Publish()
	if err != nil {
		t.Fatal(err)
	}
	return &encoder{t: t, stream: s, Publication: p}
}

func (e *encoder) write(kind hub.Kind, payload []byte) {
	e.t.Helper()
	if err := e.Write(kind, e.at, payload); err != nil {
		e.t.Fatalf("Write(%d, %d, %d bytes): %v", kind, e.at, len(payload), err)
	}
}

func (e *encoder) key(size int) {
	e.t.Helper()
	e.serial++
	e.write(hub.Video, hubtest.Key(e.serial, size))
	e.at += 40
}

func (e *encoder) inter(size int) {
	e.t.Helper()
	e.serial++
	e.write(hub.Video, hubtest.Inter(e.serial, size))
	e.at += 40
}

func (e *encoder) sound() {
	e.t.Helper()
	e.serial++
	e.write(hub.Audio, hubtest.Sound(e.serial, 100))
}

// gop publishes a keyframe and n other frames, at their times.
func (e *encoder) gop(n, size int) {
	e.t.Helper()
	e.key(5 * size)
	for range n {
		time.Sleep(40 * time.Millisecond)
		e.inter(size)
	}
	time.Sleep(40 * time.Millisecond)
}

// viewer reads a stream and judges it.
type viewer struct {
	t      failer
	reader *hub.Reader
	parser hubtest.Parser
	judge  hubtest.Judge
	tags   []hubtest.Tag
	bytes  int
}

func watch(t failer, s *hub.Stream) *viewer {
	return &viewer{t: t, reader: s.NewReader()}
}

// poll takes everything that is there and returns how it ended.
func (v *viewer) poll() error {
	v.t.Helper()
	for {
		blocks, err := v.reader.Poll(nil)
		v.take(blocks)
		if len(blocks) == 0 {
			return err
		}
	}
}

func (v *viewer) take(blocks []*hub.Block) {
	v.t.Helper()
	for _, b := range blocks {
		v.bytes += len(b.FLV())
		tags, err := v.parser.Feed(b.FLV())
		if err != nil {
			v.t.Fatal(err)
		}
		if v.parser.Left() > 0 {
			v.t.Fatal("a block ends inside a tag")
		}
		if err := v.judge.Take(tags); err != nil {
			v.t.Fatal(err)
		}
		v.tags = append(v.tags, tags...)
	}
}

// media leaves metadata and configurations out.
func media(tags []hubtest.Tag) []hubtest.Tag {
	var out []hubtest.Tag
	for _, t := range tags {
		if t.Kind != hubtest.Script && !t.IsConfig() {
			out = append(out, t)
		}
	}
	return out
}
