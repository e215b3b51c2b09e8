package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

func TestOnePublisherAtATime(t *testing.T) {
	h := hub.New(hub.Config{})
	s := h.Open("room")
	if h.Open("room") != s || h.Stream("room") != s || h.Stream("other") != nil {
		t.Error("a name does not stand for one stream")
	}
	first := encodeTo(t, s)
	if _, err := s.Publish(); !errors.Is(err, hub.ErrInUse) {
		t.Errorf("the second publisher got %v, want ErrInUse", err)
	}
	first.Close()
	if err := first.Write(hub.Video, 0, hubtest.AVCConfig()); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Write after Close: %v, want ErrClosed", err)
	}
	second := encodeTo(t, s)
	first.Close() // a second time: it must not touch the other's claim
	second.write(hub.Video, hubtest.AVCConfig())
	if second.Media() {
		t.Error("a configuration counts as media")
	}
	second.key(100)
	if !second.Media() {
		t.Error("a keyframe does not count as media")
	}
	h.Detach("room").Close()
	s.Close() // twice is no error
	if err := second.Write(hub.Video, 0, hubtest.Key(1, 100)); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Write after Close: %v, want ErrClosed", err)
	}
	if _, err := s.Publish(); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Publish after Close: %v, want ErrClosed", err)
	}
	if h.Open("room") == s {
		t.Error("a removed stream was opened again")
	}
	h.Close()
}

