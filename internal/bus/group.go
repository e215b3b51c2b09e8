package bus

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// lanes is into how many independent lines a group sorts its keys. Events of one lane are handled one after the other,
// whichever member does it, which keeps the order of keys while members come and go.
const lanes = 64

// group holds the events of one group of a topic.
type group struct {
	seed  maphash.Seed
	room  chan struct{} // one token for each event held
	ready chan int      // lanes that hold events and that nobody works on; each is in it at most once
	gone  chan struct{} // closed when nobody is left to handle events
	idle  sync.WaitGroup

	members int // guarded by mem.mu

	mu      sync.Mutex
	lanes   [lanes]lane
	held    int
	drained *sync.Cond // held became zero, or the waiter's context ended
	dead    bool       // gone is closed
}

type lane struct {
	events []heldEvent
	taken  bool // in ready, or worked on
}

type heldEvent struct {
	Event

	published time.Time
}

func newGroup(queue int) *group {
	g := &group{
		seed: maphash.MakeSeed(), room: make(chan struct{}, queue), ready: make(chan int, lanes), gone: make(chan struct{}),
	}
	g.drained = sync.NewCond(&g.mu)
	return g
}

// put waits for room and appends the event to its lane.
func (g *group) put(ctx context.Context, closing <-chan struct{}, event Event) error {
	select {
	case g.room <- struct{}{}:
	default:
		select {
		case g.room <- struct{}{}:
		case <-g.gone:
			return nil
		case <-closing:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx))
		}
	}
	held := heldEvent{Event: event, published: time.Now()}
	at := int(maphash.String(g.seed, event.Key) % lanes) //nolint:gosec // below 64
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return nil
	}
	l := &g.lanes[at]
	l.events = append(l.events, held)
	g.held++
	if !l.taken {
		l.taken = true
		g.ready <- at
	}
	return nil
}

// head returns the event to work on in a lane that was taken from ready.
func (g *group) head(at int) (heldEvent, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return heldEvent{}, false
	}
	return g.lanes[at].events[0], true
}

// handled removes the head of a lane, or keeps it when it must be handed out again, and gives the lane back.
func (g *group) handled(at int, done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return
	}
	l := &g.lanes[at]
	if done {
		l.events[0] = heldEvent{}
		l.events = l.events[1:]
		<-g.room
		if g.held--; g.held == 0 {
			g.drained.Broadcast()
		}
	}
	if l.taken = len(l.events) > 0; l.taken {
		g.ready <- at
	} else {
		l.events = nil
	}
}

// drain waits until nothing is held or ctx ends, and returns how many events are left.
func (g *group) drain(ctx context.Context) int {
	wake := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.drained.Broadcast()
	})
	defer wake()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.held > 0 && ctx.Err() == nil {
		g.drained.Wait()
	}
	return g.held
}

// abandon drops what is held and lets waiting publishers go.
func (g *group) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return
	}
	g.dead = true
	close(g.gone)
	g.held = 0
	for i := range g.lanes {
		g.lanes[i].events = nil
	}
	g.drained.Broadcast()
}

// member is one subscription: a goroutine that works on one event at a time.
type member struct {
	deliverer

	group   *group
	leave   func()
	stop    chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// Close implements Subscription.
func (s *member) Close() error {
	s.once.Do(func() { close(s.stop) })
	s.running.Wait()
	return nil
}

func (s *member) run() {
	defer s.group.idle.Done()
	defer s.leave()
	for {
		select { // stop first: after it no event is begun
		case <-s.stop:
			return
		default:
		}
		select {
		case <-s.stop:
			return
		case <-s.group.gone:
			return
		case at := <-s.group.ready:
			if event, ok := s.group.head(at); ok {
				s.group.handled(at, s.deliver(event.Event, event.published).done)
			}
		}
	}
}
