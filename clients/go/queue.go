package stoa

import (
	"context"
	"sync"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// item is one thing that a program is told; one field is set.
type item struct {
	events []*edgev1.Event
	sync   *edgev1.SignedIn
	status *Status
	act    func()
}

// queue is what waits for the callbacks. It takes no more than a number of events: those above it are dropped, and a sync
// is told in their place. The reader of the socket never waits for it, so a callback may wait for an answer that comes
// over the same socket.
type queue struct {
	limit int
	wake  chan struct{}

	mu      sync.Mutex
	items   []item
	events  int              // that wait
	signed  *edgev1.SignedIn // the session of the last one
	dropped bool             // events, since the last sync that waits or was taken
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// put adds events.
func (q *queue) put(events []*edgev1.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped || q.events+len(events) > q.limit {
		q.dropped = true // the sync comes when there is room again, and after it all that follows
		q.syncWhenRoom()
		return
	}
	q.events += len(events)
	q.add(item{events: events})
}

// session tells that events of a new session follow. What waits of the one before stays: it happened.
func (q *queue) session(signed *edgev1.SignedIn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signed = signed
	q.dropped = false
	if n := len(q.items); n > 0 && q.items[n-1].sync != nil {
		q.items[n-1].sync = signed
		return
	}
	q.add(item{sync: signed})
}

// status tells a state in place of one that nobody saw.
func (q *queue) status(status Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(q.items) - 1; i >= 0; i-- {
		if q.items[i].status != nil {
			q.items[i].status = &status
			return
		}
	}
	q.add(item{status: &status})
}

// act has something done between the callbacks.
func (q *queue) act(do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(item{act: do})
}

func (q *queue) add(it item) {
	q.items = append(q.items, it)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// syncWhenRoom tells of dropped events once half of those that waited are gone.
func (q *queue) syncWhenRoom() {
	if q.dropped && q.events <= q.limit/2 {
		q.dropped = false
		q.add(item{sync: q.signed})
	}
}

// next waits for the next thing; false once ctx is over.
func (q *queue) next(ctx context.Context) (item, bool) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			it := q.items[0]
			q.items[0] = item{}
			q.items = q.items[1:]
			q.events -= len(it.events)
			q.syncWhenRoom()
			q.mu.Unlock()
			return it, ctx.Err() == nil
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return item{}, false
		}
	}
}