func TestMalformedPayloads(t *testing.T) {
	t.Parallel()
	type row struct {
		name    string
		kind    hub.Kind
		payload []byte
		want    error // nil where it is to be ignored
	}
	rows := []row{
		{"MP3", hub.Audio, []byte{0x2f, 0xff}, hub.ErrCodec},
		{"MP3 of one byte", hub.Audio, []byte{0x2f}, hub.ErrCodec},
		{"Opus", hub.Audio, []byte{0x9f, 1, 2}, hub.ErrCodec},
		{"AAC cut after the format", hub.Audio, []byte{0xaf}, hub.ErrMalformed},
		{"an empty AAC packet", hub.Audio, []byte{0xaf, 1}, nil},
		{"an empty AAC configuration", hub.Audio, []byte{0xaf, 0}, nil},
		{"an AAC configuration of noise", hub.Audio, []byte{0xaf, 0, 0xff}, hub.ErrMalformed},
		{"Sorenson H.263", hub.Video, []byte{0x12, 0, 0}, hub.ErrCodec},
		{"HEVC in the old way", hub.Video, []byte{0x1c, 0, 0, 0, 0, 1}, hub.ErrCodec},
		{"enhanced HEVC", hub.Video, []byte("\x90hvc1\x01"), hub.ErrCodec},
		{"enhanced AV1", hub.Video, []byte("\x90av01\x01"), hub.ErrCodec},
		{"a command frame", hub.Video, []byte{0x57, 0}, nil},
		{"an AVC end of sequence", hub.Video, []byte{0x17, 2, 0, 0, 0}, nil},
		{"AVC of an unknown packet type", hub.Video, []byte{0x17, 3, 0, 0, 0, 1}, hub.ErrMalformed},
		{"an AVC configuration of version 0", hub.Video, []byte{0x17, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7}, hub.ErrMalformed},
		{"an AVC configuration without SPS", hub.Video, []byte{0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff, 0xe0, 0, 0}, hub.ErrMalformed},
		{"an AVC configuration with a cut SPS", hub.Video, []byte{0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff, 0xe1, 0, 9, 0x67}, hub.ErrMalformed},
		{"an unknown kind", hub.Kind(15), []byte{1, 2, 3}, hub.ErrMalformed},
		{"metadata", hubtest.Script, []byte{2, 0, 1, 'x'}, hub.ErrMalformed},
	}
	for n := range 7 {
		var video, audio error
		if n >= 1 && n < 5 {
			video = hub.ErrMalformed
		}
		if n == 1 {
			audio = hub.ErrMalformed
		}
		rows = append(rows,
			row{fmt.Sprintf("a keyframe of %d bytes", n), hub.Video, []byte{0x17, 1, 0, 0, 0, 0}[:n], video},
			row{fmt.Sprintf("an AAC packet of %d bytes", n), hub.Audio, []byte{0xaf, 1, 0, 0, 0, 0}[:n], audio})
	}
	for n := range len(hubtest.AVCConfig()) - 5 {
		if n < 34 { // up to the end of the SPS
			rows = append(rows, row{fmt.Sprintf("an AVC configuration cut at %d", n+5), hub.Video, hubtest.AVCConfig()[:n+5], hub.ErrMalformed})
		}
	}
	rows[len(rows)-34].want = nil // nothing behind the header is nothing at all
	for _, configured := range []bool{false, true} {
		for _, r := range rows {
			t.Run(fmt.Sprintf("%s/configured=%v", r.name, configured), func(t *testing.T) {
				e := encodeTo(t, hub.New(hub.Config{}).Open("room"))
				if configured {
					e.write(hub.Video, hubtest.AVCConfig())
					e.write(hub.Audio, hubtest.AACConfig())
				}
				if err := e.Write(r.kind, 0, r.payload); !errors.Is(err, r.want) {
					t.Errorf("Write(% x): %v, want %v", r.payload, err, r.want)
				}
				// The stream is as good as before.
				e.write(hub.Video, hubtest.AVCConfig())
				e.write(hub.Audio, hubtest.AACConfig())
				v := watch(t, e.stream)
				e.serial = 100
				e.key(100)
				e.sound()
				if err := v.poll(); err != nil {
					t.Fatal(err)
				}
				if v.judge.Last != 102 {
					t.Errorf("the last of %d frames is %d", v.judge.Frames, v.judge.Last)
				}
			})
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{})
	want := hub.Info{
		VideoCodec: "h264", VideoProfile: "High", Width: 1280, Height: 720, AudioCodec: "aac", SampleRate: 44100, Channels: 2,
	}
	if got := e.stream.Stats().Info; got != want {
		t.Errorf("info is %+v, want %+v", got, want)
	}
	e.write(hub.Video, hubtest.SmallAVCConfig())
	e.write(hub.Audio, hubtest.MonoConfig())
	want = hub.Info{
		VideoCodec: "h264", VideoProfile: "Baseline", Width: 640, Height: 360, AudioCodec: "aac", SampleRate: 48000, Channels: 1,
	}
	if got := e.stream.Stats().Info; got != want {
		t.Errorf("info is %+v, want %+v", got, want)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{})
		for range 6 {
			e.gop(24, 1000) // a second
		}
		st := e.stream.Stats()
		if st.FrameRate != 25 || st.GOPLength != time.Second || st.Gaps != 0 {
			t.Errorf("stats are %+v", st)
		}
		if want := int64(8 * (5000 + 24*1000)); st.VideoBitrate != want || st.AudioBitrate != 0 {
			t.Errorf("video of %d bit/s, want %d; audio of %d", st.VideoBitrate, want, st.AudioBitrate)
		}
		if want := int64(6*(5000+24*1000) + len(hubtest.AACConfig())); st.ReceivedBytes != want {
			t.Errorf("%d bytes, want %d", st.ReceivedBytes, want)
		}
		e.stream.Enter()
		e.stream.Enter()
		e.stream.Leave()
		e.at += 60000
		e.key(100)
		e.Close()
		again := encodeTo(t, e.stream)
		again.key(100)
		if st := e.stream.Stats(); st.Gaps != 2 || st.Viewers != 1 {
			t.Errorf("after a jump and a reconnection, stats are %+v", st)
		}
		time.Sleep(time.Minute)
		if st := e.stream.Stats(); st.FrameRate != 0 || st.VideoBitrate != 0 {
			t.Errorf("after a minute of silence, stats are %+v", st)
		}
	})
}

