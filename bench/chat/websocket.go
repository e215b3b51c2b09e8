package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10

	maxFrame  = 8 << 20
	readAhead = 16 << 10
)

// socket is a WebSocket connection of either side with the least work a frame: one read call where the frame has come
// whole, one write call, and a mask of zeros where the protocol wants one.
type socket struct {
	conn   net.Conn
	masked bool // what this side writes
	in     []byte
	start  int // of what was read and not taken, in in
	end    int

	mu  sync.Mutex // guards writes and out
	out []byte
}

// dialSocket opens a client's connection.
func dialSocket(ctx context.Context, address, path, subprotocol string) (*socket, error) {
	dialer := ws.Dialer{Timeout: 30 * time.Second}
	if subprotocol != "" {
		dialer.Protocols = []string{subprotocol}
	}
	conn, br, handshake, err := dialer.Dial(ctx, "ws://"+address+path)
	if err != nil {
		return nil, fmt.Errorf("dial WebSocket %s: %w", path, err)
	}
	if handshake.Protocol != subprotocol {
		_ = conn.Close()
		return nil, fmt.Errorf("dial WebSocket %s: got subprotocol %q, want %q", path, handshake.Protocol, subprotocol)
	}
	s := &socket{conn: conn, masked: true}
	if br != nil {
		early, _ := br.Peek(br.Buffered())
		s.in, s.end = bytes.Clone(early), len(early)
	}
	return s, nil
}

// acceptSocket answers a client's handshake.
func acceptSocket(w http.ResponseWriter, r *http.Request) (*socket, error) {
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	s.in, s.end = bytes.Clone(early), len(early)
	return s, nil
}

// close leaves: a client says so, so that the server need not keep its session for the case that it comes back.
func (s *socket) close() {
	if s.masked {
		_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_ = s.send(opClose, []byte{1000 >> 8, 1000 & 0xff})
	}
	_ = s.conn.Close()
}

// next returns the payload of the next binary frame, which holds until the next call. It answers pings.
func (s *socket) next() ([]byte, error) {
	for {
		op, payload, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opBinary:
			return payload, nil
		case opPing:
			if err := s.send(opPong, payload); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			if len(payload) >= 2 {
				return nil, fmt.Errorf("closed with %d %s", binary.BigEndian.Uint16(payload), payload[2:])
			}
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("got a WebSocket frame of kind %d", op)
		}
	}
}

func (s *socket) frame() (op byte, payload []byte, err error) {
	if err := s.fill(2); err != nil {
		return 0, nil, err
	}
	head := s.in[s.start:]
	if head[0]&0xf0 != 0x80 {
		return 0, nil, errors.New("got a WebSocket frame in parts or with an extension")
	}
	op = head[0] & 0x0f
	masked, size, header := head[1]&0x80 != 0, int(head[1]&0x7f), 2
	switch size {
	case 126:
		header = 4
	case 127:
		header = 10
	}
	if masked {
		header += 4
	}
	if err := s.fill(header); err != nil {
		return 0, nil, err
	}
	head = s.in[s.start:]
	switch size {
	case 126:
		size = int(binary.BigEndian.Uint16(head[2:]))
	case 127:
		size = int(min(binary.BigEndian.Uint64(head[2:]), maxFrame+1))
	}
	if size > maxFrame {
		return 0, nil, errors.New("got a WebSocket frame that is too large")
	}
	if err := s.fill(header + size); err != nil {
		return 0, nil, err
	}
	whole := s.in[s.start : s.start+header+size]
	s.start += len(whole)
	payload = whole[header:]
	if masked {
		if mask := [4]byte(whole[header-4 : header]); mask != [4]byte{} {
			ws.Cipher(payload, mask, 0)
		}
	}
	return op, payload, nil
}

// fill reads until n bytes are at hand.
func (s *socket) fill(n int) error {
	for s.end-s.start < n {
		if s.start == s.end {
			s.start, s.end = 0, 0
		}
		if s.start+n > len(s.in) {
			if n > len(s.in) {
				grown := make([]byte, max(n+n/2, 512))
				s.end = copy(grown, s.in[s.start:s.end])
				s.in = grown
			} else {
				s.end = copy(s.in, s.in[s.start:s.end])
			}
			s.start = 0
		}
		got, err := s.conn.Read(s.in[s.end:])
		s.end += got
		if s.end == len(s.in) && len(s.in) < readAhead { // more is likely waiting: fewer read calls from now on
			s.in = append(s.in, make([]byte, len(s.in))...)
		}
		if err != nil && s.end-s.start < n {
			return err
		}
	}
	return nil
}

// write sends a binary frame by one write call.
func (s *socket) write(payload []byte) error { return s.send(opBinary, payload) }

func (s *socket) send(op byte, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = append(appendHeader(s.out[:0], op, len(payload), s.masked), payload...)
	_, err := s.conn.Write(s.out)
	return err
}

// appendHeader appends a frame's header; the mask is zeros, which leave the payload as it is.
func appendHeader(b []byte, op byte, size int, masked bool) []byte {
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	switch {
	case size < 126:
		b = append(b, 0x80|op, bit|byte(size))
	case size < 1<<16:
		b = append(b, 0x80|op, bit|126, byte(size>>8), byte(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|op, bit|127), uint64(size))
	}
	if masked {
		b = append(b, 0, 0, 0, 0)
	}
	return b
}
