package hub

// maxBatch bounds the bytes that one call of Next returns.
const maxBatch = 1 << 20

// readyNow is a channel on which nobody waits long.
var readyNow = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Reader is one viewer's place in a stream.
type Reader struct {
	stream *Stream
	joined bool
	seq    uint64 // of the next block to send
	// Of the last Poll. A whole view would keep all its blocks alive for as long as the viewer stalls.
	more    <-chan struct{} // nil before the first
	pending bool            // it left something, or the stream has ended
}

// NewReader returns a reader that starts with the preamble and the last keyframe.
func (s *Stream) NewReader() *Reader { return &Reader{stream: s} }

// Tail returns a reader that starts with the block that will be sealed next.
func (s *Stream) Tail() *Reader { return s.ReaderAt(s.view.Load().next) }

// ReaderAt returns a reader that goes on at a block's number.
func (s *Stream) ReaderAt(position uint64) *Reader {
	return &Reader{stream: s, joined: true, seq: position}
}

// Position returns the number of the block that Next will return, once the reader has joined.
func (r *Reader) Position() uint64 { return r.seq }

// CaughtUp tells whether the reader has been given everything that is sealed.
func (r *Reader) CaughtUp() bool { return r.joined && r.seq >= r.stream.view.Load().next }

// Enter counts a viewer in, and Leave out.
func (s *Stream) Enter() { s.viewers.Add(1) }

// Leave counts a viewer out.
func (s *Stream) Leave() { s.viewers.Add(-1) }

// Next appends to batch what the viewer should get next, in order, and waits until there is something. A viewer that
// fell behind goes on at the newest keyframe. It returns ErrClosed after the last block of a stream that has ended, and
// nothing where done is closed first.
func (r *Reader) Next(done <-chan struct{}, batch []*Block) ([]*Block, error) {
	for {
		batch, err := r.Poll(batch)
		if len(batch) > 0 || err != nil {
			return batch, err
		}
		select {
		case <-r.More():
		case <-done:
			return batch, nil
		}
	}
}

// Poll is Next without waiting.
func (r *Reader) Poll(batch []*Block) ([]*Block, error) {
	v := r.stream.view.Load()
	before := len(batch)
	if !r.joined && v.preamble != nil && v.start >= 0 {
		r.joined = true
		r.seq = v.blocks[v.start].seq
		batch = append(batch, v.preamble)
	}
	if r.joined {
		batch = r.take(v, batch)
	}
	r.more = v.more
	// Who got nothing although there is more waits for a keyframe. No view follows the one that ends a stream, which
	// may hold blocks as well.
	r.pending = v.closed || (len(batch) > before && r.seq < v.next)
	if len(batch) == before && v.closed {
		return batch, ErrClosed
	}
	return batch, nil
}

// More returns a channel that is closed when there is, or may be, something that the last Poll did not return.
func (r *Reader) More() <-chan struct{} {
	if r.more == nil || r.pending {
		return readyNow
	}
	return r.more
}

// take appends what v holds from the reader's place on, up to maxBatch bytes.
func (r *Reader) take(v *view, batch []*Block) []*Block {
	if r.seq >= v.next {
		return batch
	}
	first := v.next - uint64(len(v.blocks))
	if r.behind(v, first) {
		if v.start < 0 {
			if r.seq < first {
				return batch // nothing can be decoded before the next keyframe
			}
		} else if start := v.blocks[v.start].seq; start > r.seq {
			if c := v.config; c != nil && r.seq <= c.seq && c.seq < start {
				batch = append(batch, c)
			}
			r.seq = start
			r.stream.skips.Add(1)
		}
	}
	size := 0
	for _, b := range v.blocks[r.seq-first:] {
		if size > 0 && size+b.size() > maxBatch {
			break
		}
		batch = append(batch, b)
		size += b.size()
		r.seq = b.seq + 1
	}
	return batch
}

// behind tells whether the reader's place is gone, or older than the backlog allows.
func (r *Reader) behind(v *view, first uint64) bool {
	if r.seq < first {
		return true
	}
	last := v.blocks[len(v.blocks)-1]
	return last.sealed.Sub(v.blocks[r.seq-first].sealed) > r.stream.config.Backlog
}
