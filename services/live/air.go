package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
)

// Reasons for which an encoder is cut. They are in the log; RTMP has no way to say them mid-stream.
var (
	errEnded      = errors.New("the broadcast was ended")
	errKeyRevoked = errors.New("the stream key was revoked")
)

const (
	// saveTimeout bounds what a change of state may wait for the database or the bus.
	saveTimeout = 5 * time.Second
	// maxRest is the longest that a room refuses encoders after its broadcast was ended by hand.
	maxRest = 30 * time.Second
)

// air is what is going on in the rooms of this node. Its lock guards the maps and is never held while anything is
// waited for; each running broadcast has a lock of its own, under which it changes state, is saved and is told of, so
// that everybody sees states in one order. The broadcast's lock is never taken under air's, nor air's under it.
type air struct {
	service *Service
	mu      sync.Mutex
	rooms   map[string]*running  // by room
	resting map[string]time.Time // rooms whose broadcast was ended by hand, until when they refuse encoders
	closed  bool
	tasks   sync.WaitGroup
	ending  context.Context //nolint:containedctx // of tasks that go on until close
	stop    context.CancelFunc
}

// running is one broadcast that has not ended.
type running struct {
	room   Room
	stream *hub.Stream
	tally  *tally
	shown  atomic.Pointer[Broadcast] // as it was last told of; readers take view
	gone   chan struct{}             // closed when the room is free for the next broadcast
	cover  context.CancelFunc
	wake   chan struct{} // of the room's covers: take one now

	mu        sync.Mutex
	broadcast Broadcast
	encoder   *encoder    // nil without one
	window    *time.Timer // ends the broadcast when the encoder stays away
}

func newAir(s *Service) *air {
	a := &air{service: s, rooms: make(map[string]*running), resting: make(map[string]time.Time)}
	a.ending, a.stop = context.WithCancel(context.Background())
	return a
}

// keepCounts saves what broadcasts come to, until close.
func (a *air) keepCounts() {
	a.tasks.Go(func() { a.service.saveTalliesOften(a.ending) })
}

// get returns the running broadcast of a room, or nil.
func (a *air) get(roomID string) *running {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rooms[roomID]
}

// view returns a broadcast as it stands, with what it came to so far.
func (a *air) view(r *running) Broadcast {
	b := *r.shown.Load()
	b.Viewers = a.service.viewers.count(r.room.ConversationID)
	if b.State != Ended {
		b.Counts = r.tally.now()
	}
	return b
}

// now returns all running broadcasts as they stand, by room.
func (a *air) now() map[string]Broadcast {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]Broadcast, len(a.rooms))
	for id, r := range a.rooms {
		out[id] = a.view(r)
	}
	return out
}

// totals adds up what is live or interrupted.
func (a *air) totals() (broadcasts, viewers, connections int) {
	a.mu.Lock()
	all := slices.Collect(maps.Values(a.rooms))
	a.mu.Unlock()
	for _, r := range all {
		if b := a.view(r); b.State.Watchable() {
			broadcasts++
			viewers += b.Viewers
			connections += r.stream.Stats().Viewers
		}
	}
	return broadcasts, viewers, connections
}

// stats returns the figures of a room's incoming stream. Errors: NOT_LIVE.
func (a *air) stats(roomID string) (hub.Stats, Broadcast, error) {
	r := a.get(roomID)
	if r == nil {
		return hub.Stats{}, Broadcast{}, errNotLive()
	}
	return r.stream.Stats(), *r.shown.Load(), nil
}