func TestOnlySound(t *testing.T) {
	t.Parallel()
	e := encodeTo(t, hub.New(hub.Config{}).Open("room"))
	early := watch(t, e.stream)
	early.judge.Sound = true
	e.sound() // cannot be decoded: dropped
	e.write(hub.Audio, hubtest.AACConfig())
	e.serial = 0
	for range 10 {
		e.sound()
		e.at += 23
	}
	late := watch(t, e.stream)
	late.judge.Sound = true
	for name, v := range map[string]*viewer{"early": early, "late": late} {
		if err := v.poll(); err != nil {
			t.Fatal(err)
		}
		if v.judge.Last != 10 || v.parser.Flags != 4 {
			t.Errorf("%s: last frame %d, flags %d", name, v.judge.Last, v.parser.Flags)
		}
	}
	if e.stream.Snapshot() != nil {
		t.Error("there is a snapshot of sound")
	}
}

func TestOnlyPicture(t *testing.T) {
	t.Parallel()
	e := encodeTo(t, hub.New(hub.Config{}).Open("room"))
	v := watch(t, e.stream)
	e.write(hub.Video, hubtest.AVCConfig())
	e.sound()    // no configuration yet: dropped
	e.inter(100) // no keyframe yet: dropped
	e.serial = 10
	e.key(100)
	e.inter(100)
	if err := v.poll(); err != nil {
		t.Fatal(err)
	}
	if v.judge.Frames != 2 || v.judge.Last != 12 || v.parser.Flags != 1 {
		t.Errorf("%d frames up to %d, flags %d", v.judge.Frames, v.judge.Last, v.parser.Flags)
	}
}

func TestConfigurationChanges(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{})
	watching, waiting := watch(t, e.stream), watch(t, e.stream)
	e.key(100)
	e.inter(100)
	_ = watching.poll()
	e.write(hub.Video, hubtest.AVCConfig()) // says nothing new
	e.write(hub.Video, hubtest.SmallAVCConfig())
	e.write(hub.Audio, hubtest.MonoConfig())
	_ = waiting.poll()
	if len(waiting.tags) != 0 {
		t.Errorf("a newcomer was given a picture of the former configuration: %d tags", len(waiting.tags))
	}
	if e.stream.Snapshot() != nil {
		t.Error("the snapshot joins the new configuration to the former picture")
	}
	e.key(100)
	_, _ = watching.poll(), waiting.poll()
	changes := 0
	for _, tag := range watching.tags {
		if bytes.Equal(tag.Payload, hubtest.SmallAVCConfig()) || bytes.Equal(tag.Payload, hubtest.MonoConfig()) {
			changes++
		}
	}
	if changes != 2 {
		t.Errorf("who was watching got %d of 2 new configurations", changes)
	}
	if got := waiting.tags; len(got) != 4 || !bytes.Equal(got[1].Payload, hubtest.SmallAVCConfig()) || got[3].Serial() != 3 {
		t.Errorf("a newcomer got %d tags: %+v", len(got), got)
	}
}

func TestSnapshotIsOnePicture(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{Merge: time.Hour})
	if e.stream.Snapshot() != nil {
		t.Error("there is a snapshot before the first picture")
	}
	e.key(3000)
	e.inter(500)
	e.sound()
	tags, err := hubtest.File(e.stream.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(tags) != 3 || !tags[1].IsConfig() || !tags[2].IsKey() || tags[2].Serial() != 1 || len(tags[2].Payload) != 3000 {
		t.Errorf("the snapshot has %d tags", len(tags))
	}
}

