package stoa

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// subprotocol is what an edge speaks on a WebSocket.
const subprotocol = "stoa.edge.v1"

// farewell is how long the close frame of a WebSocket may take.
const farewell = 100 * time.Millisecond

// webSocket is a frame a binary message.
type webSocket struct {
	conn net.Conn
	in   *bufio.Reader

	writing sync.Mutex // the reader answers pings
	once    sync.Once
}

func dialWebSocket(ctx context.Context, at *url.URL, config *tls.Config) (wire, error) {
	dialer := ws.Dialer{Protocols: []string{subprotocol}, TLSConfig: config}
	conn, in, hands, err := dialer.Dial(ctx, at.String())
	if err != nil {
		return nil, err
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 16<<10)
	}
	w := &webSocket{conn: conn, in: in}
	if hands.Protocol != subprotocol {
		w.close()
		return nil, fmt.Errorf("the server does not speak %s", subprotocol)
	}
	return w, nil
}

// read puts a message together from its pieces and answers what comes between them.
func (w *webSocket) read(limit int) ([]byte, error) {
	var message []byte
	for wanted := ws.OpBinary; ; wanted = ws.OpContinuation {
		header, err := w.header()
		if err != nil {
			return nil, err
		}
		if header.OpCode != wanted {
			return nil, fmt.Errorf("the server sent a WebSocket frame of the kind %#x in place of %#x", header.OpCode, wanted)
		}
		if header.Length > int64(limit-len(message)) {
			return nil, fmt.Errorf("a frame has %d bytes, the limit is %d", int64(len(message))+header.Length, limit)
		}
		at := len(message)
		message = append(message, make([]byte, header.Length)...)
		if _, err := io.ReadFull(w.in, message[at:]); err != nil {
			return nil, err
		}
		if header.Fin {
			return message, nil
		}
	}
}

// header reads the header of the next frame that carries a message, and sees to the others before it.
func (w *webSocket) header() (ws.Header, error) {
	for {
		header, err := ws.ReadHeader(w.in)
		if err != nil {
			return header, err
		}
		if header.Masked || header.Rsv != 0 {
			return header, errors.New("the server sent a WebSocket frame that no server may send")
		}
		if !header.OpCode.IsControl() {
			return header, nil
		}
		if err := w.control(header); err != nil {
			return header, err
		}
	}
}

func (w *webSocket) control(header ws.Header) error {
	if header.Length > ws.MaxControlFramePayloadSize || !header.Fin {
		return errors.New("the server sent a control frame that is too large")
	}
	payload := make([]byte, header.Length)
	if _, err := io.ReadFull(w.in, payload); err != nil {
		return err
	}
	switch header.OpCode {
	case ws.OpPing:
		_ = w.write(appendMasked(nil, ws.OpPong, payload)) // what the server said last may still lie there to be read
		return nil
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		return fmt.Errorf("the server closed the WebSocket: %d %q: %w", code, reason, io.EOF)
	default:
		return nil
	}
}

func (w *webSocket) append(buf, frame []byte) []byte { return appendMasked(buf, ws.OpBinary, frame) }

// appendMasked adds a whole frame of a client, which masks its payload, in place.
func appendMasked(buf []byte, op ws.OpCode, payload []byte) []byte {
	const fin, masked = 0x80, 0x80
	buf = append(buf, fin|byte(op))
	switch n := len(payload); {
	case n < 126:
		buf = append(buf, masked|byte(n))
	case n <= 0xffff:
		buf = binary.BigEndian.AppendUint16(append(buf, masked|126), uint16(n)) //nolint:gosec // just compared
	default:
		buf = binary.BigEndian.AppendUint64(append(buf, masked|127), uint64(n)) //nolint:gosec // a length
	}
	mask := ws.NewMask()
	ws.Cipher(payload, mask, 0)
	return append(append(buf, mask[:]...), payload...)
}

func (w *webSocket) write(buf []byte) error { return w.writeWithin(buf, writeTimeout) }

func (w *webSocket) writeWithin(buf []byte, limit time.Duration) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := w.conn.Write(buf)
	return err
}

func (w *webSocket) idle(limit time.Duration) error {
	return w.conn.SetReadDeadline(time.Now().Add(limit))
}

// close says goodbye where nobody is in the middle of a write.
func (w *webSocket) close() {
	w.once.Do(func() {
		if w.writing.TryLock() {
			_ = w.conn.SetWriteDeadline(time.Now().Add(farewell))
			_, _ = w.conn.Write(appendMasked(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
			w.writing.Unlock()
		}
		_ = w.conn.Close()
	})
}
