package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// errSlow says that a client did not take what was written in time.
var errSlow = errors.New("the client does not read")

// framer cuts what a client sends into frames. It keeps nothing between two whole frames.
type framer interface {
	// next returns the first whole frame in b and how many bytes it took; none is nil with 0. control is what the transport
	// has to answer with. Errors end the connection.
	next(b []byte) (payload []byte, n int, control []byte, err error)
}

// conn is a connection of a byte stream: WebSocket or TCP. One goroutine reads, with a buffer only while there is something
// to read; whoever has something to say writes.
type conn struct {
	edge   *Edge
	net    net.Conn
	raw    syscall.RawConn // nil where the bytes do not go to a socket as they are
	as     form
	framer framer
	peer   string
	closed atomic.Bool
	bidden atomic.Bool // its last frame was written: what comes is read and forgotten

	session atomic.Pointer[session]

	writing sync.Mutex // of write and control frames
	// Of try alone, which one goroutine calls at a time:
	out []byte
	n   int
	err error
	put func(fd uintptr) bool
}

func newConn(e *Edge, c net.Conn, as form, f framer, peer string) *conn {
	k := &conn{edge: e, net: c, as: as, framer: f, peer: peer}
	if sc, ok := c.(syscall.Conn); ok && rawSockets {
		if raw, err := sc.SyscallConn(); err == nil {
			k.raw = raw
		}
	}
	k.put = func(fd uintptr) bool {
		k.n, k.err = writeFD(fd, k.out)
		return true // never wait for the socket here
	}
	return k
}

func (k *conn) form() form      { return k.as }
func (k *conn) address() string { return k.peer }

func (k *conn) close() {
	if k.closed.CompareAndSwap(false, true) {
		_ = k.net.Close()
	}
}

// bid implements link: the other side reads the last frame and closes, within farewell. Closed at once, a socket with
// bytes that nobody read would tell the peer to forget what was written to it.
func (k *conn) bid() {
	half, ok := k.net.(interface{ CloseWrite() error })
	if !ok || k.closed.Load() || !k.bidden.CompareAndSwap(false, true) {
		k.close()
		return
	}
	_ = half.CloseWrite()
	_ = k.net.SetReadDeadline(time.Now().Add(farewell))
}

// try implements link.
func (k *conn) try(b []byte) (int, error) {
	if k.raw == nil || !k.writing.TryLock() {
		return 0, nil
	}
	defer k.writing.Unlock()
	k.out, k.n, k.err = b, 0, nil
	err := k.raw.Write(k.put)
	k.out = nil
	if err == nil {
		err = k.err
	}
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return max(k.n, 0), err
}

// write implements link.
func (k *conn) write(bufs net.Buffers, timeout time.Duration) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	_ = k.net.SetWriteDeadline(time.Now().Add(timeout)) // a connection without deadlines is a test's
	_, err := bufs.WriteTo(k.net)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.Join(errSlow, err)
	}
	return err
}

// buffers are for reading, 4 KiB each.
var buffers = sync.Pool{New: func() any { b := make([]byte, 4<<10); return &b }}

// read reads until the connection ends, and tells how. What was read before it goes first.
func (k *conn) read(before []byte) error {
	var rest []byte // of a frame that is not whole yet
	take := func(b []byte) error {
		if k.bidden.Load() {
			return nil
		}
		if s := k.session.Load(); s != nil { // whatever comes is a sign of life, pongs too
			s.heard.Store(k.edge.deps.Now().Unix())
		}
		own := len(rest) > 0
		if own {
			rest = append(rest, b...)
			b = rest
		}
		for len(b) > 0 {
			payload, n, control, err := k.framer.next(b)
			if len(control) > 0 {
				if werr := k.write(net.Buffers{control}, farewell); werr != nil {
					return werr
				}
			}
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if payload != nil && !k.bidden.Load() {
				k.handle(payload)
			}
			b = b[n:]
		}
		if len(b) == 0 {
			rest = nil
			return nil
		}
		if rest = b; !own {
			rest = append([]byte(nil), b...) // b lies in a buffer that others use next
		}
		return nil
	}
	if err := take(before); err != nil {
		return err
	}
	if k.raw == nil {
		return k.readPlain(take)
	}
	return k.readRaw(take)
}

// readPlain reads with a buffer of its own.
func (k *conn) readPlain(take func(b []byte) error) error {
	buf := make([]byte, 4<<10)
	for {
		n, err := k.net.Read(buf)
		if n > 0 {
			if err := take(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// readRaw waits without a buffer, which is what an idle connection costs least.
func (k *conn) readRaw(take func(b []byte) error) error {
	var buf *[]byte
	var n int
	var problem error
	taken := make(chan error, 1)
	get := func(fd uintptr) bool {
		b, ok := buffers.Get().(*[]byte)
		if !ok {
			return true
		}
		n, problem = readFD(fd, *b)
		if errors.Is(problem, syscall.EAGAIN) {
			buffers.Put(b)
			return false // wait until there is something
		}
		buf = b
		return true
	}
	for {
		if err := k.raw.Read(get); err != nil {
			return err
		}
		if errors.Is(problem, syscall.EINTR) {
			buffers.Put(buf)
			continue
		}
		if problem != nil || n <= 0 {
			buffers.Put(buf)
			if problem != nil {
				return problem
			}
			return io.EOF
		}
		// By a worker: what frames need of stack is not kept by a connection that waits.
		if !k.edge.hand(func() { taken <- take((*buf)[:n]) }) {
			return net.ErrClosed
		}
		err := <-taken
		buffers.Put(buf)
		if err != nil {
			return err
		}
	}
}

// handle handles one frame: the sign-in, or one of the session.
func (k *conn) handle(payload []byte) {
	if s := k.session.Load(); s != nil {
		s.frame(payload)
		return
	}
	f, bad := parse(payload)
	if bad == nil && f.GetSignIn() == nil {
		bad = goodbyeBadFrame("the first frame must be a sign-in")
	}
	if bad != nil {
		k.farewell(bad)
		return
	}
	s, last := k.edge.signIn(k, f.GetId(), f.GetSignIn())
	if last != nil {
		k.farewell(last)
		return
	}
	k.session.Store(s)
	k.edge.pending.signedIn(k)
}

// farewell is the last frame of a connection without a session.
func (k *conn) farewell(f *frame) {
	_ = k.write(net.Buffers{f.in(k.as, false)}, farewell) // it is closed either way
	k.bid()
}

// turnAway is the whole life of a connection that is not served.
func (k *conn) turnAway(f *frame) {
	defer k.close()
	k.farewell(f)
	k.discard()
}

// discard reads what still comes, as long as bid lets it.
func (k *conn) discard() {
	if k.bidden.Load() {
		_, _ = io.Copy(io.Discard, k.net) // ends by the deadline
	}
}

// serve is a connection's life. The caller has counted it among the pending.
func (k *conn) serve(before []byte) {
	err := k.read(before)
	k.edge.pending.signedIn(k)
	defer k.close()
	s := k.session.Load()
	bad, isBad := errors.AsType[*badFrameError](err)
	switch {
	case k.bidden.Load():
	case s == nil && isBad:
		k.farewell(goodbyeBadFrame(bad.what))
		k.discard()
	case s == nil:
	case errors.Is(err, errFarewell):
		s.end(nil, "left")
	case isBad:
		s.end(goodbyeBadFrame(bad.what), "bad_frame")
		s.wait()
		k.discard()
	default:
		s.cut(k)
	}
}

// badFrameError is what is wrong with a frame's head.
type badFrameError struct{ what string }

func (e *badFrameError) Error() string { return e.what }
