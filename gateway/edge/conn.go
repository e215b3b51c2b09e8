package edge

import (
	"context"
	"crypto/tls"
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
	// allow says how large a frame may be from now on, in bytes.
	allow(size int)
}

const (
	// signInBytes is the largest frame before the sign-in is done: a token and where to resume.
	signInBytes = 8 << 10
	// controlsBefore is how many frames of a transport's own (pings, empty pieces) a client may send before it has signed in.
	controlsBefore = 16
)

// conn is a connection of a byte stream: WebSocket or TCP. One goroutine reads, with a buffer only while there is something
// to read; whoever has something to say writes.
type conn struct {
	// What try touches lies together.
	fd      uintptr // of raw; it is this connection's until closing says otherwise
	as      form
	writing sync.Mutex
	closing atomic.Int32 // one of the states below
	bidden  atomic.Bool  // its last frame was written: what comes is read and forgotten

	edge   *Edge
	net    net.Conn
	raw    syscall.RawConn // nil where the bytes do not go to a socket as they are
	framer framer
	peer   string // address and port
	origin string // what it is counted by before it has signed in

	session  atomic.Pointer[session]
	open     atomic.Bool // frames can be written: a TLS handshake, if there is one, is done
	controls int         // frames of the transport's own before the sign-in; of the reading goroutine
}

// The states of closing. While somebody writes to fd it is not closed, or the bytes could go to whoever gets its number next.
const (
	isOpen int32 = iota
	isTrying
	isClosed
)

func newConn(e *Edge, c net.Conn, as form, f framer, peer string) *conn {
	f.allow(min(signInBytes, e.cfg.MaxFrame))
	k := &conn{edge: e, net: c, as: as, framer: f, peer: peer, origin: originOf(peer)}
	_, shakes := c.(*tls.Conn)
	k.open.Store(!shakes)
	if sc, ok := c.(syscall.Conn); ok && rawSockets {
		if raw, err := sc.SyscallConn(); err == nil && raw.Control(func(fd uintptr) { k.fd = fd }) == nil {
			k.raw = raw
		}
	}
	return k
}

func (k *conn) form() form      { return k.as }
func (k *conn) address() string { return k.peer }

func (k *conn) close() {
	if k.closing.Swap(isClosed) == isOpen { // whoever tries closes it
		_ = k.net.Close()
	}
}

// bid implements link: the other side reads the last frame and closes, within farewell. Closed at once, a socket with
// bytes that nobody read would tell the peer to forget what was written to it.
func (k *conn) bid() {
	half, ok := k.net.(interface{ CloseWrite() error })
	if !ok || k.closing.Load() == isClosed || !k.bidden.CompareAndSwap(false, true) {
		k.close()
		return
	}
	if k.raw == nil { // closing waits for whoever writes, who shall not wait for a client that does not read
		_ = k.net.SetWriteDeadline(time.Now())
	}
	_ = half.CloseWrite()
	_ = k.net.SetReadDeadline(time.Now().Add(farewell))
}

// try implements link. It goes around the poller, which takes two locks a write.
func (k *conn) try(b []byte) (int, error) {
	if k.raw == nil || !k.writing.TryLock() {
		return 0, nil
	}
	defer k.writing.Unlock()
	if !k.closing.CompareAndSwap(isOpen, isTrying) {
		return 0, net.ErrClosed
	}
	n, err := writeFD(k.fd, b)
	if !k.closing.CompareAndSwap(isTrying, isOpen) {
		_ = k.net.Close()
		return max(n, 0), net.ErrClosed
	}
	if err == syscall.EAGAIN || err == syscall.EINTR { //nolint:errorlint // these are numbers
		err = nil
	}
	return max(n, 0), err
}

// write implements link.
func (k *conn) write(bufs net.Buffers, timeout time.Duration) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	_ = k.net.SetWriteDeadline(time.Now().Add(timeout)) // a connection without deadlines is a test's
	_, err := bufs.WriteTo(k.net)
	_ = k.net.SetWriteDeadline(time.Time{}) // try, and whoever writes next, must not meet it
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
		if s := k.session.Load(); s != nil { // whatever comes is a sign of life, pongs too
			s.hear(k.edge.deps.Now())
		}
		own := len(rest) > 0
		if own {
			rest = append(rest, b...)
			b = rest
		}
		for len(b) > 0 {
			if k.bidden.Load() {
				rest = nil
				return nil
			}
			payload, n, control, err := k.framer.next(b)
			if len(control) > 0 {
				if werr := k.reply(control); werr != nil {
					return werr
				}
			}
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if payload != nil {
				k.handle(payload)
			} else if err := k.control(); err != nil {
				return err
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

// reply writes a frame of the transport's own, after what is written already.
func (k *conn) reply(control []byte) error {
	if s := k.session.Load(); s != nil {
		s.send(&frame{plain: control, control: true})
		return nil
	}
	return k.write(net.Buffers{control}, farewell)
}

// control counts a frame of the transport's own, which costs as much as any other.
func (k *conn) control() error {
	s := k.session.Load()
	if s == nil {
		if k.controls++; k.controls > controlsBefore {
			return &badFrameError{"want a sign-in"}
		}
		return nil
	}
	if !s.frames.AllowN(k.edge.deps.Now(), 1) {
		s.flood()
	}
	return nil
}

// handle handles one frame: the sign-in, or one of the session.
func (k *conn) handle(payload []byte) {
	if s := k.session.Load(); s != nil {
		s.frame(payload)
		return
	}
	f, bad := parse(payload, true)
	if bad != nil {
		k.farewell(bad)
		return
	}
	s, last := k.edge.signIn(k, f.GetId(), f.GetSignIn())
	if last != nil {
		k.farewell(last)
		return
	}
	k.framer.allow(k.edge.cfg.MaxFrame)
	k.session.Store(s)
	k.edge.pending.signedIn(k)
}

// farewell is the last frame of a connection without a session.
func (k *conn) farewell(f *frame) {
	_ = k.write(net.Buffers{f.in(k.as, false)}, farewell) // it is closed either way
	k.bid()
}

// turnAway is the whole life of a connection that is not served. One that has not even shaken hands is closed: to tell it
// why would cost as much as to serve it.
func (k *conn) turnAway(f *frame) {
	defer k.close()
	if k.open.Load() {
		k.farewell(f)
		k.discard()
	}
}

// late ends a connection that has not signed in in time.
func (k *conn) late() {
	if !k.open.Load() {
		k.close()
		return
	}
	k.farewell(goodbyeLate())
}

// shakeHands does the TLS handshake, where there is one, in the time in which a sign-in has to come.
func (k *conn) shakeHands() error {
	c, ok := k.net.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(k.edge.stopping, k.edge.cfg.SignIn)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	k.open.Store(true)
	return nil
}

// discard reads what still comes, as long as bid lets it.
func (k *conn) discard() {
	if k.bidden.Load() {
		_, _ = io.Copy(io.Discard, k.net) // ends by the deadline
	}
}

// serve is a connection's life. The caller has counted it among the pending.
func (k *conn) serve(before []byte) {
	err := k.shakeHands()
	if err == nil {
		err = k.read(before)
	}
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
