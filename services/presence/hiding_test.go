package presence_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// TestNothingIsToldOfWhoHides: neither that they come and go, nor what they say, but that their privacy changed.
func TestNothingIsToldOfWhoHides(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	s.setPrivacy("ann", nobody, everyone)
	s.settle("n1")
	if got := s.privacyTold(); !slices.Equal(got, []string{"ann"}) {
		t.Errorf("privacy was told of %v", got)
	}
	s.come("n1", "ann", ios)
	s.setStatus("ann", &presencev1.Status{Text: "unseen", Until: s.in(20 * time.Second)})
	s.settle("n1")
	s.leave("n1", "ann", web)
	s.leave("n1", "ann", ios)
	s.settle("n1")
	s.clock.advance(20 * time.Second)
	s.settle("n1")
	s.assertTold("ann", 1)
	s.setPrivacy("ann", everyone, everyone)
	s.setPrivacy("ann", everyone, everyone) // changes nothing
	s.settle("n1")
	if got := s.privacyTold(); !slices.Equal(got, []string{"ann", "ann"}) {
		t.Errorf("privacy was told of %v", got)
	}
	s.come("n1", "ann", web)
	s.settle("n1")
	s.assertTold("ann", 2)
}

// TestHidingWhileSomebodyLooks: who hides while chat is asked whether the one who looks is a contact is not shown any more,
// and neither is anybody to one who hides.
func TestHidingWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	for hider, seen := range map[string]func(p *presencev1.Presence) bool{
		"ann":  func(p *presencev1.Presence) bool { return !p.GetHidden() },
		"bob":  func(p *presencev1.Presence) bool { return !p.GetHidden() },
		"half": func(p *presencev1.Presence) bool { return p.GetLastSeenAt() != nil },
	} {
		w := newWorld(t)
		asked, answer := make(chan struct{}, 8), make(chan struct{})
		w.book.pause = func() { asked <- struct{}{}; <-answer }
		s := w.boot(quick())
		s.setPrivacy("ann", contacts, contacts)
		s.book.introduce("bob", "ann")
		s.come("n1", "ann", web)
		s.settle("n1")
		s.leave("n1", "ann", web)
		s.settle("n1")
		s.clock.advance(10 * time.Second)
		s.settle("n1")
		looked := make(chan *presencev1.Presence)
		bob := s.as("bob")
		go func() {
			res, err := bob.BatchGetPresence(t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: []string{"ann"}})
			if err != nil {
				t.Error(err)
				close(looked)
				return
			}
			looked <- res.GetPresences()[0]
		}()
		<-asked
		if hider == "half" {
			s.setPrivacy("bob", everyone, nobody)
		} else {
			s.setPrivacy(hider, nobody, nobody)
		}
		close(answer)
		if p := <-looked; seen(p) {
			t.Errorf("%s hid, and then bob saw %v", hider, p)
		}
	}
}

// TestPrivacyIsToldFirst: of somebody whose privacy changed nothing goes to those who follow them before these were told to
// ask again, whatever waits meanwhile, and that is told as soon as it can be.
func TestPrivacyIsToldFirst(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.setStatus("ann", &presencev1.Status{Text: "before"})
	s.settle("n1")
	s.assertTold("ann", 1)
	s.bus.refuse.Store(true)
	s.setStatus("ann", &presencev1.Status{Text: "for contacts"})
	s.come("n1", "ann", web)
	s.setPrivacy("ann", contacts, contacts)
	s.eventually("ann is online", func() bool { return s.look("ann", "ann").GetOnline() })
	refused := s.bus.refused.Load()
	s.eventually("the bus refused", func() bool { return s.bus.refused.Load() > refused+3 })
	s.bus.refuse.Store(false)
	s.settle("n1")
	s.assertTold("ann", 2)
	s.assertPrivacyFirst("ann", "for contacts")
	s.come("n1", "ann", ios)
	s.settle("n1")
	s.assertTold("ann", 3)
}

// assertPrivacyFirst fails the test unless the privacy of a user was told in an event before the one with their status.
func (s *server) assertPrivacyFirst(user, status string) {
	s.t.Helper()
	told := false
	for _, e := range s.toldAll() {
		for _, p := range e.GetPresences() {
			if p.GetUserId() == user && p.GetStatus().GetText() == status && !told {
				s.t.Errorf("%q was told of %s before their privacy: %v", status, user, s.toldAll())
			}
		}
		told = told || slices.Contains(e.GetPrivacyChanged(), user)
	}
	if !told {
		s.t.Errorf("the privacy of %s was not told", user)
	}
}

// TestPrivacyIsToldBeforeItIsAnswered: without waiting for the next pulse, which here never comes; and what was about to be
// told of the user is not told with it.
func TestPrivacyIsToldBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.Pulse = time.Hour
	s := newWorld(t).boot(cfg)
	s.come("n1", "ann", web)
	s.setStatus("ann", &presencev1.Status{Text: "for contacts"})
	s.setStatus("ben", &presencev1.Status{Text: "for all"})
	for i, audience := range []presencev1.Audience{nobody, contacts, everyone, contacts} {
		s.setPrivacy("ann", audience, everyone)
		s.bus.mu.Lock()
		published := len(s.bus.at["presence.changed"])
		s.bus.mu.Unlock()
		if published != i+1 {
			t.Fatalf("%d events were published after %d changes of privacy", published, i+1)
		}
	}
	s.eventually("all are heard", func() bool { return len(s.privacyTold()) == 4 })
	s.assertTold("ann", 0)
	s.close() // one pulse; but those who follow ann have not had their time to ask again
	s.eventually("ben is told", func() bool { return s.last("ben") != nil })
	s.assertTold("ann", 0)
}

// TestNothingIsToldAfterHiding: once the change is answered, whatever goes on at the same time.
func TestNothingIsToldAfterHiding(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.Pulse = time.Microsecond
	s := newWorld(t).boot(cfg)
	ann := s.as("ann")
	for i := range 50 {
		s.setPrivacy("ann", everyone, everyone)
		var both sync.WaitGroup
		both.Go(func() { s.come("n1", "ann", authv1.Platform(1+i%6)) })
		both.Go(func() {
			if _, err := ann.SetStatus(t.Context(), &presencev1.SetStatusRequest{
				Status: &presencev1.Status{Text: fmt.Sprint(i)},
			}); err != nil {
				t.Error(err)
			}
		})
		s.setPrivacy("ann", nobody, nobody)
		// Published was all before; the bus may still be handing it out.
		s.bus.mu.Lock()
		published := len(s.bus.at["presence.changed"])
		s.bus.mu.Unlock()
		both.Wait()
		s.settle("n1")
		s.mu.Lock()
		for _, e := range s.events[published:] {
			for _, p := range e.GetPresences() {
				if p.GetUserId() == "ann" {
					t.Errorf("told was %v of one who hides", p)
				}
			}
		}
		s.mu.Unlock()
		s.leave("n1", "ann", authv1.Platform(1+i%6))
		s.clock.advance(10 * time.Second)
	}
}
