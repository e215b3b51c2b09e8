package edge

import (
	"sync"
	"time"
)

// pending is the connections that have not signed in. They are bounded, and so is their time.
type pending struct {
	limit int

	mu     sync.Mutex
	until  map[*conn]time.Time
	closed bool
}

func newPending(limit int) *pending { return &pending{limit: limit, until: make(map[*conn]time.Time)} }

// add counts a connection that has until a time to sign in. It returns false when there are too many.
func (p *pending) add(k *conn, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.until) >= p.limit {
		return false
	}
	p.until[k] = until
	return true
}

// signedIn takes a connection out, also one that is gone.
func (p *pending) signedIn(k *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.until, k)
}

// expire ends those whose time is over.
func (p *pending) expire(now time.Time) {
	p.mu.Lock()
	var late []*conn
	for k, until := range p.until {
		if now.After(until) {
			late = append(late, k)
			delete(p.until, k)
		}
	}
	p.mu.Unlock()
	for _, k := range late {
		if k.session.Load() == nil {
			k.edge.begin(func() { k.farewell(goodbyeLate()) })
		}
	}
}

// closeAll ends all of them.
func (p *pending) closeAll() {
	p.mu.Lock()
	p.closed = true
	all := make([]*conn, 0, len(p.until))
	for k := range p.until {
		all = append(all, k)
	}
	p.mu.Unlock()
	for _, k := range all {
		k.close()
	}
}
