package edge

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

const (
	// queueBytes bounds what waits for one client, and what is kept for its resume, each.
	queueBytes = 4 << 20
	// burstFrames is how many frames are written by one call of a session's own goroutine.
	burstFrames = 64
	// writeTimeout is how long a client may take for one such write.
	writeTimeout = 20 * time.Second
	// farewell is how long a client has to take its Goodbye.
	farewell = 2 * time.Second
)

// link is a session's way to its client: one connection of one transport.
type link interface {
	// form is how it wants frames.
	form() form
	// try writes what can be written without waiting, by one goroutine at a time; 0 where the transport cannot say.
	try(b []byte) (n int, err error)
	// write writes all, within timeout.
	write(bufs net.Buffers, timeout time.Duration) error
	// close ends the connection; it may be called at any time and again.
	close()
	// bid ends it after its last frame, so that the frame arrives.
	bid()
	// address is the client's.
	address() string
}

// session is one device's session. Its queue holds frames that wait for the link; kept holds pushes that were written and
// not yet acknowledged. Both are bounded: a full queue ends the session, a full kept forgets its oldest.
type session struct {
	edge *Edge

	mu sync.Mutex
	// What each push touches lies together: rooms of thousands wait for memory more than for anything else.
	link      link // nil while it is cut
	gzip      bool
	writing   bool
	last      bool // the queue ends with a Goodbye: nothing more is taken
	ended     bool
	queue     []*frame
	kept      []*frame
	keptBytes int
	pushed    int64 // pushes that were put into the queue
	lost      int64 // pushes that cannot be sent again
	queued    int   // bytes
	offset    int   // of the first in queue, that are written

	cutAt     time.Time
	principal authn.Principal // of the token at hand: the owner's, with another end and perhaps another role
	token     string
	away      bool   // its user is not reported as here: it is cut, or has ended
	why       string // it ended, or ends, as metrics name it
	topics    []*topic
	rooms     map[string]bool // entered, by conversation; whether unseen
	gone      map[string]bool // conversations that the user left while their list was read; nil afterwards
	typed     map[string]typed
	turns     []func() // Enter and Leave: the first runs, the others wait

	entering sync.Mutex // of Enter and Leave, which take their time

	// What never changes, or by itself:
	id     string
	opened time.Time
	owner  authn.Principal // whose it is, and on which device
	frames *rate.Limiter
	calls  atomic.Int32
	heard  atomic.Int64  // when something last came, by the edge's age
	unhook func()        // from revocations
	over   chan struct{} // closed when it has ended
}

// user returns whose session it is.
func (s *session) user() string { return s.owner.UserID }

// cut takes the link away after it failed. The session waits for its client to resume.
func (s *session) cut(l link) {
	l.close()
	s.mu.Lock()
	if s.link != l {
		s.mu.Unlock()
		return
	}
	s.link, s.writing, s.offset = nil, false, 0
	s.cutAt = s.edge.deps.Now()
	s.goAway()
	ending := s.last
	s.mu.Unlock()
	if ending {
		s.finish(nil)
	}
}

// resume gives a cut session a new link, and what its client has not received. It returns false where that is not known any
// more.
func (s *session) resume(l link, received int64, p authn.Principal, token string, packs bool, first *frame) bool {
	s.mu.Lock()
	if s.ended || s.last || received < s.lost || received > s.pushed ||
		s.owner.DeviceID != p.DeviceID || s.owner.UserID != p.UserID || s.owner.SessionID != p.SessionID {
		s.mu.Unlock()
		return false
	}
	queue := append([]*frame{first}, s.kept...)
	for _, f := range s.queue {
		if f.push { // answers were for calls that their client has given up
			queue = append(queue, f)
		}
	}
	queue = slices.Delete(queue, 1, 1+int(received-s.lost)) // it has these
	if len(queue) > s.edge.cfg.Queue {                      // the next push would end it as too slow
		s.mu.Unlock()
		return false
	}
	old := s.link
	s.queue = queue
	s.kept, s.keptBytes, s.queued, s.offset, s.lost = nil, 0, 0, 0, received
	for _, f := range s.queue {
		s.queued += len(f.plain)
	}
	s.link, s.principal, s.token, s.gzip, s.writing = l, p, token, packs, true
	s.comeBack()
	s.mu.Unlock()
	if old != nil {
		old.close()
	}
	if !s.edge.begin(func() { s.drain(l) }) {
		s.cut(l)
	}
	return true
}

