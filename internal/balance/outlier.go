package balance

import "time"

// When an instance is left out, and for how long.
const (
	failureLimit  = 5                // failures in a row
	firstEjection = 5 * time.Second  // each one in a row is twice as long
	longEjection  = 60 * time.Second // at most
	forgiven      = 2 * time.Minute  // after which an earlier ejection does not count
	hung          = time.Second      // how long a call must have waited in vain to count as a failure
)

// succeeded clears a member's record.
func (m *member) succeeded() {
	if m.failures.Load() != 0 {
		m.failures.Store(0)
	}
}

// failed notes a failure of a member, which may be the one too many.
func (b *Balancer) failed(m *member) {
	if m.failures.Add(1) < failureLimit {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.ejected || b.closed || b.members[m.Instance] != m {
		return
	}
	out := 1
	for _, other := range b.members {
		if other.ejected {
			out++
		}
	}
	if 2*out > len(b.members) {
		return // half of them must go on, whatever they answer
	}
	if time.Since(m.returned) > forgiven {
		m.ejections = 0
	}
	wait := min(firstEjection<<min(m.ejections, 10), longEjection)
	m.ejections++
	m.ejected = true
	m.timer = time.AfterFunc(wait, func() { b.restore(m) })
	b.rebuild()
	b.count.ejections.Inc()
	b.log.Warn("instance is left out after failures in a row", "instance", m.ID, "address", m.URL, "for", wait)
}

// restore takes a member back on probation: one more failure ejects it again.
func (b *Balancer) restore(m *member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.members[m.Instance] != m {
		return
	}
	m.ejected = false
	m.returned = time.Now()
	m.failures.Store(failureLimit - 1)
	b.rebuild()
	b.log.Info("instance is tried again", "instance", m.ID, "address", m.URL)
}
