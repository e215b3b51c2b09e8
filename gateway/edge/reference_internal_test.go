package edge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// outcome is what a server makes of a client's bytes: messages and answers of the transport, in their order, and whether it
// goes on.
type outcome struct {
	messages, answers [][]byte
	over              bool
	early             bool // it is over by the head of a frame whose end has not come; that may be said later
}

func (o outcome) String() string {
	return fmt.Sprintf("messages %x, answers %x, over %v", o.messages, o.answers, o.over)
}

// cut is what a framer makes of bytes that come in pieces; after the last of sizes, all that is left comes at once.
func cut(f framer, b []byte, sizes []byte) (o outcome) {
	var rest []byte
	for len(b) > 0 {
		n := len(b)
		if len(sizes) > 0 {
			n, sizes = min(int(sizes[0])+1, n), sizes[1:]
		}
		rest = append(rest, b[:n]...)
		b = b[n:]
		for {
			message, took, answer, err := f.next(rest)
			if len(answer) > 0 {
				o.answers = append(o.answers, answer)
			}
			if err != nil {
				o.over = true
				return o
			}
			if took == 0 {
				break
			}
			if message != nil {
				o.messages = append(o.messages, message)
			}
			rest = rest[took:]
		}
	}
	return o
}

// reference reads the same bytes by the library's own reader and rules of the protocol, one frame after the other. Besides
// those, messages are binary and no larger than fuzzMax.
func reference(b []byte) (o outcome) {
	r := bytes.NewReader(b)
	state := ws.StateServerSide
	var partly []byte
	for {
		at := int64(len(b) - r.Len())
		h, err := ws.ReadHeader(r)
		if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // it returns them bare
			return o
		}
		if err != nil || ws.CheckHeader(h, state) != nil || !h.Masked || h.OpCode == ws.OpText ||
			h.Length > fuzzMax || int64(len(partly))+h.Length > fuzzMax {
			o.over, o.early = true, err == nil && int64(r.Len()) < h.Length
			return o
		}
		_, _ = r.Seek(at, io.SeekStart) // within b
		//lint:ignore SA1019 its length is known to be small
		f, err := ws.ReadFrame(r)
		if err != nil {
			return o // its end has not come
		}
		f = ws.UnmaskFrame(f)
		switch h.OpCode {
		case ws.OpPing:
			o.answers = append(o.answers, ws.MustCompileFrame(ws.NewPongFrame(f.Payload)))
		case ws.OpPong:
		case ws.OpClose:
			o.answers = append(o.answers, ws.MustCompileFrame(ws.NewCloseFrame(nil)))
			o.over = true
			return o
		default:
			partly = append(partly, f.Payload...)
			if state = state.Set(ws.StateFragmented); h.Fin {
				state = state.Clear(ws.StateFragmented)
				o.messages = append(o.messages, append([]byte{}, partly...))
				partly = nil
			}
		}
	}
}

func agree(t interface{ Fatalf(string, ...any) }, b, sizes []byte) {
	got, want := cut(allowed(&wsFramer{}), b, sizes), reference(b)
	if want.early {
		got.over = true
	}
	if got.String() != want.String() {
		t.Fatalf("of %x, cut at %v:\n%v, want\n%v", b, sizes, got, want)
	}
}

// FuzzWebSocketReference holds what the edge makes of any bytes, however they are cut, to what the library's reader makes of
// them: the same messages, the same pongs, and the same end.
func FuzzWebSocketReference(f *testing.F) {
	masked := func(frames ...ws.Frame) (all []byte) {
		for _, frame := range frames {
			all = append(all, ws.MustCompileFrame(ws.MaskFrameWith(frame, [4]byte{1, 2, 3, 4}))...)
		}
		return all
	}
	part := func(op ws.OpCode, fin bool, text string) ws.Frame { return ws.NewFrame(op, fin, []byte(text)) }
	for _, b := range [][]byte{
		masked(ws.NewBinaryFrame([]byte("hello")), ws.NewBinaryFrame(nil)),
		masked(part(ws.OpBinary, false, "he"), ws.NewPingFrame([]byte("?")), part(ws.OpContinuation, false, ""), part(ws.OpContinuation, true, "llo")),
		masked(ws.NewPingFrame(nil), ws.NewPongFrame([]byte("late")), ws.NewPingFrame(bytes.Repeat([]byte{7}, 125))),
		masked(ws.NewBinaryFrame([]byte("last")), ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")), ws.NewBinaryFrame([]byte("after"))),
		masked(part(ws.OpBinary, false, "he"), ws.NewBinaryFrame([]byte("within"))),
		masked(part(ws.OpContinuation, true, "llo")),
		masked(part(ws.OpPing, false, "in pieces")),
		masked(ws.NewBinaryFrame(bytes.Repeat([]byte{7}, fuzzMax)), ws.NewBinaryFrame(bytes.Repeat([]byte{7}, fuzzMax+1))),
		masked(part(ws.OpBinary, false, string(make([]byte, fuzzMax))), part(ws.OpContinuation, true, "x")),
		masked(ws.NewTextFrame([]byte("text"))),
		ws.MustCompileFrame(ws.NewBinaryFrame([]byte("not masked"))),
		{0xc2, 0x80, 0, 0, 0, 0},                           // an extension's bit
		{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0},            // a negative length
		append(masked(ws.NewPingFrame([]byte("x"))), 0x82), // half a head
	} {
		for _, sizes := range [][]byte{nil, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {6, 1, 130}} {
			f.Add(b, sizes)
		}
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) { agree(t, b, sizes) })
}

// TestWebSocketReference draws what clients send: whole messages and ones in pieces, with controls between them, of all
// lengths that have a head of their own, and now and then something that is wrong.
func TestWebSocketReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		for range rapid.IntRange(1, 12).Draw(t, "frames") {
			op := rapid.SampledFrom([]ws.OpCode{
				ws.OpBinary, ws.OpBinary, ws.OpContinuation, ws.OpContinuation, ws.OpPing, ws.OpPong, ws.OpClose, ws.OpText, 0x3,
			}).Draw(t, "op")
			size := rapid.SampledFrom([]int{0, 1, 5, 125, 126, 127, 300, fuzzMax, fuzzMax + 1}).Draw(t, "size")
			if op.IsControl() {
				size = min(size, 126)
			}
			payload := make([]byte, size)
			for first, i := rapid.Byte().Draw(t, "payload"), 0; i < size; i++ {
				payload[i] = first + byte(3*i)
			}
			frame := ws.NewFrame(op, rapid.Bool().Draw(t, "fin"), payload)
			if rapid.IntRange(0, 30).Draw(t, "rsv") == 0 {
				frame.Header.Rsv = ws.Rsv(true, false, false)
			}
			if rapid.IntRange(0, 30).Draw(t, "unmasked") > 0 {
				var mask [4]byte
				binary.BigEndian.PutUint32(mask[:], rapid.Uint32().Draw(t, "mask"))
				frame = ws.MaskFrameInPlaceWith(frame, mask)
			}
			b = append(b, ws.MustCompileFrame(frame)...)
		}
		agree(t, b[:rapid.IntRange(0, len(b)).Draw(t, "end")], rapid.SliceOf(rapid.Byte()).Draw(t, "sizes"))
	})
}