// goAway reports the user as gone, who may come right back: presence has patience, and numbers of people need none. The
// lock is held.
func (s *session) goAway() {
	if s.away {
		return
	}
	s.away = true
	s.edge.reports.offline(s.owner)
	for id, unseen := range s.rooms {
		if !unseen {
			s.edge.reports.left(id, s.user())
		}
	}
}

// comeBack reports the user as here again. The lock is held.
func (s *session) comeBack() {
	if !s.away {
		return
	}
	s.away = false
	s.edge.reports.online(s.owner)
	for id, unseen := range s.rooms {
		if !unseen {
			s.edge.reports.entered(id, s.user())
		}
	}
}

// end says goodbye, nothing where there is nobody to hear it, and takes the session out of everything. why labels it.
func (s *session) end(goodbye *frame, why string) {
	s.mu.Lock()
	if s.ended || s.last {
		s.mu.Unlock()
		return
	}
	s.last, s.why = true, why
	l := s.link
	s.edge.metrics.ended.WithLabelValues(why).Inc()
	if l == nil || goodbye == nil {
		s.mu.Unlock()
		s.finish(l)
		return
	}
	// What waits is dropped, but for a frame that is half written.
	keep := 0
	if (s.offset > 0 || s.writing) && len(s.queue) > 0 {
		keep = min(len(s.queue), burstFrames)
	}
	s.queue = append(s.queue[:keep:keep], goodbye)
	if s.writing {
		s.mu.Unlock()
		// A client that does not read must not hold the goodbye for as long as a write may take.
		s.edge.begin(func() {
			select {
			case <-time.After(farewell):
			case <-s.edge.stopping.Done():
			}
			s.finish(l)
		})
		return
	}
	s.flush()
}

// finish takes the session out of everything and closes its link.
func (s *session) finish(l link) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.last = true, true
	s.queue, s.kept = nil, nil
	s.goAway()
	topics := s.topics
	s.topics, s.rooms = nil, nil
	if l == nil {
		l = s.link
	}
	s.link = nil
	s.mu.Unlock()
	s.edge.forget(s, topics)
	if l != nil {
		l.bid()
	}
	close(s.over)
}

// hear notes a sign of life. It goes by the edge's age, which no clock that is set changes.
func (s *session) hear(now time.Time) { s.heard.Store(int64(now.Sub(s.edge.began))) }

// wait waits until an ended session has said its goodbye.
func (s *session) wait() {
	select {
	case <-s.over:
	case <-s.edge.stopping.Done():
	}
}

// rights returns with what a call is made.
func (s *session) rights() (token, address string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || s.last {
		return "", "", false
	}
	return s.token, s.link.address(), true
}

// begin runs act, unless the edge has stopped.
func (e *Edge) begin(act func()) bool {
	e.life.RLock()
	defer e.life.RUnlock()
	if e.stopping.Err() != nil {
		return false
	}
	e.running.Go(act)
	return true
}

// forget takes an ended session out of the lists.
func (e *Edge) forget(s *session, topics []*topic) {
	s.mu.Lock()
	reason := reasonOf(s.why)
	s.mu.Unlock()
	if reason != edgev1.GoodbyeReason_GOODBYE_REASON_UNSPECIFIED {
		e.fates.put(s.id, fate{user: s.user(), reason: reason, until: e.deps.Now().Add(e.cfg.Resume)})
	}
	if s.unhook != nil {
		s.unhook()
	}
	for _, t := range topics {
		e.hub.leave(t, s)
	}
	e.watchers.forget(s)
	e.mu.Lock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
		e.metrics.sessions.Set(float64(len(e.sessions)))
	}
	remove(e.users, s.user(), s)
	remove(e.devices, s.owner.DeviceID, s)
	e.mu.Unlock()
	e.logger.LogAttrs(context.Background(), slog.LevelDebug, "session ended", slog.String("session_id", s.id))
}

// remove takes a session off one of the lists of an index.
func remove(index map[string][]*session, key string, s *session) {
	if left := without(index[key], s); len(left) > 0 {
		index[key] = left
	} else {
		delete(index, key)
	}
}

// without returns a copy of list without s.
func without(list []*session, s *session) []*session {
	out := make([]*session, 0, len(list))
	for _, other := range list {
		if other != s {
			out = append(out, other)
		}
	}
	return out
}
