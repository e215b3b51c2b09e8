package edge

import (
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/netaddr"
)

// pending is the connections that have not signed in. They are bounded, and so is their time.
type pending struct {
	limit, perAddress int
	waiting           prometheus.Gauge

	mu     sync.Mutex
	until  map[*conn]time.Time
	from   map[string]int // how many come from each address
	closed bool
}

func newPending(limit, perAddress int, waiting prometheus.Gauge) *pending {
	return &pending{limit: limit, perAddress: perAddress, waiting: waiting, until: make(map[*conn]time.Time), from: make(map[string]int)}
}

// add counts a connection that has until a time to sign in. It returns false when there are too many, or too many from its
// address: one that opens many shall not keep all others out.
func (p *pending) add(k *conn, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.until) >= p.limit || p.from[k.origin] >= p.perAddress {
		return false
	}
	p.until[k] = until
	p.from[k.origin]++
	p.waiting.Inc()
	return true
}

// remove takes a connection out. The lock is held.
func (p *pending) remove(k *conn) {
	if _, ok := p.until[k]; !ok {
		return
	}
	delete(p.until, k)
	p.waiting.Dec()
	if p.from[k.origin]--; p.from[k.origin] <= 0 {
		delete(p.from, k.origin)
	}
}

// originOf is what connections are counted by.
func originOf(peer string) string {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return peer
	}
	return netaddr.ClientName(at.Addr())
}

// signedIn takes a connection out, also one that is gone.
func (p *pending) signedIn(k *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(k)
}

// expire ends those whose time is over.
func (p *pending) expire(now time.Time) {
	p.mu.Lock()
	var late []*conn
	for k, until := range p.until {
		if now.After(until) {
			late = append(late, k)
			p.remove(k)
		}
	}
	p.mu.Unlock()
	for _, k := range late {
		if k.session.Load() == nil {
			k.edge.begin(k.late)
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
