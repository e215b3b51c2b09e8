package presence_test

import (
	"testing"
	"time"
)

// TestTurns: of an answer and an event, the one with the higher turn was read later, also across a restart.
func TestTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	check := func() int64 {
		t.Helper()
		before := s.look("bob", "ann")
		s.setPrivacy("ann", contacts, contacts)
		s.setPrivacy("ann", everyone, everyone)
		s.settle("n1")
		w.mu.Lock()
		defer w.mu.Unlock()
		last := w.events[0].GetTurn()
		for _, e := range w.events[1:] {
			if e.GetTurn() <= last {
				t.Errorf("turn %d was told after %d", e.GetTurn(), last)
			}
			last = e.GetTurn()
			for _, p := range e.GetPresences() {
				if p.GetTurn() != last {
					t.Errorf("of turn %d in an event of %d", p.GetTurn(), last)
				}
			}
			if len(e.GetPrivacyChanged()) > 0 && e.GetTurn() <= before.GetTurn() && before.GetTurn() > 0 {
				t.Errorf("an answer of turn %d is older than the change of %d", before.GetTurn(), e.GetTurn())
			}
		}
		w.events = w.events[len(w.events)-1:]
		return last
	}
	last := check()
	if after := s.look("bob", "ann"); after.GetTurn() <= last {
		t.Errorf("an answer of turn %d came after an event of %d", after.GetTurn(), last)
	}
	s.close()
	w.clock.advance(time.Second)
	s = w.boot(quick())
	if again := check(); again <= last {
		t.Errorf("turn %d was told after %d of the process before", again, last)
	}
}
