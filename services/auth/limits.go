package auth

import (
	"container/list"
	"context"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/netaddr"
)

// clientAddressHeader is where the gateway puts the address of the client it calls for.
const clientAddressHeader = "X-Stoa-Client-Address"

const (
	maxTracked    = 1 << 16 // keys that a limiter remembers; the one unused for longest is forgotten first
	firstDelay    = time.Minute
	longestDelay  = time.Hour
	doublingLimit = 16 // of firstDelay: far beyond longestDelay, and no overflow
)

// tries counts attempts to guess something. Attempts are counted before they are made, so that many at once count, too,
// and forgiven when they were right.
type tries struct {
	window time.Duration
	now    func() time.Time

	mu      sync.Mutex
	tracked recent[tried]
}

type tried struct {
	count int
	last  time.Time
}

// try is one thing that an attempt counts for, with how many are free.
type try struct {
	key  string
	free int
}

func newTries(window time.Duration, now func() time.Time) *tries {
	return &tries{window: window, now: now}
}

// take counts one attempt for each of the keys, or none of them if one has to wait. What is refused leaves no key
// behind: else one blocked address could make the limiter forget everybody by asking for ever new names. Errors:
// RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS).
func (t *tries) take(keys ...try) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var wait time.Duration
	for _, k := range keys {
		if seen, ok := t.tracked.find(k.key); ok {
			if t.stale(*seen, k) {
				*seen = tried{}
			}
			wait = max(wait, seen.wait(k, now))
		}
	}
	if wait > 0 {
		return errTooManyAttempts(wait)
	}
	for _, k := range keys {
		seen := t.tracked.get(k.key)
		seen.count++
		seen.last = now
	}
	return nil
}

// check is take that counts nothing.
func (t *tries) check(k try) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen, ok := t.tracked.peek(k.key)
	if !ok || t.stale(seen, k) {
		return nil
	}
	if wait := seen.wait(k, t.now()); wait > 0 {
		return errTooManyAttempts(wait)
	}
	return nil
}

// stale reports whether attempts are so long ago that counting starts anew.
func (t *tries) stale(seen tried, k try) bool {
	return t.now().Sub(seen.last) >= max(t.window, 2*growing(seen.count-k.free))
}

// wait is how long the next attempt has to.
func (seen tried) wait(k try, now time.Time) time.Duration {
	return seen.last.Add(growing(seen.count - k.free)).Sub(now)
}

// forgive takes back one attempt for each of the keys.
func (t *tries) forgive(keys ...try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		if seen, ok := t.tracked.find(k.key); ok && seen.count > 0 {
			seen.count--
		}
	}
}

// forget starts anew for the keys.
func (t *tries) forget(keys ...try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		if seen, ok := t.tracked.find(k.key); ok {
			*seen = tried{}
		}
	}
}

// growing is how long the attempt after so many excessive ones has to wait: none yet for a negative number.
func growing(excess int) time.Duration {
	if excess < 0 {
		return 0
	}
	return min(firstDelay<<min(excess, doublingLimit), longestDelay)
}

// quota lets each key do something at a steady rate, with a reserve for bursts (a token bucket).
type quota struct {
	perMinute float64
	burst     float64
	now       func() time.Time

	mu      sync.Mutex
	tracked recent[bucket]
}

type bucket struct {
	used float64
	last time.Time
}

func newQuota(perMinute, burst int, now func() time.Time) *quota {
	return &quota{perMinute: float64(perMinute), burst: float64(burst), now: now}
}

// take uses one up. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (q *quota) take(key string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	b, now := q.tracked.get(key), q.now()
	if elapsed := now.Sub(b.last); elapsed > 0 {
		b.used = max(0, b.used-elapsed.Minutes()*q.perMinute)
		b.last = now
	}
	if b.used+1 > q.burst {
		wait := time.Duration((b.used + 1 - q.burst) / q.perMinute * float64(time.Minute))
		return retryLater(errs.ReasonRateLimited, "too many at once: wait before the next one", wait)
	}
	b.used++
	return nil
}

// recent maps keys to values and forgets the key that was not asked for longest when there are too many.
type recent[V any] struct {
	entries map[string]*list.Element
	order   list.List // of entry[V], the latest in front
}

type entry[V any] struct {
	key   string
	value V
}

// get returns the value of key, a zero one if it was not there. It is good until the next get.
func (r *recent[V]) get(key string) *V {
	if value, ok := r.find(key); ok {
		return value
	}
	if r.entries == nil {
		r.entries = make(map[string]*list.Element)
	}
	if len(r.entries) >= maxTracked {
		oldest := r.order.Back()
		delete(r.entries, oldest.Value.(*entry[V]).key) //nolint:forcetypeassert // only these are in it
		r.order.Remove(oldest)
	}
	fresh := &entry[V]{key: key}
	r.entries[key] = r.order.PushFront(fresh)
	return &fresh.value
}

// find is get that adds nothing.
func (r *recent[V]) find(key string) (value *V, ok bool) {
	e, ok := r.entries[key]
	if !ok {
		return nil, false
	}
	r.order.MoveToFront(e)
	return &e.Value.(*entry[V]).value, true //nolint:forcetypeassert // only these are in it
}

// peek returns the value of key without keeping it from being forgotten.
func (r *recent[V]) peek(key string) (value V, ok bool) {
	e, ok := r.entries[key]
	if ok {
		value = e.Value.(*entry[V]).value //nolint:forcetypeassert // only these are in it
	}
	return value, ok
}

func errTooManyAttempts(wait time.Duration) *errs.Error {
	return retryLater(ReasonTooManyAttempts, "too many attempts: wait before the next one", wait)
}

func retryLater(reason, message string, wait time.Duration) *errs.Error {
	ms := max(1, (wait + time.Millisecond - 1).Milliseconds())
	return errs.ResourceExhausted(reason, "%s", message).With("retry_after_ms", strconv.FormatInt(ms, 10))
}

// clientAddress returns from where a call comes, "" when that cannot be known: the address of the connection, or, when
// the connection is in memory or the operator says that all are the gateway's, what the gateway says. X-Forwarded-For
// is never read, since anybody may send it. Of an IPv6 address it is the /64, which one client has to itself.
func clientAddress(ctx context.Context, trusted bool) string {
	call, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return ""
	}
	peer, err := netip.ParseAddrPort(call.Peer().Addr)
	address := peer.Addr()
	if err != nil || trusted {
		if address, err = netip.ParseAddr(call.RequestHeader().Get(clientAddressHeader)); err != nil {
			return ""
		}
	}
	return netaddr.ClientName(address)
}
