package chat

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/bus"
)

const (
	// claimLease is how long a process has for publishing what it claimed.
	claimLease = 30 * time.Second
	// sweepInterval is how often rows are looked for whose process has not published them.
	sweepInterval = 10 * time.Second
	// claimLimit is how many rows are claimed at once.
	claimLimit = 100
	// eventsPublished is how many events go into one event of the bus.
	eventsPublished = 100
	// outboxQueue is how many batches may wait for the bus before the writer waits, too.
	outboxQueue = 64
)

// Publishing a message: the time one try may take, and the pauses between tries.
const (
	publishTimeout = 5 * time.Second
	publishPause   = 50 * time.Millisecond
	publishPauses  = time.Second
)

// outbox publishes what was committed, in the order of the commits, and repeats itself until the bus has taken it. The
// rows in the database are for whoever comes after a crash; a running process hands its own over in memory, claimed from
// their first moment, so that a send costs one transaction and not three.
type outbox struct {
	store   *store
	bus     bus.Bus
	metrics *metrics
	logger  *slog.Logger
	now     func() time.Time
	me      string // names this life of this process in claims

	queue   chan []run
	closing chan struct{}
	stopped chan struct{}
	ctx     context.Context //nolint:containedctx // of publishing; ends by hurry
	cancel  context.CancelFunc

	mu        sync.Mutex
	mine      map[int64]struct{}    // rows that wait in memory to be published or removed
	published []int64               // rows to be removed
	takenAway map[placeKey]struct{} // messages whose deletion waits to be published, after all of their own runs
	raised    map[string]raise      // conversations of which later comers wait to be told, after all that was before them
}

// placeKey is the place of a message.
type placeKey struct {
	conversationID string
	seq            int64
}

