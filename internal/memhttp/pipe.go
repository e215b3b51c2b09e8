package memhttp

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is what one direction of a connection holds before its writer waits, in bytes. net.Pipe holds nothing, so
// that each HTTP/2 frame would cost two switches of goroutines.
const pipeSize = 64 << 10

// newPipe returns the two ends of a connection in memory.
func newPipe() (net.Conn, net.Conn) {
	up, down := newHalf(), newHalf()
	return &end{in: down, out: up}, &end{in: up, out: down}
}

// end is one end of a connection. It implements net.Conn.
type end struct {
	in, out *half
}

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }

// Close ends both directions: the peer reads what is buffered and then io.EOF, as after a close of a socket.
func (e *end) Close() error {
	e.in.close(true)
	e.out.close(false)
	return nil
}

func (e *end) LocalAddr() net.Addr  { return addr{} }
func (e *end) RemoteAddr() net.Addr { return addr{} }

func (e *end) SetDeadline(t time.Time) error {
	e.in.reading.set(t)
	e.out.writing.set(t)
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.reading.set(t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.writing.set(t)
	return nil
}

// half is one direction: a bounded ring of bytes between a writer and a reader.
type half struct {
	mu         sync.Mutex
	changed    *sync.Cond
	ring       []byte
	start, len int
	eof        bool // the writer closed
	gone       bool // the reader closed
	reading    deadline
	writing    deadline
}

func newHalf() *half {
	h := &half{}
	h.changed = sync.NewCond(&h.mu)
	h.reading.half, h.writing.half = h, h
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.gone:
			return 0, net.ErrClosed
		case h.reading.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case h.len > 0:
			n := copy(p, h.ring[h.start:min(h.start+h.len, len(h.ring))])
			if n < len(p) && n < h.len {
				n += copy(p[n:], h.ring[:h.len-n])
			}
			h.start = (h.start + n) % len(h.ring)
			if h.len -= n; h.len == 0 {
				h.start = 0
			}
			h.changed.Broadcast()
			return n, nil
		case h.eof:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.eof:
			return written, net.ErrClosed
		case h.gone:
			return written, io.ErrClosedPipe
		case h.writing.passed:
			return written, os.ErrDeadlineExceeded
		case len(p) == 0:
			return written, nil
		case h.len < pipeSize:
			if h.ring == nil {
				h.ring = make([]byte, pipeSize)
			}
			at := (h.start + h.len) % len(h.ring)
			n := copy(h.ring[at:min(at+len(h.ring)-h.len, len(h.ring))], p)
			h.len += n
			p, written = p[n:], written+n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

func (h *half) close(reader bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reader {
		h.gone = true
		h.reading.stop()
		h.ring, h.start, h.len = nil, 0, 0
	} else {
		h.eof = true
		h.writing.stop()
	}
	h.changed.Broadcast()
}

// deadline wakes its half when its time has come. Its fields are guarded by the half's lock.
type deadline struct {
	half   *half
	timer  *time.Timer
	epoch  int // tells a timer that fired too late that it was replaced
	passed bool
}

func (d *deadline) set(t time.Time) {
	h := d.half
	h.mu.Lock()
	defer h.mu.Unlock()
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		h.changed.Broadcast()
		return
	}
	epoch := d.epoch
	d.timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.epoch == epoch {
			d.passed = true
			h.changed.Broadcast()
		}
	})
}

// stop is called with the half's lock held.
func (d *deadline) stop() {
	d.epoch++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
