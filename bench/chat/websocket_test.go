package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gobwas/ws"
)

// readFrom is a socket of what a peer wrote.
type readFrom struct {
	net.Conn
	io.Reader
}

func (r readFrom) Read(p []byte) (int, error)  { return r.Reader.Read(p) }
func (r readFrom) Write(p []byte) (int, error) { return len(p), nil }

func TestSocketReadsWhatAnotherLibraryWrites(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 511, 512, 1000, 1<<16 - 1, 1 << 16, 1 << 20, 3}
	for _, masked := range []bool{false, true} {
		var wire bytes.Buffer
		for i, size := range sizes {
			payload := bytes.Repeat([]byte{byte(i + 1)}, size)
			for _, frame := range []ws.Frame{ws.NewPingFrame([]byte("?")), ws.NewBinaryFrame(payload)} {
				if masked {
					frame = ws.MaskFrame(frame)
				}
				if err := ws.WriteFrame(&wire, frame); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
			"data with error": iotest.DataErrReader,
		} {
			s := &socket{conn: readFrom{Reader: reader(bytes.NewReader(wire.Bytes()))}}
			for i, size := range sizes {
				got, err := s.next()
				if err != nil {
					t.Fatalf("%s, masked %v, %d bytes: %v", name, masked, size, err)
				}
				if !bytes.Equal(got, bytes.Repeat([]byte{byte(i + 1)}, size)) {
					t.Errorf("%s, masked %v: %d bytes came as %d others", name, masked, size, len(got))
				}
			}
			if _, err := s.next(); err != io.EOF {
				t.Errorf("%s, masked %v: after the last frame: %v", name, masked, err)
			}
		}
	}
}

func TestSocketWritesWhatAnotherLibraryReads(t *testing.T) {
	for _, masked := range []bool{false, true} {
		for _, size := range []int{0, 125, 126, 1<<16 - 1, 1 << 16} {
			payload := bytes.Repeat([]byte("x"), size)
			wire := bytes.NewReader(append(appendHeader(nil, opBinary, size, masked), payload...))
			header, err := ws.ReadHeader(wire)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(wire)
			if err != nil {
				t.Fatal(err)
			}
			if header.Masked {
				ws.Cipher(got, header.Mask, 0)
			}
			want := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: masked, Length: int64(size)}
			if header != want || !bytes.Equal(got, payload) {
				t.Errorf("masked %v: %d bytes came as %d under %+v", masked, size, len(got), header)
			}
		}
	}
}

func TestSocketRefusesWhatItDoesNotCount(t *testing.T) {
	for name, wire := range map[string][]byte{
		"part of a message": {opBinary, 0}, "compressed": {0xc0 | opBinary, 0}, "text": {0x81, 0},
		"too large": {0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0},
	} {
		s := &socket{conn: readFrom{Reader: bytes.NewReader(wire)}}
		if _, err := s.next(); err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
	closing := ws.NewCloseFrame(ws.NewCloseFrameBody(3012, "no pong"))
	s := &socket{conn: readFrom{Reader: bytes.NewReader(ws.MustCompileFrame(closing))}}
	if _, err := s.next(); err == nil || !strings.Contains(err.Error(), "3012 no pong") {
		t.Errorf("close: %v", err)
	}
}
