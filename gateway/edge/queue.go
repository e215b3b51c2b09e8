package edge

import (
	"net"

	"github.com/stoa-live/stoa/internal/errs"
)

// send puts a frame into the queue, and writes it at once where nothing waits before it.
func (s *session) send(f *frame) {
	s.mu.Lock()
	s.sendLocked(f)
}

// sendLocked is send with the lock, which it gives back.
func (s *session) sendLocked(f *frame) {
	if s.ended || s.last {
		s.mu.Unlock()
		return
	}
	if !s.fits(f) {
		cut := s.link == nil
		s.mu.Unlock()
		if cut { // nobody reads, and nobody could resume without a loss
			s.end(nil, "resume_lost")
			return
		}
		s.edge.metrics.slow.Inc()
		s.end(goodbyeSlow(), "slow")
		return
	}
	if s.link != nil && !s.writing && len(s.queue) == 0 {
		s.direct(f)
		return
	}
	s.put(f)
	s.pushOn()
}

// direct writes a frame before which nothing waits; what the socket does not take goes into the queue. It is called with the
// lock, and gives it back.
func (s *session) direct(f *frame) {
	l := s.link
	b := f.in(l.form(), s.gzip)
	n, err := l.try(b)
	if err == nil && n == len(b) {
		if f.push {
			s.pushed++
			s.keep(f)
		}
		s.mu.Unlock()
		return
	}
	s.put(f)
	s.offset = n
	if err != nil {
		s.mu.Unlock()
		s.cut(l)
		return
	}
	s.flush()
}

// pushOn writes what waits, unless somebody does. It is called with the lock, and gives it back.
func (s *session) pushOn() {
	if s.link == nil || s.writing {
		s.mu.Unlock()
		return
	}
	s.flush()
}

// fits reports whether a frame may wait for the client: one always may, however large. The lock is held.
func (s *session) fits(f *frame) bool {
	return len(s.queue) == 0 || (len(s.queue) < s.edge.cfg.Queue && s.queued+len(f.plain) <= queueBytes)
}

// answer is send for what a client asked for over a link: on another one its id may be that of another question, and the
// client has given the call up. Where the answer does not fit beside what the client has not read yet, the client is told so,
// which takes little room, and asks again.
func (s *session) answer(l link, id uint32, f *frame) {
	s.mu.Lock()
	switch {
	case s.link != l:
		s.mu.Unlock()
	case s.ended || s.last || s.fits(f) || len(s.queue) >= s.edge.cfg.Queue:
		s.sendLocked(f)
	default:
		s.put(refusal(id, errs.ResourceExhausted(errs.ReasonRateLimited, "other answers wait to be read").With("retry_after_ms", "1000")))
		s.pushOn()
	}
}

// put adds a frame to the queue. The lock is held.
func (s *session) put(f *frame) {
	if f.push {
		s.pushed++
	}
	s.queue = append(s.queue, f)
	s.queued += len(f.plain)
}

// flush writes without waiting and leaves the rest to a goroutine. It is called with the lock, and gives it back.
func (s *session) flush() {
	l := s.link
	for len(s.queue) > 0 {
		f := s.queue[0]
		b := f.in(l.form(), s.gzip)
		n, err := l.try(b[s.offset:])
		if err != nil {
			s.mu.Unlock()
			s.cut(l)
			return
		}
		if s.offset += n; s.offset < len(b) {
			break
		}
		s.written(1)
	}
	if len(s.queue) == 0 {
		ending := s.last
		s.mu.Unlock()
		if ending {
			s.finish(l)
		}
		return
	}
	s.writing = true
	s.mu.Unlock()
	if !s.edge.begin(func() { s.drain(l) }) {
		s.cut(l)
	}
}

// written takes n frames off the queue; pushes are kept until they are acknowledged. The lock is held.
func (s *session) written(n int) {
	for _, f := range s.queue[:n] {
		s.queued -= len(f.plain)
		if f.push && !s.last {
			s.keep(f)
		}
	}
	clear(s.queue[:n])
	s.queue, s.offset = s.queue[n:], 0
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// keep keeps a push that was written, for a resume. The lock is held.
func (s *session) keep(f *frame) {
	s.kept = append(s.kept, f)
	s.keptBytes += len(f.plain)
	for len(s.kept) > s.edge.cfg.Queue || s.keptBytes > queueBytes {
		s.forget(1)
	}
}

// forget drops the n oldest kept pushes. The lock is held.
func (s *session) forget(n int) {
	for _, f := range s.kept[:n] {
		s.keptBytes -= len(f.plain)
	}
	clear(s.kept[:n])
	s.kept = s.kept[n:]
	s.lost += int64(n)
	if len(s.kept) == 0 {
		s.kept = nil
	}
}

// drain writes what waits, as fast as the client reads, until nothing does.
func (s *session) drain(l link) {
	for {
		s.mu.Lock()
		if s.link != l || s.ended { // whoever took the link away, or gave another, said who writes now
			s.mu.Unlock()
			return
		}
		if len(s.queue) == 0 {
			s.writing = false
			ending := s.last
			s.mu.Unlock()
			if ending {
				s.finish(l)
			}
			return
		}
		bufs := make(net.Buffers, 0, min(len(s.queue), burstFrames))
		for i, f := range s.queue[:cap(bufs)] {
			b := f.in(l.form(), s.gzip)
			if i == 0 {
				b = b[s.offset:]
			}
			bufs = append(bufs, b)
		}
		n, timeout := len(bufs), writeTimeout
		if s.last {
			timeout = farewell
		}
		s.mu.Unlock()
		err := l.write(bufs, timeout)
		s.mu.Lock()
		if err == nil && s.link == l {
			s.written(n)
		}
		s.mu.Unlock()
		if err != nil {
			s.cut(l)
			return
		}
	}
}

// acknowledge notes how many pushes the client has. It returns false for more than there were.
func (s *session) acknowledge(received int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if received > s.pushed {
		return false
	}
	// What is being written now may be acknowledged already; it is kept until the next time.
	if n := min(received-s.lost, int64(len(s.kept))); n > 0 {
		s.forget(int(n))
	}
	return true
}
