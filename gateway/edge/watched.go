package edge

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// news is what an event of presence says to one list.
type news struct {
	told    []*told
	private []string // whose privacy changed
	own     bool     // that of the user did
}

// told is somebody's presence, encoded once for those who see all of it, and once for those who do not see when they were
// last there.
type told struct {
	*presencev1.Presence

	whole, without []byte
}

func (t *told) event(e *Edge, sees bool) []byte {
	if sees || t.GetLastSeenAt() == nil {
		if t.whole == nil {
			t.whole = e.encode(presenceEvent(t.Presence))
		}
		return t.whole
	}
	if t.without == nil {
		p := proto.CloneOf(t.Presence)
		p.LastSeenAt = nil
		t.without = e.encode(presenceEvent(p))
	}
	return t.without
}

func presenceEvent(p *presencev1.Presence) *edgev1.Event {
	return &edgev1.Event{Kind: &edgev1.Event_Presence{Presence: p}}
}

// onPresenceChanged handles presence.changed: one frame for each session that follows somebody who changed.
func (e *Edge) onPresenceChanged(_ context.Context, _ string, changed *presencev1.PresenceChanged) error {
	for l, n := range e.watchers.concerned(changed) {
		if l.hear(changed.GetTurn(), n) && !e.begin(l.askAgain) {
			break
		}
	}
	return nil
}

// concerned returns the lists that an event says something to.
func (ws *watchers) concerned(changed *presencev1.PresenceChanged) map[*following]*news {
	all := make(map[*following]*news)
	of := func(l *following) *news {
		if all[l] == nil {
			all[l] = &news{}
		}
		return all[l]
	}
	var own []*session
	for _, u := range changed.GetPrivacyChanged() {
		own = append(own, ws.edge.sessionsOf(u)...)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, p := range changed.GetPresences() {
		if lists := ws.followers[p.GetUserId()]; len(lists) > 0 {
			t := &told{Presence: p}
			for l := range lists {
				of(l).told = append(of(l).told, t)
			}
		}
	}
	for _, u := range changed.GetPrivacyChanged() {
		for l := range ws.followers[u] {
			of(l).private = append(of(l).private, u)
		}
	}
	for _, s := range own {
		if w := ws.sessions[s]; w != nil {
			for l := range w.lists {
				of(l).own = true
			}
		}
	}
	return all
}

// hear takes an event in, and tells what the session may know of it. It returns true when somebody has to ask again.
func (l *following) hear(turn int64, n *news) (ask bool) {
	now, w, e := time.Now(), l.watcher, l.watcher.session.edge
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.own { // it decides on everybody, and on what was known of the user's own
		w.own, w.knows = max(w.own, turn), false
		for _, f := range l.people {
			f.question(turn, now)
		}
	}
	for _, u := range n.private {
		if f := l.people[u]; turn > f.turn {
			f.question(turn, now)
		}
	}
	var events [][]byte
	for _, t := range n.told {
		f := l.people[t.GetUserId()]
		switch {
		case turn <= f.turn: // it was read before what the session knows
		case l != w.current: // what was answered is not the newest any longer
			f.question(turn, now)
		case f.doubt || !f.shown:
			f.turn = turn
		default:
			f.turn = turn
			events = append(events, t.event(e, w.sees || t.GetUserId() == w.session.user()))
		}
	}
	e.deliver(events, []*session{w.session})
	if l != w.current || l.asking || len(l.doubtful()) == 0 {
		return false
	}
	l.asking = true
	return true
}

// question puts somebody in doubt.
func (f *followed) question(turn int64, now time.Time) {
	f.turn = max(f.turn, turn)
	if !f.doubt {
		f.doubt, f.since = true, now
	}
}

// askAgain asks for those in doubt until there is none, or the list is not the current one any longer.
func (l *following) askAgain() {
	w := l.watcher
	for pause := retryFirst; ; {
		w.mu.Lock()
		doubtful := l.doubtful()
		if l.asking = l == w.current && len(doubtful) > 0; !l.asking {
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if answers := w.askInLine(doubtful); l.tell(answers) {
			pause = retryFirst
			continue
		}
		l.hide()
		if !w.session.rest(&pause) {
			return
		}
	}
}

// askInLine is ask by maxAsking sessions at once. It returns nothing when that took too long, or presence is away.
func (w *watcher) askInLine(users []string) []*presencev1.Presence {
	ws := w.session.edge.watchers
	limit := time.NewTimer(doubtFor)
	defer limit.Stop()
	select {
	case ws.asking <- struct{}{}:
	case <-limit.C:
		return nil
	case <-w.session.over:
		return nil
	}
	defer func() { <-ws.asking }()
	answers, err := w.ask(users, doubtFor)
	if err != nil {
		return nil // hidden soon, and asked again
	}
	return answers
}

// tell tells what answers say of those in doubt. It returns false when they say nothing.
func (l *following) tell(answers []*presencev1.Presence) bool {
	w, e := l.watcher, l.watcher.session.edge
	w.mu.Lock()
	defer w.mu.Unlock()
	if l != w.current {
		return true
	}
	settled := false
	var events [][]byte
	for _, p := range answers {
		if !l.settles(p) {
			continue
		}
		settled = true
		f := l.people[p.GetUserId()]
		if f.shown || !p.GetHidden() {
			events = append(events, e.encode(presenceEvent(p)))
		}
		f.shown = !p.GetHidden()
	}
	e.deliver(events, []*session{w.session})
	return settled
}

// hide hides those who have been in doubt for long: rather nothing than what is not the user's to see.
func (l *following) hide() {
	w, e := l.watcher, l.watcher.session.edge
	w.mu.Lock()
	defer w.mu.Unlock()
	if l != w.current {
		return
	}
	var events [][]byte
	for u, f := range l.people {
		if f.doubt && f.shown && time.Since(f.since) >= doubtFor {
			f.shown = false
			events = append(events, e.encode(presenceEvent(&presencev1.Presence{UserId: u, Hidden: true, Turn: f.turn})))
		}
	}
	e.deliver(events, []*session{w.session})
}
