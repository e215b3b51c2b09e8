package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	// doubtFor is how long somebody whose privacy changed may be shown as before while presence is asked.
	doubtFor = time.Second
	// retryFirst and retryMost are the pauses between two questions to presence that was away.
	retryFirst = 20 * time.Millisecond
	retryMost  = 5 * time.Second
	// maxAsking is how many sessions ask again at once, of all those to whom somebody is in doubt.
	maxAsking = 16
)

// watchers knows who follows whose presence here.
//
// Presence answers, and it tells changes, and both race each other. Each has a turn: the higher one was read later. A list
// of people is registered first and then asked for, so that no change lies between, and keeps for each of them the turn of
// what is known. Nothing is told of those in doubt, and they are asked for until an answer has come that is not older: all
// when the list is new, people whose privacy changed, and all again when the user's own did.
type watchers struct {
	edge    *Edge
	tickets atomic.Int64
	asking  chan struct{} // holds one for each session that asks again

	mu        sync.Mutex
	sessions  map[*session]*watcher
	followers map[string]map[*following]struct{} // by followed user
}

func newWatchers(e *Edge) *watchers {
	return &watchers{
		edge: e, asking: make(chan struct{}, maxAsking), sessions: make(map[*session]*watcher),
		followers: make(map[string]map[*following]struct{}),
	}
}

// watcher is a session that follows people.
type watcher struct {
	session *session
	lists   map[*following]struct{} // the current one and those that are asked for; guarded by watchers.mu

	// mu is held while something is told, so that it comes in the order of turns. It is taken before watchers.mu.
	mu      sync.Mutex
	current *following // nil for none
	ticket  int64      // of the Watch that it is of
	own     int64      // turn in which the user's own privacy changed
	sees    bool       // the user shows when they were last seen, and so may see that of others
	knows   bool       // sees is known
}

// following is a list of people.
type following struct {
	watcher *watcher
	people  map[string]*followed // guarded by watcher.mu
	asking  bool                 // somebody asks again for those in doubt
}

// followed is one of them.
type followed struct {
	turn  int64     // what is of a lower one is old
	doubt bool      // nothing is told until presence has answered
	since time.Time // of the doubt
	shown bool      // the client was shown more than that they hide
}

// next returns a ticket: of two Watch frames, the later one's list stays.
func (ws *watchers) next() int64 { return ws.tickets.Add(1) }

// add registers a list, which is in doubt as a whole.
func (ws *watchers) add(s *session, users []string) *following {
	now := time.Now()
	l := &following{people: make(map[string]*followed, len(users))}
	for _, u := range users {
		l.people[u] = &followed{doubt: true, since: now}
	}
	ws.mu.Lock()
	l.watcher = ws.sessions[s]
	if l.watcher == nil {
		l.watcher = &watcher{session: s, lists: make(map[*following]struct{}, 1)}
		ws.sessions[s] = l.watcher
	}
	l.watcher.lists[l] = struct{}{}
	for u := range l.people {
		if ws.followers[u] == nil {
			ws.followers[u] = make(map[*following]struct{}, 1)
		}
		ws.followers[u][l] = struct{}{}
	}
	ws.edge.metrics.watched.Set(float64(len(ws.followers)))
	ws.mu.Unlock()
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended {
		ws.forget(s)
	}
	return l
}

// drop takes lists of one session away, and its watcher with the last one.
func (ws *watchers) drop(lists ...*following) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, l := range lists {
		ws.unlist(l)
		if s := l.watcher.session; len(l.watcher.lists) == 0 && ws.sessions[s] == l.watcher {
			delete(ws.sessions, s)
		}
	}
}

// forget takes all lists of an ended session away.
func (ws *watchers) forget(s *session) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.sessions[s]
	if w == nil {
		return
	}
	delete(ws.sessions, s)
	for l := range w.lists {
		ws.unlist(l)
	}
}

// unlist is drop without the watcher. The lock is held.
func (ws *watchers) unlist(l *following) {
	delete(l.watcher.lists, l)
	for u := range l.people { // the keys never change
		delete(ws.followers[u], l)
		if len(ws.followers[u]) == 0 {
			delete(ws.followers, u)
		}
	}
	ws.edge.metrics.watched.Set(float64(len(ws.followers)))
}

