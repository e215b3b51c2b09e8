package balance

import (
	"sync"
	"sync/atomic"
	"time"
)

// The budget of retries, so that they cannot multiply the load on instances that are failing under it.
const (
	retryShare  = 0.2 // of the calls
	retryRate   = 3.  // a second beside that, for names with few calls
	retrySaved  = 100 // at most
	retryAtOnce = 10  // in the beginning
)

// budget allows retries. Its zero value is ready.
type budget struct {
	calls atomic.Int64

	mu      sync.Mutex
	counted int64 // of the calls
	saved   float64
	at      time.Time
}

// earn counts a call.
func (b *budget) earn() { b.calls.Add(1) }

// spend takes one retry, if there is one.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.at, b.saved = now, retryAtOnce
	}
	calls := b.calls.Load()
	b.saved += float64(calls-b.counted)*retryShare + max(0, now.Sub(b.at).Seconds())*retryRate
	b.saved = min(b.saved, retrySaved)
	b.counted, b.at = calls, now
	if b.saved < 1 {
		return false
	}
	b.saved--
	return true
}
