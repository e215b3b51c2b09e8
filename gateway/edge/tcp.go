package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// preface begins a TCP connection: a word, and the version of the protocol.
const preface = "STOA\x01"

// acceptPause is how long accepting rests after an error, such as too many open files.
const acceptPause = 100 * time.Millisecond

// serveTCP accepts connections until the listener is closed.
func (e *Edge) serveTCP(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil && e.stopping.Err() != nil:
			return nil
		case err != nil:
			if temporary(err) {
				e.logger.Warn("connection not accepted", "error", err)
				select {
				case <-time.After(acceptPause):
				case <-e.stopping.Done():
				}
				continue
			}
			return fmt.Errorf("accept connections: %w", err)
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
		}
		k := newConn(e, c, formDelimited, &tcpFramer{}, c.RemoteAddr().String())
		e.accept(k, nil)
	}
}

// temporary reports whether the next connection may be accepted all the same, as net/http does.
func temporary(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	//lint:ignore SA1019 of errors of accept it tells well
	return ok && n.Temporary()
}

// tcpFramer cuts delimited frames out of what a client sends, after the preface.
type tcpFramer struct {
	max   int
	begun bool
}

func (f *tcpFramer) allow(size int) { f.max = size }

// next implements framer.
func (f *tcpFramer) next(b []byte) (payload []byte, n int, control []byte, err error) {
	skip := 0
	if !f.begun {
		have := min(len(b), len(preface))
		if string(b[:have]) != preface[:have] {
			return nil, 0, nil, &badFrameError{"want \"STOA\" and version 1 at the beginning"}
		}
		if have < len(preface) {
			return nil, 0, nil, nil
		}
		f.begun, skip = true, len(preface)
		b = b[skip:]
		if len(b) == 0 {
			return nil, skip, nil, nil
		}
	}
	size, head := binary.Uvarint(b[:min(len(b), binary.MaxVarintLen32)])
	switch {
	case head == 0 && len(b) < binary.MaxVarintLen32:
		return nil, skip, nil, nil
	case head <= 0 || size > uint64(f.max): //nolint:gosec // above 0
		return nil, 0, nil, &badFrameError{"the frame is too large"}
	case uint64(len(b)-head) < size:
		return nil, skip, nil, nil
	}
	payload = append([]byte{}, b[head:head+int(size)]...) //nolint:gosec // at most max
	return payload, skip + head + len(payload), nil, nil
}
