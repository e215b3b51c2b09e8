package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
)

// Reasons for which an encoder is cut. Encoders see them in logs only; RTMP has no way to say them mid-stream.
var (
	errEnded      = errors.New("the broadcast was ended")
	errKeyRevoked = errors.New("the stream key was revoked")
)

// saveTimeout bounds what a state change may wait for the database or the bus.
const saveTimeout = 5 * time.Second

// air is what is going on in the rooms of this node. Each running broadcast has its own lock, under which it changes
// state, is saved and is told of, so that everybody sees states in one order.
type air struct {
	service *Service
	mu      sync.Mutex
	rooms   map[string]*running  // by room
	resting map[string]time.Time // rooms whose broadcast was ended by hand, until when they refuse encoders
	closed  bool
	timers  sync.WaitGroup
}

// running is one broadcast that has not ended.
type running struct {
	mu        sync.Mutex
	room      Room
	broadcast Broadcast
	stream    *hub.Stream
	encoder   *encoder    // nil without one
	window    *time.Timer // ends the broadcast when the encoder stays away
	cover     context.CancelFunc
}

func newAir(s *Service) *air {
	return &air{service: s, rooms: make(map[string]*running), resting: make(map[string]time.Time)}
}

// get returns the running broadcast of a room, or nil.
func (a *air) get(roomID string) *running {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rooms[roomID]
}

// now returns all running broadcasts as they stand, by room.
func (a *air) now() map[string]Broadcast {
	a.mu.Lock()
	all := make([]*running, 0, len(a.rooms))
	for _, r := range a.rooms {
		all = append(all, r)
	}
	a.mu.Unlock()
	out := make(map[string]Broadcast, len(all))
	for _, r := range all {
		b := r.snapshot()
		b.Viewers = a.service.viewers.count(r.room.ConversationID)
		out[b.RoomID] = b
	}
	return out
}

func (r *running) snapshot() Broadcast {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broadcast
}

// Authorize implements ingest.Authorizer.
func (a *air) Authorize(ctx context.Context, app, key string, kick func(reason error)) (ingest.Publication, error) {
	publication, err := a.admit(ctx, app, key, kick)
	result := publishAccepted
	if err != nil {
		result = publishRefused
	}
	a.service.metrics.publishes.WithLabelValues(result).Inc()
	return publication, err
}

