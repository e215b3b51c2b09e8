package live

import (
	"context"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// tallySave is how often counts of running broadcasts are written; a crash forgets at most what came in that long.
const tallySave = 3 * time.Second

// tally counts what happens in the conversation of a running broadcast. It is written to by events of the bus and has
// nothing to do with media.
type tally struct {
	broadcastID string
	startedAt   time.Time

	mu     sync.Mutex
	counts Counts
	saved  Counts
}

func newTally(b Broadcast) *tally {
	return &tally{broadcastID: b.ID, startedAt: b.StartedAt, counts: b.Counts, saved: b.Counts}
}

func (t *tally) now() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

func (t *tally) viewers(count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.PeakViewers = max(t.counts.PeakViewers, count)
}

func (t *tally) likes(count int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Likes += max(0, count)
}

// message counts by the messages' numbers, which have no gaps: one that is told twice counts once, and those that were
// told while nobody listened are counted with the next one.
func (t *tally) message(m *chatv1.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	known := c.messageSeq > 0 && c.messageEpoch == m.GetEpoch()
	switch {
	case known && m.GetSeq() <= c.messageSeq:
		return
	case known:
		c.Messages += m.GetSeq() - c.messageSeq
	case !m.GetSentAt().AsTime().Before(t.startedAt):
		c.Messages++
	}
	c.messageEpoch, c.messageSeq = m.GetEpoch(), m.GetSeq()
}

// unsaved returns the counts where they are not in the database as they are.
func (t *tally) unsaved() (Counts, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts, t.counts != t.saved
}

func (t *tally) wasSaved(counts Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved = counts
}

// tallies are those of the running broadcasts, by conversation.
type tallies struct {
	mu  sync.RWMutex
	all map[string]*tally
}

func newTallies() *tallies { return &tallies{all: make(map[string]*tally)} }

func (ts *tallies) add(conversationID string, t *tally) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all[conversationID] = t
}

// remove takes a tally away, unless the conversation has the next one already.
func (ts *tallies) remove(conversationID string, t *tally) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.all[conversationID] == t {
		delete(ts.all, conversationID)
	}
}

// in lets fn count in a conversation's tally, if it has one.
func (ts *tallies) in(conversationID string, fn func(t *tally)) {
	ts.mu.RLock()
	t := ts.all[conversationID]
	ts.mu.RUnlock()
	if t != nil {
		fn(t)
	}
}

// unsaved returns the counts that are not in the database, by tally.
func (ts *tallies) unsaved() map[*tally]Counts {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	out := make(map[*tally]Counts)
	for _, t := range ts.all {
		if counts, changed := t.unsaved(); changed {
			out[t] = counts
		}
	}
	return out
}

// saveTallies writes what is not saved. What cannot be written is tried again with the next.
func (s *Service) saveTallies() {
	unsaved := s.tallies.unsaved()
	if len(unsaved) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := s.db.saveCounts(ctx, unsaved); err != nil {
		s.log.Error("save what broadcasts came to", "broadcasts", len(unsaved), "error", err)
		return
	}
	for t, counts := range unsaved {
		t.wasSaved(counts)
	}
}

// saveTalliesOften saves every few seconds until ctx ends.
func (s *Service) saveTalliesOften(ctx context.Context) {
	tick := time.NewTicker(tallySave)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.saveTallies()
		}
	}
}

func (s *Service) onPeopleChanged(_ context.Context, _ string, e *presencev1.PeopleChanged) error {
	for _, c := range e.GetCounts() {
		s.viewers.set(c.GetConversationId(), int(c.GetCount()))
		s.tallies.in(c.GetConversationId(), func(t *tally) { t.viewers(int(c.GetCount())) })
	}
	return nil
}

func (s *Service) onConversationEvents(_ context.Context, _ string, e *chatv1.ConversationEvents) error {
	s.tallies.in(e.GetConversationId(), func(t *tally) {
		for _, event := range e.GetEvents() {
			if m := event.GetMessage(); m != nil {
				t.message(m)
			}
			if likes := event.GetLikes(); likes != nil {
				t.likes(int64(likes.GetCount()))
			}
		}
	})
	return nil
}
