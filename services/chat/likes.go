package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const (
	// likesSave is how often totals are written; a crash forgets at most the likes of that long.
	likesSave = 5 * time.Second
	// tallyIdle is how long a tally is kept after its last like.
	tallyIdle = time.Minute
)

// likes merges likes: they are counted in memory, told twice a second and stored every few seconds.
type likes struct {
	store  *store
	logger *slog.Logger

	mu      sync.Mutex
	tallies map[string]*tally
	savedAt time.Time
}

// tally is the likes of one conversation.
type tally struct {
	total   int64 // all likes ever
	untold  int64 // part of total that no event names yet
	unsaved int64 // part of total that is not stored
	last    time.Time
	// telling is the event that is being published. It stays as it is until the bus has taken it: when publishing fails,
	// some listeners may have it already, and they know the repeat by its total.
	telling *chatv1.Likes
}

func newLikes(s *store, logger *slog.Logger) *likes {
	return &likes{store: s, logger: logger, tallies: make(map[string]*tally)}
}

// add counts n likes. stored is the total that the database knows, asked for when the conversation has no tally.
func (l *likes) add(id string, n int64, now time.Time, stored func() (int64, error)) error {
	if l.count(id, n, now) {
		return nil
	}
	total, err := stored()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tallies[id]
	if t == nil { // a tally that was made and forgotten since then would have lived for tallyIdle
		t = &tally{total: total}
		l.tallies[id] = t
	}
	t.add(n, now) // under the same lock: a tally without likes is forgotten
	return nil
}

func (l *likes) count(id string, n int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tallies[id]
	if t == nil {
		return false
	}
	t.add(n, now)
	return true
}

func (t *tally) add(n int64, now time.Time) {
	t.total, t.untold, t.unsaved, t.last = t.total+n, t.untold+n, t.unsaved+n, now
}

// told returns the total as subscribers know it: stored when nobody liked lately.
func (l *likes) told(id string, stored int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.tallies[id]; t != nil {
		return t.total - t.untold
	}
	return stored
}

// tell publishes what came since the last time, merged. Each like is counted by one event: what cannot be published is
// published again as it was, and what came meanwhile waits behind it.
func (l *likes) tell(publish func(id string, event *chatv1.Likes) error) {
	events := make(map[string]*chatv1.Likes)
	l.mu.Lock()
	for id, t := range l.tallies {
		if t.telling == nil && t.untold > 0 {
			t.telling = &chatv1.Likes{Count: int32(t.untold), Total: t.total} //nolint:gosec // of half a second
			t.untold = 0
		}
		if t.telling != nil {
			events[id] = t.telling
		}
	}
	l.mu.Unlock()
	for id, event := range events {
		if publish(id, event) == nil {
			l.mu.Lock()
			l.tallies[id].telling = nil // still there: such a tally does not rest
			l.mu.Unlock()
		}
	}
}

// save stores the totals when it is time to, or at once with force, and forgets tallies that rest.
func (l *likes) save(ctx context.Context, now time.Time, force bool) error {
	if since := now.Sub(l.savedAt); !force && since >= 0 && since < likesSave { // below 0 the clock was put back
		return nil
	}
	l.savedAt = now
	added := make(map[string]int64)
	l.mu.Lock()
	for id, t := range l.tallies {
		switch {
		case t.unsaved > 0:
			added[id] = t.unsaved
			t.unsaved = 0
		case t.untold == 0 && t.telling == nil && now.Sub(t.last) > tallyIdle:
			delete(l.tallies, id)
		}
	}
	l.mu.Unlock()
	if len(added) == 0 {
		return nil
	}
	err := l.store.addLikes(ctx, added)
	if err != nil {
		l.mu.Lock()
		for id, n := range added {
			l.tallies[id].unsaved += n // still there: a tally with fresh likes does not rest
		}
		l.mu.Unlock()
	}
	return err
}

// pulse tells and saves.
func (l *likes) pulse(ctx context.Context, now time.Time, publish func(id string, event *chatv1.Likes) error, last bool) {
	l.tell(publish)
	if last { // what waited behind an event that had to be published again
		l.tell(publish)
	}
	if err := l.save(ctx, now, last); err != nil && !errors.Is(err, context.Canceled) {
		l.logger.LogAttrs(ctx, slog.LevelWarn, "likes not stored yet", slog.String("cause", err.Error()))
	}
}
