package edge

import (
	"net"
	"time"
)

// sweep ends what nobody else ends: silent and expired sessions, those that were not resumed, and connections that did not
// sign in.
func (e *Edge) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-e.stopping.Done():
			return
		case <-tick.C:
		}
		now := e.deps.Now()
		e.pending.expire(now)
		e.fates.expire(now)
		for _, s := range e.everyone() {
			s.check(now)
		}
	}
}

func (s *session) check(now time.Time) {
	s.mu.Lock()
	cut, cutAt, expires := s.link == nil, s.cutAt, s.principal.ExpiresAt
	s.mu.Unlock()
	switch {
	case cut && now.Sub(cutAt) > s.edge.cfg.Resume:
		s.end(nil, "left")
	case now.After(expires.Add(s.edge.cfg.TokenGrace)):
		s.end(goodbyeExpired(), "expired")
	case !cut && now.Sub(s.edge.began)-time.Duration(s.heard.Load()) > s.edge.cfg.Silence:
		s.edge.metrics.silent.Inc()
		s.silent()
	}
}

// silent cuts a session's link of which nothing was heard, most of the time a half-open socket. Whoever was there may resume.
func (s *session) silent() {
	s.mu.Lock()
	l := s.link
	whole := l != nil && !s.writing && s.offset == 0 // nothing is half written
	if whole {
		s.writing = true
	}
	s.mu.Unlock()
	if l == nil {
		return
	}
	if !s.edge.begin(func() {
		if whole {
			_ = l.write(net.Buffers{goodbyeSilent().in(l.form(), false)}, farewell) // to somebody who may not be there
		}
		s.cut(l)
	}) {
		s.cut(l)
	}
}
