package hub

// maxBatch bounds the bytes that one call of Next returns.
const maxBatch = 1 << 20

// Reader is one viewer's place in a stream.
type Reader struct {
	stream *Stream
	joined bool
	seq    uint64 // of the next block to send
}

// NewReader returns a reader that starts at the last keyframe. Close it.
func (s *Stream) NewReader() *Reader {
	s.readers.Add(1)
	return &Reader{stream: s}
}

// Close gives the reader back.
func (r *Reader) Close() { r.stream.readers.Add(-1) }

// Next appends to batch what the viewer should get next, in order, and waits until there is something. A viewer that
// fell behind goes on at the newest keyframe. It returns ErrClosed after the last block of a stream that has ended, and
// nothing where done is closed first.
func (r *Reader) Next(done <-chan struct{}, batch []*Block) ([]*Block, error) {
	for {
		v := r.stream.view.Load()
		if !r.joined {
			if v.preamble != nil && v.start >= 0 {
				r.joined = true
				r.seq = v.blocks[v.start].seq
				return r.take(v, append(batch, v.preamble)), nil
			}
		} else if batch = r.take(v, batch); len(batch) > 0 {
			return batch, nil
		}
		if v.closed {
			return batch, ErrClosed
		}
		select {
		case <-v.more:
		case <-done:
			return batch, nil
		}
	}
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
