package playback

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"github.com/stoa-live/stoa/services/live/hub"
)

// shardSize is how many viewers one goroutine writes to: few enough that the last waits a few ms for the first, many
// enough that waking it costs nothing a viewer.
const shardSize = 512

// fanout writes one stream to all viewers that are up to date. They share one position, so that a block costs one wake
// for hundreds of viewers and one system call for each. A viewer whose socket is full leaves for a goroutine of its own
// and returns when it has caught up.
type fanout struct {
	server *Server
	stream *hub.Stream
	mu     sync.Mutex
	shards []*shard
	closed bool
}

// shard is one goroutine's share of a fanout.
type shard struct {
	fanout  *fanout
	reader  *hub.Reader
	mu      sync.Mutex
	viewers []*viewer
	closed  bool
}

// add takes a viewer that has been sent everything before block position. It returns false where all shards are ahead
// of that, or the stream has ended: the caller goes on by itself.
func (f *fanout) add(v *viewer, position uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	for _, sh := range f.shards {
		if taken, full := sh.add(v, position); taken || !full {
			return taken
		}
	}
	sh := &shard{fanout: f, reader: f.stream.Tail()}
	f.shards = append(f.shards, sh)
	taken, _ := sh.add(v, position)
	f.server.running.Go(sh.run)
	return taken
}

func (sh *shard) add(v *viewer, position uint64) (taken, full bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case len(sh.viewers) >= shardSize:
		return false, true
	case sh.closed || v.isCut() || position < sh.reader.Position():
		return false, false
	}
	v.shard.Store(sh)
	v.index, v.next = len(sh.viewers), position
	sh.viewers = append(sh.viewers, v)
	return true, false
}

// remove takes a viewer out; it does nothing where the viewer has left already.
func (sh *shard) remove(v *viewer) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.removeLocked(v)
}

func (sh *shard) removeLocked(v *viewer) bool {
	if v.shard.Load() != sh {
		return false
	}
	last := len(sh.viewers) - 1
	sh.viewers[v.index] = sh.viewers[last]
	sh.viewers[v.index].index = v.index
	sh.viewers[last] = nil
	sh.viewers = sh.viewers[:last]
	v.shard.Store(nil)
	return true
}

// run writes blocks until the stream ends or the server closes.
func (sh *shard) run() {
	var batch []*hub.Block
	for {
		// The position moves under the lock, so that add sees it and the viewers together.
		if !sh.wait() {
			break
		}
		sh.mu.Lock()
		var err error
		batch, err = sh.reader.Poll(batch[:0])
		sh.send(batch)
		sh.mu.Unlock()
		if errors.Is(err, hub.ErrClosed) {
			break
		}
	}
	sh.fanout.end(sh)
}

func (sh *shard) wait() bool {
	select {
	case <-sh.reader.More():
		return true
	case <-sh.fanout.server.stopping.Done():
		return false
	}
}

// send writes a batch to all viewers. Who cannot take it whole now goes on by itself.
func (sh *shard) send(batch []*hub.Block) {
	if len(batch) == 0 {
		return
	}
	server := sh.fanout.server
	for i := 0; i < len(sh.viewers); {
		v := sh.viewers[i]
		rest, sent, err := v.trySend(batch)
		v.sent.Add(float64(sent))
		if err == nil && len(rest.blocks) == 0 {
			i++
			continue
		}
		sh.removeLocked(v) // puts another viewer at i
		if err != nil {
			v.cut()
			server.leave(v)
			continue
		}
		v.reader = v.stream.ReaderAt(sh.reader.Position())
		server.running.Go(func() { server.serve(v, rest) })
	}
}

// end lets all viewers of a shard go when the stream has ended.
func (f *fanout) end(sh *shard) {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.server.forget(f)
	sh.mu.Lock()
	sh.closed = true
	viewers := sh.viewers
	sh.viewers = nil
	for _, v := range viewers {
		v.shard.Store(nil)
	}
	sh.mu.Unlock()
	for _, v := range viewers {
		f.server.farewell(v)
		v.cut()
		f.server.leave(v)
	}
}

// unsent is what a viewer still has to get: the rest of the first block from offset on, and then the others.
type unsent struct {
	blocks []*hub.Block
	offset int
}

// trySend writes as much of the batch as the socket takes without waiting.
func (v *viewer) trySend(batch []*hub.Block) (rest unsent, sent int64, err error) {
	if !v.writing.TryLock() {
		return v.unsentOf(batch), 0, nil
	}
	defer v.writing.Unlock()
	for i, b := range batch {
		if b.Seq() < v.next {
			continue
		}
		form := v.form(b)
		n, err := v.raw.try(form)
		sent += int64(n)
		if err != nil {
			return unsent{}, sent, err
		}
		if n < len(form) {
			rest := v.unsentOf(batch[i:])
			rest.offset = n
			return rest, sent, nil
		}
	}
	return unsent{}, sent, nil
}

// unsentOf copies the part of a batch that the viewer has not been sent by its own goroutine.
func (v *viewer) unsentOf(batch []*hub.Block) unsent {
	var rest unsent
	for _, b := range batch {
		if b.Seq() >= v.next {
			rest.blocks = append(rest.blocks, b)
		}
	}
	return rest
}

// rawSocket writes to a socket without waiting and without waking anyone.
type rawSocket struct {
	conn syscall.RawConn
	buf  []byte
	n    int
	err  error
	call func(fd uintptr) bool
}

// newRawSocket returns nil where conn is not a plain socket.
func newRawSocket(conn net.Conn) *rawSocket {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawSocket{conn: raw}
	r.call = func(fd uintptr) bool {
		r.n, r.err = writeFD(fd, r.buf)
		return true // never wait for the socket here
	}
	return r
}

// try writes what fits; a full socket is not an error.
func (r *rawSocket) try(b []byte) (int, error) {
	r.buf, r.n, r.err = b, 0, nil
	err := r.conn.Write(r.call)
	r.buf = nil
	if err == nil {
		err = r.err
	}
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return max(r.n, 0), err
}