func (a *air) admit(ctx context.Context, app, key string, kick func(reason error)) (ingest.Publication, error) {
	if app != rtmpApp {
		return nil, ingest.Refuse("Unknown application %q: the server address ends in /%s.", app, rtmpApp)
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	room, ok, err := a.service.db.roomByKey(ctx, hashKey(key))
	if err != nil {
		a.service.log.Error("authorize publish", "error", err)
		return nil, ingest.Refuse("The server cannot check stream keys right now. Try again soon.")
	}
	if !ok {
		return nil, ingest.Refuse("The stream key is unknown or was revoked. Copy the current one.")
	}
	return a.join(ctx, room, kick)
}

// join starts a broadcast in the room, or goes on with the one that waits for its encoder.
func (a *air) join(ctx context.Context, room Room, kick func(error)) (ingest.Publication, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ingest.Refuse("The server is stopping. Try again soon.")
	}
	now := a.service.now()
	if until := a.resting[room.ID]; now.Before(until) {
		return nil, ingest.Refuse("The broadcast was just ended. Start again in %d s.", int(until.Sub(now).Seconds())+1)
	}
	delete(a.resting, room.ID)
	r := a.rooms[room.ID]
	if r == nil {
		b := Broadcast{ID: ulid.MustNew(ulid.Timestamp(now), ulid.DefaultEntropy()).String(), RoomID: room.ID, State: Starting, StartedAt: now}
		if err := a.service.db.startBroadcast(ctx, b); err != nil {
			a.service.log.Error("start broadcast", "room", room.ID, "error", err)
			return nil, ingest.Refuse("The server cannot start the broadcast right now. Try again soon.")
		}
		r = a.open(room, b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	publication, err := r.stream.Publish()
	if err != nil {
		return nil, ingest.Refuse("Another encoder is using this stream key.")
	}
	r.encoder = &encoder{air: a, running: r, publication: publication, kick: kick}
	if r.window != nil {
		r.window.Stop()
		r.window = nil
	}
	if r.broadcast.State == Starting {
		a.service.announce(r.broadcast, r.room)
	}
	return r.encoder, nil
}

// open makes what a running broadcast needs. The caller holds a.mu.
func (a *air) open(room Room, b Broadcast) *running {
	r := &running{room: room, broadcast: b, stream: a.service.hub.Open(room.ID)}
	a.rooms[room.ID] = r
	a.service.hls.Start(b.ID, r.stream)
	var ctx context.Context
	ctx, r.cover = context.WithCancel(context.Background())
	a.timers.Go(func() { a.service.covers.run(ctx, room.ID, r.stream, a.service.coverTaken) })
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
			return fmt.Errorf("resume broadcast %s: %w", b.ID, err)
		}
		a.mu.Lock()
		r := a.open(room, b)
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
	if state == Ended {
		r.broadcast.EndedAt = a.service.now()
	}
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
	r.window = time.AfterFunc(a.service.config.ReconnectWindow, func() { a.end(r, errEnded, true) })
}

// end ends a broadcast: encoder, viewers and packaging stop. onlyAbsent ends it only where the encoder has not returned.
func (a *air) end(r *running, reason error, onlyAbsent bool) Broadcast {
	a.mu.Lock()
	r.mu.Lock()
	if a.closed || r.broadcast.State == Ended || (onlyAbsent && r.encoder != nil) {
		b := r.broadcast
		r.mu.Unlock()
		a.mu.Unlock()
		return b
	}
	delete(a.rooms, r.room.ID)
	if !onlyAbsent && reason == errEnded {
		// An encoder that reconnects by itself must not undo what a person decided.
		a.resting[r.room.ID] = a.service.now().Add(a.service.config.ReconnectWindow)
	}
	a.mu.Unlock()
	if r.window != nil {
		r.window.Stop()
	}
	a.changeLocked(r, Ended)
	b, e := r.broadcast, r.encoder
	r.encoder = nil
	r.mu.Unlock()
	if e != nil {
		e.kick(reason)
	}
	r.cover()
	a.service.hub.Remove(r.room.ID)
	a.service.hls.Stop(b.ID)
	return b
}

// cut disconnects the encoder; the broadcast waits for another.
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
	a.timers.Wait()
}

// encoder is one accepted publish.
type encoder struct {
	air         *air
	running     *running
	publication *hub.Publication
	kick        func(reason error) // cuts the connection
	onAir       bool
}

// Write implements ingest.Publication.
func (e *encoder) Write(kind hub.Kind, timestamp uint32, payload []byte) error {
	if err := e.publication.Write(kind, timestamp, payload); err != nil {
		return err
	}
	if !e.onAir && e.publication.Media() {
		e.onAir = true
		e.running.mu.Lock()
		e.air.changeLocked(e.running, Live)
		e.running.mu.Unlock()
	}
	return nil
}

// Close implements ingest.Publication.
func (e *encoder) Close(reason error) {
	r := e.running
	r.mu.Lock()
	e.publication.Close()
	idle := false
	if r.encoder == e {
		r.encoder = nil
		if idle = r.broadcast.State == Starting; !idle {
			e.air.interruptLocked(r)
		}
	}
	r.mu.Unlock()
	e.air.service.log.Info("encoder left", "room", r.room.ID, "reason", reason)
	if idle {
		e.air.end(r, errEnded, true) // it never sent anything
	}
}

// stats returns the figures of a room's incoming stream. Errors: NOT_LIVE.
func (a *air) stats(roomID string) (hub.Stats, Broadcast, error) {
	r := a.get(roomID)
	if r == nil {
		return hub.Stats{}, Broadcast{}, errNotLive()
	}
	return r.stream.Stats(), r.snapshot(), nil
}

var _ ingest.Authorizer = (*air)(nil)