func newOutbox(s *store, b bus.Bus, m *metrics, logger *slog.Logger, now func() time.Time) *outbox {
	o := &outbox{
		store: s, bus: b, metrics: m, logger: logger, now: now, me: rand.Text(),
		queue: make(chan []run, outboxQueue), closing: make(chan struct{}), stopped: make(chan struct{}),
		mine: make(map[int64]struct{}), takenAway: make(map[placeKey]struct{}), raised: make(map[string]raise),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

// claim is what a row that is written now belongs to.
func (o *outbox) claim(now time.Time) claim { return claim{by: o.me, until: now.Add(claimLease)} }

// put takes runs that were committed, waiting while too many of them wait for the bus.
func (o *outbox) put(runs []run) {
	if len(runs) == 0 {
		return
	}
	o.own(runs)
	select {
	case o.queue <- runs:
	case <-o.stopped: // it gave up while closing; the rows stay for the next process
	}
}

// own notes runs as this process's and returns those that were not.
func (o *outbox) own(runs []run) (fresh []run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range runs {
		if _, ok := o.mine[r.outboxID]; !ok {
			o.mine[r.outboxID] = struct{}{}
			fresh = append(fresh, r)
			for _, seq := range r.takenAway {
				o.takenAway[placeKey{r.conversationID, seq}] = struct{}{}
			}
			if r.raised > 0 {
				o.raised[r.conversationID] = raise{r.commit, r.raised}
			}
		}
	}
	o.metrics.pending.Set(float64(len(o.mine)))
	return fresh
}

// run publishes: first what an earlier process left, then what is put, until close.
func (o *outbox) run() {
	defer close(o.stopped)
	// A database of one process has no other living claimant. (With a shared one, only claims that are over may be
	// taken here as well.)
	if !o.sweep(true) {
		return
	}
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		select {
		case runs := <-o.queue:
			if !o.publish(runs) {
				return
			}
		case <-sweep.C:
			if !o.sweep(false) {
				return
			}
		case <-o.closing:
			for {
				select {
				case runs := <-o.queue:
					if !o.publish(runs) {
						return
					}
				default:
					return
				}
			}
		}
	}
}

// close publishes what waits, until hurry was called or the bus refuses. What is left stays in the database. Nothing may
// be put any longer.
func (o *outbox) close() {
	close(o.closing)
	<-o.stopped
	o.cancel()
}

// hurry makes the outbox give up, so that neither close nor put waits for a bus that does not answer.
func (o *outbox) hurry() { o.cancel() }

// sweep publishes rows that nobody else will: their process died, or never learnt that its commit had succeeded. It
// returns what publish did; rows that cannot be read now will be looked for again.
func (o *outbox) sweep(fromOthers bool) bool {
	for {
		now := o.now()
		runs, err := o.store.claimRuns(o.ctx, o.claim(now), fromOthers, now, claimLimit)
		if err != nil {
			o.logger.LogAttrs(o.ctx, slog.LevelError, "outbox not swept", slog.String("cause", err.Error()))
			return true
		}
		if !o.publish(o.own(runs)) {
			return false
		}
		if len(runs) < claimLimit {
			return true
		}
	}
}

// publish publishes runs in their order. It returns false when it gave up, after which nothing more may be published:
// later messages must not overtake.
func (o *outbox) publish(runs []run) bool {
	for _, r := range runs {
		if !o.tell(r) {
			return false
		}
		o.mu.Lock()
		o.published = append(o.published, r.outboxID)
		for _, seq := range r.takenAway {
			delete(o.takenAway, placeKey{r.conversationID, seq})
		}
		if r.raised > 0 && o.raised[r.conversationID].commit == r.commit {
			delete(o.raised, r.conversationID)
		}
		o.mu.Unlock()
	}
	return true
}

func (o *outbox) tell(r run) bool {
	if r.userID != "" {
		return o.untilPublished("user_id", r.userID, func(ctx context.Context) error {
			return bus.Publish(ctx, o.bus, TopicUserEvents, r.userID, &chatv1.UserEvents{UserId: r.userID, Events: r.own})
		})
	}
	for events := range slices.Chunk(r.events, eventsPublished) {
		if !o.untilPublished("conversation_id", r.conversationID, func(ctx context.Context) error {
			now := o.asTheyAreNow(r, events)
			if len(now) == 0 {
				return nil
			}
			return bus.Publish(ctx, o.bus, TopicConversationEvents, r.conversationID,
				&chatv1.ConversationEvents{ConversationId: r.conversationID, Events: now})
		}) {
			return false
		}
	}
	return true
}

// asTheyAreNow returns events of a run, in which what was taken away while they waited here is empty, in quotes as well. Of
// messages that somebody who came meanwhile may not see it tells nothing but that they changed: their devices may hear the
// conversation already. Who lacks such a message sees a gap at the one that says that they came.
func (o *outbox) asTheyAreNow(r run, events []*chatv1.Event) []*chatv1.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	var from int64
	if later := o.raised[r.conversationID]; later.commit > r.commit {
		from = later.sharedFrom
	}
	if len(o.takenAway) == 0 && from == 0 {
		return events
	}
	out := make([]*chatv1.Event, 0, len(events))
	for _, event := range events {
		switch kind := event.GetKind().(type) {
		case *chatv1.Event_Message:
			if kind.Message.GetSeq() < from {
				continue
			}
			event = &chatv1.Event{
				ConversationId: event.GetConversationId(), Kind: &chatv1.Event_Message{Message: o.asItIsNow(kind.Message)},
			}
		case *chatv1.Event_MessageChanged:
			commit := event.GetCommit()
			event = changeEvent(o.asItIsNow(kind.MessageChanged), from)
			event.Commit = commit
		}
		out = joined(out, []*chatv1.Event{event})
	}
	return out
}

// asItIsNow returns a message without what was taken away. The message itself is shared and stays.
func (o *outbox) asItIsNow(m *chatv1.Message) *chatv1.Message {
	if _, gone := o.takenAway[placeKey{m.GetConversationId(), m.GetSeq()}]; gone {
		return emptied(m)
	}
	if _, gone := o.takenAway[placeKey{m.GetConversationId(), quotedSeq(m)}]; gone {
		m = proto.CloneOf(m)
		unquote(m)
	}
	return m
}

// untilPublished tries until it succeeds; while closing, once.
func (o *outbox) untilPublished(kind, id string, publish func(ctx context.Context) error) bool {
	for pause := publishPause; ; pause = min(2*pause, publishPauses) {
		ctx, cancel := context.WithTimeout(o.ctx, publishTimeout)
		err := publish(ctx)
		cancel()
		if err == nil {
			return true
		}
		o.logger.LogAttrs(o.ctx, slog.LevelWarn, "events not published yet", slog.String(kind, id),
			slog.String("cause", err.Error()))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-o.closing:
			timer.Stop()
			return false
		case <-o.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// takePublished returns rows to be removed.
func (o *outbox) takePublished() []int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := o.published
	o.published = nil
	for _, id := range ids {
		delete(o.mine, id)
	}
	o.metrics.pending.Set(float64(len(o.mine)))
	return ids
}

// returnPublished takes rows back that could not be removed.
func (o *outbox) returnPublished(ids []int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.published = append(o.published, ids...)
	for _, id := range ids {
		o.mine[id] = struct{}{}
	}
}
