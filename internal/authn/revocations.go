package authn

import (
	"sync"
	"time"
)

// Revocations is what this process knows of sessions that ended before their tokens: fed by bus events and by the auth
// service's list at start-up, asked at every call.
//
// A session is dead for good once it is in here. It is forgotten when its last token has expired by itself.
type Revocations struct {
	lifetime time.Duration
	now      func() time.Time

	mu       sync.RWMutex
	dead     map[string]time.Time // session id → when its last token has expired
	watchers map[string]map[*watcher]struct{}
	pruned   time.Time
}

type watcher struct{ revoked func() }

// NewRevocations returns an empty set for access tokens that live as long as lifetime. now is time.Now when nil.
func NewRevocations(lifetime time.Duration, now func() time.Time) *Revocations {
	if now == nil {
		now = time.Now
	}
	return &Revocations{
		lifetime: lifetime, now: now, dead: make(map[string]time.Time),
		watchers: make(map[string]map[*watcher]struct{}), pruned: now(),
	}
}

// Add says that a session was revoked. Its watchers are told before Add returns. Adding it again is no error.
func (r *Revocations) Add(sessionID string, revokedAt time.Time) {
	r.mu.Lock()
	now := r.now()
	if until := revokedAt.Add(r.lifetime); until.After(now) && until.After(r.dead[sessionID]) {
		r.dead[sessionID] = until
	}
	// A stream may be older than any token, so its watchers are told however old the revocation is.
	told := r.watchers[sessionID]
	delete(r.watchers, sessionID)
	r.prune(now)
	r.mu.Unlock()
	for w := range told {
		w.revoked()
	}
}

// Check reports whether a session was revoked.
func (r *Revocations) Check(sessionID string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, dead := r.dead[sessionID]
	return dead
}

// Watch returns a channel that is closed when the session is revoked, at once if it is already. stop must be called when
// nobody looks at it any longer; it does not close the channel.
func (r *Revocations) Watch(sessionID string) (revoked <-chan struct{}, stop func()) {
	c := make(chan struct{})
	return c, r.OnRevoke(sessionID, func() { close(c) })
}

// OnRevoke calls act once when the session is revoked, before it returns if it is already. act must not block. stop
// must be called when it is not wanted any longer; act may be running then.
func (r *Revocations) OnRevoke(sessionID string, act func()) (stop func()) {
	w := &watcher{revoked: act}
	r.mu.Lock()
	if _, dead := r.dead[sessionID]; dead {
		r.mu.Unlock()
		act()
		return func() {}
	}
	set := r.watchers[sessionID]
	if set == nil {
		set = make(map[*watcher]struct{}, 1)
		r.watchers[sessionID] = set
	}
	set[w] = struct{}{}
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		set := r.watchers[sessionID]
		delete(set, w)
		if len(set) == 0 {
			delete(r.watchers, sessionID)
		}
	}
}

// Len returns how many revoked sessions are remembered.
func (r *Revocations) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.dead)
}

// prune forgets what has expired, at most once in a tenth of a lifetime. The lock is held.
func (r *Revocations) prune(now time.Time) {
	if now.Sub(r.pruned) < r.lifetime/10 {
		return
	}
	r.pruned = now
	for id, until := range r.dead {
		if !until.After(now) {
			delete(r.dead, id)
		}
	}
}
