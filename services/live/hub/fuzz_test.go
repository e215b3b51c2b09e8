package hub_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// record is how the fuzzer's bytes name one payload: kind, timestamp, length, bytes.
func record(kind hub.Kind, timestamp uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{byte(kind)}, timestamp)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

// FuzzPublication publishes arbitrary payloads. Nothing may panic, every error is one of the documented, and what comes
// out is FLV whose times rise on each track.
func FuzzPublication(f *testing.F) {
	config := append(record(hub.Video, 0, hubtest.AVCConfig()), record(hub.Audio, 0, hubtest.AACConfig())...)
	join := func(parts ...[]byte) []byte {
		var b []byte
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	key, inter, sound := hubtest.Key(1, 40), hubtest.Inter(2, 30), hubtest.Sound(3, 20)
	f.Add([]byte{})
	f.Add(join(config, record(hub.Video, 0, key), record(hub.Video, 40, inter), record(hub.Audio, 50, sound)))
	f.Add(join(config, record(hub.Video, 0xfffffff0, key), record(hub.Video, 10, inter), record(hub.Video, 1<<31, inter)))
	f.Add(join(config, record(hub.Video, 0, key), record(hub.Video, 40, hubtest.SmallAVCConfig()), record(hub.Video, 80, key)))
	f.Add(join(record(hub.Audio, 0, hubtest.MonoConfig()), record(hub.Audio, 0, sound), config, record(hub.Video, 9, key)))
	f.Add(join(config, record(0, 0, nil), record(hub.Video, 0, key), record(hub.Video, 7, []byte{0x17})))
	f.Add(record(hub.Video, 0, []byte("\x90hvc1\x01")))
	f.Add(record(hub.Audio, 0, []byte{0xaf, 0, 0xff, 0xff}))
	f.Fuzz(func(t *testing.T, input []byte) {
		h := hub.New(hub.Config{MaxGOPBytes: 4096})
		s := h.Open("room")
		s.Tap(func([]hub.Frame) {})
		always, late := s.NewReader(), (*hub.Reader)(nil)
		p, err := s.Publish()
		if err != nil {
			t.Fatal(err)
		}
		var out, lateOut []byte
		for len(input) >= 7 {
			kind, timestamp := hub.Kind(input[0]), binary.BigEndian.Uint32(input[1:])
			size := min(int(binary.BigEndian.Uint16(input[5:])), len(input)-7)
			payload := input[7 : 7+size]
			input = input[7+size:]
			if kind == 0 { // the encoder comes back
				p.Close()
				if p, err = s.Publish(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			err := p.Write(kind, timestamp, payload)
			if err != nil && !errors.Is(err, hub.ErrCodec) && !errors.Is(err, hub.ErrMalformed) {
				t.Fatal(err)
			}
			out = drain(t, always, out)
			if late == nil && len(out) > 500 {
				late = s.NewReader()
			}
			_ = s.Stats()
			if _, err := hubtest.File(s.Snapshot()); err != nil {
				t.Fatal(err)
			}
		}
		h.Close()
		out = drain(t, always, out)
		if late != nil {
			lateOut = drain(t, late, lateOut)
		}
		for _, flv := range [][]byte{out, lateOut} {
			tags, err := hubtest.File(flv)
			if err != nil {
				t.Fatal(err)
			}
			last := map[hub.Kind]uint32{}
			for _, tag := range tags {
				if tag.At < last[tag.Kind] {
					t.Fatalf("kind %d falls from %d to %d", tag.Kind, last[tag.Kind], tag.At)
				}
				last[tag.Kind] = tag.At
			}
		}
	})
}

func drain(t *testing.T, r *hub.Reader, out []byte) []byte {
	for {
		blocks, err := r.Poll(nil)
		if err != nil && !errors.Is(err, hub.ErrClosed) {
			t.Fatal(err)
		}
		if len(blocks) == 0 {
			return out
		}
		for _, b := range blocks {
			out = append(out, b.FLV()...)
		}
	}
}
