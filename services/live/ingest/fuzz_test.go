package ingest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/lalset"
)

// tape is a connection that plays given bytes.
type tape struct{ r *bytes.Reader }

func (c tape) Read(p []byte) (int, error)     { return c.r.Read(p) }
func (c tape) Write(p []byte) (int, error)    { return len(p), nil }
func (tape) Close() error                     { return nil }
func (tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (tape) SetDeadline(time.Time) error      { return nil }
func (tape) SetReadDeadline(time.Time) error  { return nil }
func (tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzGuard feeds arbitrary bytes after a handshake through the guard into lal's session, as a real connection would.
// Neither may panic, and what the guard holds back stays bounded.
func FuzzGuard(f *testing.F) {
	lalset.Apply()
	connect := []byte{3, 0, 0, 0, 0, 0, 40, 20, 0, 0, 0, 0}
	var body bytes.Buffer
	_ = rtmp.Amf0.WriteString(&body, "connect")
	_ = rtmp.Amf0.WriteNumber(&body, 1)
	_ = rtmp.Amf0.WriteObject(&body, rtmp.ObjectPairArray{{Key: "app", Value: "live"}})
	connect[6] = byte(body.Len())
	connect = append(connect, body.Bytes()...)
	body.Reset()
	_ = rtmp.Amf0.WriteString(&body, "publish")
	_ = rtmp.Amf0.WriteNumber(&body, 2)
	_ = rtmp.Amf0.WriteNull(&body)
	_ = rtmp.Amf0.WriteString(&body, "good")
	publish := append([]byte{3, 0, 0, 0, 0, 0, byte(body.Len()), 20, 1, 0, 0, 0}, body.Bytes()...)
	video := []byte{6, 0, 0, 0, 0, 0, 6, 9, 1, 0, 0, 0, 0x17, 1, 0, 0, 0, 0}
	f.Add(connect)
	f.Add(append(bytes.Clone(connect), publish...))
	f.Add(append(append(bytes.Clone(connect), publish...), video...))
	f.Add([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0})
	f.Add([]byte{3, 0xff, 0xff, 0xff, 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0})
	f.Add([]byte{0xc3, 0x43, 0x83})
	f.Fuzz(func(t *testing.T, data []byte) {
		input := append([]byte{3}, make([]byte, 2*handshakeSize)...)
		g := newGuard(tape{bytes.NewReader(append(input, data...))}, Config{}.withDefaults())
		g.authorize = func(_, name string) error {
			if name != "good" {
				return errors.New("no")
			}
			return nil
		}
		s := &session{guard: g}
		s.publication = discard{}
		lal := rtmp.NewServerSession(s, g)
		err := lal.RunLoop()
		if err == nil {
			t.Fatal("the session ended without a reason")
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrProtocol) && g.written > maxHeld+2*readSize {
			t.Fatalf("the guard holds %d bytes", g.written)
		}
	})
}

// FuzzAMF0 checks that what the guard accepts, lal can read.
func FuzzAMF0(f *testing.F) {
	f.Add([]byte{2, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 9})
	f.Add([]byte{2, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 1, 5})
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseCommand(data)
		_ = checkData(data)
	})
}

// discard takes frames and forgets them.
type discard struct{}

func (discard) Write(hub.Kind, uint32, []byte) error { return nil }
func (discard) Close(error)                          {}
