package chat

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

// mutesRefresh is how often the copy of the mutes is read again, and those that are over are removed.
const mutesRefresh = 10 * time.Second

// muteKey is whom a mute keeps from writing, and where.
type muteKey struct {
	UserID         string
	ConversationID string // empty for everywhere
}

// Mute keeps a user from writing.
type Mute struct {
	muteKey

	ID        int       // in the order of time
	Reason    string    // shown to the user
	Until     time.Time // UTC; zero for one without an end
	CreatedAt time.Time // UTC
}

// holds reports whether the mute counts at a time.
func (m Mute) holds(now time.Time) bool { return m.Until.IsZero() || now.Before(m.Until) }

// outlasts reports whether the mute ends after another.
func (m Mute) outlasts(other Mute) bool {
	return !other.Until.IsZero() && (m.Until.IsZero() || m.Until.After(other.Until))
}

// refusal tells the muted why and until when. It is PERMISSION_DENIED (MUTED).
func (m Mute) refusal() *errs.Error {
	err := errs.PermissionDenied(ReasonMuted, "you are muted and cannot write here").With("mute_reason", m.Reason)
	if !m.Until.IsZero() {
		err = err.With("muted_until", m.Until.Format(time.RFC3339))
	}
	return err
}

// mutes is a copy of the table of mutes in memory, for every send asks it.
//
// The process that changes a mute changes its own copy before it answers, so here a mute holds for every send that comes
// after the answer. Another process on the same database would know of it at its next refresh: within 10 seconds.
type mutes struct {
	store  *store
	logger *slog.Logger
	now    func() time.Time

	changing    sync.Mutex // one change at a time: the copy changes in the order of the table
	refreshedAt time.Time  // guarded by changing

	mu  sync.RWMutex
	all map[muteKey]Mute
}

func newMutes(s *store, logger *slog.Logger, now func() time.Time) *mutes {
	return &mutes{store: s, logger: logger, now: now, all: make(map[muteKey]Mute)}
}

// check refuses a user who may not write in a conversation. Errors: PERMISSION_DENIED (MUTED).
func (t *mutes) check(userID, conversationID string) error {
	t.mu.RLock()
	here, ok := t.all[muteKey{userID, conversationID}]
	everywhere, also := t.all[muteKey{userID, ""}]
	t.mu.RUnlock()
	if !ok && !also {
		return nil
	}
	now := t.now()
	ok, also = ok && here.holds(now), also && everywhere.holds(now)
	switch {
	case ok && also && everywhere.outlasts(here):
		return everywhere.refusal()
	case ok:
		return here.refusal()
	case also:
		return everywhere.refusal()
	default:
		return nil
	}
}

// put stores a mute in place of the one that is there.
func (t *mutes) put(ctx context.Context, m Mute) (Mute, error) {
	t.changing.Lock()
	defer t.changing.Unlock()
	m, err := t.store.putMute(ctx, m)
	if err != nil {
		return Mute{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[m.muteKey] = m
	return m, nil
}

// lift removes a mute. Errors: NOT_FOUND (MUTE_NOT_FOUND).
func (t *mutes) lift(ctx context.Context, key muteKey) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	there, err := t.store.deleteMute(ctx, key, t.now())
	if err != nil {
		return err
	}
	t.mu.Lock()
	delete(t.all, key)
	t.mu.Unlock()
	if !there {
		return muteNotFound()
	}
	return nil
}

// load makes the copy anew and removes what is over, from the table as well.
func (t *mutes) load(ctx context.Context) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	now := t.now()
	stored, err := t.store.allMutes(ctx)
	if err != nil {
		return err
	}
	t.refreshedAt = now
	all := make(map[muteKey]Mute, len(stored))
	for _, m := range stored {
		all[m.muteKey] = m
	}
	maps.DeleteFunc(all, func(_ muteKey, m Mute) bool { return !m.holds(now) })
	t.mu.Lock()
	t.all = all
	t.mu.Unlock()
	if len(all) < len(stored) {
		return t.store.pruneMutes(ctx, now)
	}
	return nil
}

// refresh loads when it is time to.
func (t *mutes) refresh() {
	t.changing.Lock()
	since := t.now().Sub(t.refreshedAt)
	due := since >= mutesRefresh || since < 0 // the clock was put back
	t.changing.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pulseTimeout)
	defer cancel()
	if err := t.load(ctx); err != nil {
		t.logger.LogAttrs(ctx, slog.LevelWarn, "mutes not refreshed", slog.String("cause", err.Error()))
	}
}