// watch follows users in place of those that the session followed, and goes on with those when it is refused: then it
// returns the refusal. Otherwise answer gets how they are, as far as they show it, before anything newer is pushed.
func (s *session) watch(id uint32, users []string, ticket int64, answer func(*frame)) *frame {
	ws := s.edge.watchers
	l := ws.add(s, users)
	w := l.watcher
	known := make(map[string]*presencev1.Presence, len(users))
	deadline := time.Now().Add(askTimeout)
	for pause := retryFirst; ; {
		w.mu.Lock()
		l.compare(w.current)
		doubtful := l.doubtful()
		if len(doubtful) == 0 {
			done := w.install(l, ticket, known)
			list := make([]*presencev1.Presence, 0, len(users))
			for _, u := range users {
				list = append(list, known[u])
			}
			answer(newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Watching{
				Watching: &edgev1.Watching{Presences: list},
			}}))
			w.mu.Unlock()
			ws.drop(done...)
			return nil
		}
		w.mu.Unlock()
		answers, err := w.ask(doubtful, time.Until(deadline))
		settled := 0
		w.mu.Lock()
		for _, p := range answers {
			if l.settles(p) {
				known[p.GetUserId()] = p
				settled++
			}
		}
		w.mu.Unlock()
		if err == nil && settled == 0 {
			err = errs.Unavailable(errs.ReasonUnavailable, "presence has no answer that is new enough")
		}
		switch {
		case err != nil && (!errs.Is(err, connect.CodeUnavailable, "") || time.Until(deadline) < 2*pause):
			ws.drop(l)
			return refusal(id, err)
		case settled == 0 && !s.rest(&pause):
			ws.drop(l)
			return refusal(id, sessionNotFound())
		}
	}
}

// install makes a list the current one, unless that is of a later Watch, and returns those that are not needed any longer.
// The lock is held.
func (w *watcher) install(l *following, ticket int64, known map[string]*presencev1.Presence) (done []*following) {
	if ticket < w.ticket {
		return []*following{l}
	}
	for u, f := range l.people {
		f.shown = !known[u].GetHidden()
	}
	if w.current != nil {
		done = append(done, w.current)
	}
	w.current, w.ticket = l, ticket
	if len(l.people) == 0 {
		w.current = nil
		done = append(done, l)
	}
	return done
}

// compare puts those in doubt again of whom the session knows something newer by its current list: two answers race each
// other, too. The lock is held.
func (l *following) compare(current *following) {
	if current == nil {
		return
	}
	for u, f := range l.people {
		if other := current.people[u]; other != nil && other.turn > f.turn {
			f.question(other.turn, time.Now())
		}
	}
}

// doubtful returns of whom there is doubt. The lock is held.
func (l *following) doubtful() (users []string) {
	for u, f := range l.people {
		if f.doubt {
			users = append(users, u)
		}
	}
	return users
}

// settles ends the doubt of somebody by an answer, unless something is known that is newer. The lock is held.
func (l *following) settles(p *presencev1.Presence) bool {
	f := l.people[p.GetUserId()]
	if f == nil || !f.doubt || p.GetTurn() < f.turn {
		return false
	}
	f.doubt, f.turn = false, p.GetTurn()
	return true
}

// ask asks presence how users are, in the name of who follows them. No answers and no error mean that it has to be asked
// again.
func (w *watcher) ask(users []string, timeout time.Duration) ([]*presencev1.Presence, error) {
	w.mu.Lock()
	knew := w.knows
	w.mu.Unlock()
	res := &presencev1.BatchGetPresenceResponse{}
	if err := w.session.ask(timeout, presencev1connect.PresenceServiceBatchGetPresenceProcedure,
		&presencev1.BatchGetPresenceRequest{UserIds: users}, res); err != nil {
		return nil, err
	}
	var own presencev1.GetPrivacyResponse
	if !knew { // after the answer, so that what is newer than the answer's turn is in it
		err := w.session.ask(timeout, presencev1connect.PresenceServiceGetPrivacyProcedure, &presencev1.GetPrivacyRequest{}, &own)
		if err != nil && !errs.Is(err, connect.CodePermissionDenied, "") { // guests have none
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(res.GetPresences()) == 0 || res.GetPresences()[0].GetTurn() < w.own || (knew && !w.knows) {
		return nil, nil
	}
	if !knew {
		w.sees, w.knows = own.GetPrivacy().GetLastSeen() != presencev1.Audience_AUDIENCE_NOBODY, true
	}
	return res.GetPresences(), nil
}

// rest waits between two questions, longer each time. It returns false when nobody wants the answer any longer.
func (s *session) rest(pause *time.Duration) bool {
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	*pause = min(2**pause, retryMost)
	select {
	case <-timer.C:
		return true
	case <-s.over:
	case <-s.edge.stopping.Done():
	}
	return false
}
