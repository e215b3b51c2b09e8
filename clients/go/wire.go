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
	"time"
)

// writeTimeout is how long one write may take before the connection counts as dead.
const writeTimeout = 10 * time.Second

// wire moves frames over one socket. One goroutine reads and one writes.
type wire interface {
	// read returns the bytes of the next frame, at most limit of them.
	read(limit int) ([]byte, error)
	// append adds a frame to buf in the wire's form; it may change the frame's bytes.
	append(buf, frame []byte) []byte
	// write sends what append made.
	write(buf []byte) error
	// idle bounds the time until the next byte is read.
	idle(limit time.Duration) error
	// close ends read and write.
	close()
}

// dialWire opens a socket to the edge.
func dialWire(ctx context.Context, at *url.URL, config *tls.Config) (wire, error) {
	switch at.Scheme {
	case "ws", "wss":
		return dialWebSocket(ctx, at, config)
	case "tls":
		return dialTCP(ctx, at, (&tls.Dialer{Config: config}).DialContext)
	default:
		return dialTCP(ctx, at, (&net.Dialer{}).DialContext)
	}
}

// tcpPreface tells an edge what is spoken: the last byte is the version.
var tcpPreface = []byte("STOA\x01")

// tcpWire is delimited frames on a stream.
type tcpWire struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialTCP(
	ctx context.Context, at *url.URL, dial func(ctx context.Context, network, address string) (net.Conn, error),
) (wire, error) {
	conn, err := dial(ctx, "tcp", at.Host)
	if err != nil {
		return nil, err
	}
	w := &tcpWire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}
	if err := w.write(tcpPreface); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *tcpWire) read(limit int) ([]byte, error) {
	size, err := readLength(w.in)
	if err != nil {
		return nil, err
	}
	if size > uint64(limit) { //nolint:gosec // limits are positive
		return nil, fmt.Errorf("a frame has %d bytes, the limit is %d", size, limit)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(w.in, frame); err != nil {
		return nil, err
	}
	return frame, nil
}

// readLength reads a base-128 varint of at most five bytes.
func readLength(in io.ByteReader) (uint64, error) {
	var size uint64
	for shift := 0; shift < 35; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		size |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return size, nil
		}
	}
	return 0, errors.New("the length of a frame has more than five bytes")
}

func (w *tcpWire) append(buf, frame []byte) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(frame))), frame...)
}

func (w *tcpWire) write(buf []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(buf)
	return err
}

func (w *tcpWire) idle(limit time.Duration) error {
	return w.conn.SetReadDeadline(time.Now().Add(limit))
}

func (w *tcpWire) close() { _ = w.conn.Close() }