// join starts a broadcast in the room, or goes on with the one that waits for its encoder. It returns errEnded, after
// waiting for the room to be free, where that broadcast is ending.
func (a *air) join(ctx context.Context, room Room, kick func(error)) (*encoder, error) {
	r, fresh, err := a.enter(room)
	if err != nil {
		return nil, err
	}
	if !fresh {
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	if r.broadcast.State == Ended {
		select {
		case <-r.gone:
			return nil, errEnded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fresh {
		if err := a.service.db.startBroadcast(ctx, r.broadcast); err != nil {
			r.broadcast.State = Ended
			a.tasks.Go(func() { a.leave(r, 0) })
			return nil, err
		}
		a.service.announce(r.broadcast, r.room)
	}
	publication, err := r.stream.Publish()
	if err != nil {
		return nil, ingest.Refuse("Another encoder is using this stream key.")
	}
	r.encoder = &encoder{air: a, running: r, publication: publication, kick: kick}
	if r.window != nil {
		r.window.Stop()
		r.window = nil
	}
	return r.encoder, nil
}

// enter returns the room's running broadcast, or a fresh one whose lock the caller holds.
func (a *air) enter(room Room) (r *running, fresh bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, false, ingest.Refuse("The server is stopping. Try again soon.")
	}
	now := a.service.stamp()
	if until := a.resting[room.ID]; now.Before(until) {
		return nil, false, ingest.Refuse("The broadcast was just ended. Start again in %d s.", int(until.Sub(now).Seconds())+1)
	}
	delete(a.resting, room.ID)
	if r := a.rooms[room.ID]; r != nil {
		return r, false, nil
	}
	id := ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String()
	r = a.openLocked(room, Broadcast{ID: id, RoomID: room.ID, State: Starting, Title: room.Title, StartedAt: now})
	r.mu.Lock() // nobody else can have it: the map is still locked
	return r, true, nil
}

// openLocked makes what a running broadcast needs. The caller holds a.mu.
func (a *air) openLocked(room Room, b Broadcast) *running {
	r := &running{
		room: room, broadcast: b, stream: a.service.hub.Open(room.ID), tally: newTally(b),
		gone: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	r.shown.Store(&b)
	a.rooms[room.ID] = r
	a.service.tallies.add(room.ConversationID, r.tally)
	r.tally.viewers(a.service.viewers.count(room.ConversationID)) // who is there already
	a.service.hls.Start(b.ID, r.stream)
	var ctx context.Context
	ctx, r.cover = context.WithCancel(context.Background())
	a.tasks.Go(func() { a.service.covers.run(ctx, room.ID, r.stream, r.wake) })
	return r
}

// resume takes up the broadcasts that a former process left unfinished: their encoders may return within the window.
func (a *air) resume(ctx context.Context) error {
	left, err := a.service.db.unfinished(ctx)
	if err != nil {
		return err
	}
	for _, b := range left {
		room, err := a.service.db.room(ctx, b.RoomID)
		if err != nil {
			a.service.log.Error("resume broadcast", "broadcast", b.ID, "room", b.RoomID, "error", err)
			continue
		}
		a.mu.Lock()
		r := a.openLocked(room, b)
		a.mu.Unlock()
		r.mu.Lock()
		a.interruptLocked(r)
		r.mu.Unlock()
	}
	return nil
}

// changeLocked moves a broadcast to a state, saves it and tells everyone. The caller holds r.mu.
func (a *air) changeLocked(r *running, state State) {
	if r.broadcast.State == state || r.broadcast.State == Ended {
		return
	}
	a.service.log.Info("broadcast", "room", r.room.ID, "broadcast", r.broadcast.ID, "from", r.broadcast.State, "to", state)
	r.broadcast.State = state
	r.broadcast.Counts = r.tally.now()
	if state == Ended {
		r.broadcast.EndedAt = a.service.stamp()
	}
	shown := r.broadcast
	r.shown.Store(&shown)
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := a.service.db.saveBroadcast(ctx, r.broadcast); err != nil {
		// The state in memory is what viewers see; the next change, or the next start, saves again.
		a.service.log.Error("save broadcast", "broadcast", r.broadcast.ID, "error", err)
	}
	a.service.announce(r.broadcast, r.room)
}

// interruptLocked waits for the encoder to return. The caller holds r.mu.
func (a *air) interruptLocked(r *running) {
	a.changeLocked(r, Interrupted)
	r.window = time.AfterFunc(a.service.config.ReconnectWindow, func() { a.endAbsent(r) })
}

// endAbsent ends a broadcast whose encoder has not returned.
func (a *air) endAbsent(r *running) {
	r.mu.Lock()
	if a.isClosed() || r.broadcast.State == Ended || r.encoder != nil {
		r.mu.Unlock()
		return
	}
	a.changeLocked(r, Ended)
	r.mu.Unlock()
	a.leave(r, 0)
}

// end ends a broadcast whatever its encoder does: an encoder that reconnects by itself must not undo what a person
// decided, so the room rests for a while.
func (a *air) end(r *running) {
	r.mu.Lock()
	if r.broadcast.State == Ended {
		r.mu.Unlock()
		return
	}
	if r.window != nil {
		r.window.Stop()
	}
	a.changeLocked(r, Ended)
	e := r.encoder
	r.encoder = nil
	r.mu.Unlock()
	a.leave(r, min(a.service.config.ReconnectWindow, maxRest))
	if e != nil {
		e.kick(errEnded)
	}
}

// leave frees the room of an ended broadcast and lets its viewers go.
func (a *air) leave(r *running, rest time.Duration) {
	a.mu.Lock()
	if a.rooms[r.room.ID] == r {
		delete(a.rooms, r.room.ID)
		a.service.hub.Detach(r.room.ID) // whoever publishes next gets another stream
		if rest > 0 {
			a.resting[r.room.ID] = a.service.now().Add(rest)
		}
	}
	a.mu.Unlock()
	close(r.gone)
	a.service.tallies.remove(r.room.ConversationID, r.tally)
	r.cover()
	r.stream.Close()
	a.service.hls.Stop(r.broadcast.ID)
}

// cut disconnects the encoder of a room; the broadcast waits for another.
func (a *air) cut(roomID string, reason error) {
	r := a.get(roomID)
	if r == nil {
		return
	}
	r.mu.Lock()
	e := r.encoder
	r.mu.Unlock()
	if e != nil {
		e.kick(reason)
	}
}

// endAllOf ends all broadcasts in a person's rooms.
func (a *air) endAllOf(ownerID string) {
	a.mu.Lock()
	var theirs []*running
	for _, r := range a.rooms {
		if r.room.OwnerID == ownerID {
			theirs = append(theirs, r)
		}
	}
	a.mu.Unlock()
	for _, r := range theirs {
		a.end(r)
	}
}

func (a *air) isClosed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}

// close lets go of all broadcasts without ending them: a process that takes over resumes them.
func (a *air) close() {
	a.mu.Lock()
	a.closed = true
	rooms := a.rooms
	a.rooms = make(map[string]*running)
	a.mu.Unlock()
	for _, r := range rooms {
		r.mu.Lock()
		if r.window != nil {
			r.window.Stop()
		}
		r.mu.Unlock()
		r.cover()
	}
	a.stop()
	a.tasks.Wait()
	a.service.saveTallies()
}
