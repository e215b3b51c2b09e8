package edge

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// feed hands bytes to a framer in pieces of a size, and returns what came out.
func feed(f framer, b []byte, piece int) (frames [][]byte, err error) {
	var rest []byte
	for len(b) > 0 {
		n := min(piece, len(b))
		rest = append(rest, b[:n]...)
		b = b[n:]
		for {
			payload, took, _, err := f.next(rest)
			if err != nil {
				return frames, err
			}
			if took == 0 {
				break
			}
			if payload != nil {
				frames = append(frames, payload)
			}
			rest = rest[took:]
		}
	}
	return frames, nil
}

// fuzzFramer holds a framer to two promises: what it makes of bytes does not depend on how they arrive, and no frame is
// larger than allowed.
func fuzzFramer(f *testing.F, make func() framer) {
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		whole, err1 := feed(make(), b, len(b)+1)
		parts, err2 := feed(make(), b, int(piece)+1)
		if (err1 == nil) != (err2 == nil) || len(whole) != len(parts) {
			t.Fatalf("at once %d frames, %v; in pieces %d, %v", len(whole), err1, len(parts), err2)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], parts[i]) || len(whole[i]) > fuzzMax {
				t.Fatalf("frame %d differs or is too large", i)
			}
		}
	})
}

const fuzzMax = 1 << 10

func allowed(f framer) framer {
	f.allow(fuzzMax)
	return f
}

func FuzzTCPFrames(f *testing.F) {
	f.Add([]byte(preface+"\x02\x22\x00"), uint8(0))
	f.Add([]byte(preface+"\xff\xff\xff\xff\xff"), uint8(3))
	f.Add([]byte("GET /"), uint8(1))
	fuzzFramer(f, func() framer { return allowed(&tcpFramer{}) })
}

func FuzzWebSocketFrames(f *testing.F) {
	f.Add(ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame([]byte("hello")))), uint8(0))
	f.Add(ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpBinary, false, []byte("he")))), uint8(2))
	f.Add(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(nil))), uint8(1))
	fuzzFramer(f, func() framer { return allowed(&wsFramer{}) })
}

func FuzzClientFrames(f *testing.F) {
	f.Add([]byte{0x22, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, bad := parse(b, false)
		if (frame == nil) == (bad == nil) {
			t.Fatal("neither a frame nor a goodbye, or both")
		}
	})
}