// TestWebSocketFrames decodes the header with a library at the sizes where its form changes.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	e := encodeTo(t, hub.New(hub.Config{}).Open("room"))
	e.write(hub.Audio, hubtest.AACConfig())
	r := e.stream.NewReader()
	joined := false
	for _, size := range []int{26, 124, 125, 126, 127, 65534, 65535, 65536, 65537, 1 << 20} {
		e.serial++
		e.write(hub.Audio, hubtest.Sound(e.serial, size-15)) // with the tag's own 15 bytes
		blocks, err := r.Poll(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !joined {
			joined, blocks = true, blocks[1:]
		}
		if len(blocks) != 1 || len(blocks[0].FLV()) != size {
			t.Fatalf("%d blocks, want one of %d bytes", len(blocks), size)
		}
		src := bytes.NewReader(blocks[0].WebSocket())
		header, err := ws.ReadHeader(src)
		if err != nil {
			t.Fatal(err)
		}
		if want := (ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(size)}); header != want {
			t.Errorf("size %d: header %+v, want %+v", size, header, want)
		}
		if want := ws.HeaderSize(header) + size; len(blocks[0].WebSocket()) != want {
			t.Errorf("size %d: the frame has %d bytes, want %d", size, len(blocks[0].WebSocket()), want)
		}
		if rest := blocks[0].WebSocket()[len(blocks[0].WebSocket())-size:]; !bytes.Equal(rest, blocks[0].FLV()) {
			t.Errorf("size %d: the frame does not carry the tags", size)
		}
	}
}

func TestTapsGetEveryFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := encode(t, hub.Config{Merge: 350 * time.Millisecond})
		e.key(100)
		var got []hub.Frame
		e.stream.Tap(func(frames []hub.Frame) {
			if len(frames) == 0 {
				t.Error("a tap was called for nothing")
			}
			got = append(got, frames...)
		})
		if len(got) != 2 || !got[0].Config || !got[1].Config {
			t.Fatalf("a tap starts with %+v", got)
		}
		e.inter(100)
		e.gop(24, 100)
		e.write(hub.Video, hubtest.SmallAVCConfig())
		e.key(100)
		e.Close()
		serial := uint64(2)
		for _, f := range got[2:] {
			tag := hubtest.Tag{Kind: f.Kind, Payload: f.Payload}
			if f.Config {
				continue
			}
			if tag.Serial() != serial || f.Key != tag.IsKey() {
				t.Fatalf("frame %d (key %v) where %d belongs", tag.Serial(), f.Key, serial)
			}
			serial++
		}
		if serial != e.serial+1 {
			t.Errorf("a tap got frames up to %d of %d", serial-1, e.serial)
		}
	})
}

func TestConcurrentReaders(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{})
	const frames = 500
	var readers sync.WaitGroup
	read := func(done <-chan struct{}, v *viewer) {
		for {
			blocks, err := v.reader.Next(done, nil)
			v.take(blocks)
			if len(blocks) == 0 {
				if !errors.Is(err, hub.ErrClosed) {
					t.Errorf("a reader ended with %v", err)
				}
				return
			}
		}
	}
	for i := range 32 {
		v := watch(t, e.stream)
		readers.Go(func() {
			read(nil, v)
			if i < 16 && v.judge.Last != frames {
				t.Errorf("reader %d got frames up to %d of %d", i, v.judge.Last, frames)
			}
		})
	}
	var stats sync.WaitGroup
	stop := make(chan struct{})
	stats.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = e.stream.Stats()
				if _, err := hubtest.File(e.stream.Snapshot()); err != nil {
					t.Errorf("snapshot: %v", err)
				}
			}
		}
	})
	for i := range frames {
		if i%25 == 0 {
			e.key(100)
		} else {
			e.inter(100)
		}
		if i%50 == 10 {
			v := watch(t, e.stream)
			readers.Go(func() { read(nil, v) })
		}
	}
	close(stop)
	stats.Wait()
	// Readers end after the last frame, and no frame is lost by the end.
	e.hub.Detach("room").Close()
	readers.Wait()
}
