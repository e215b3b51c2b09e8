package presence

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/bus"
)

const (
	// pulseTimeout is how long the bus, and the store, may take for what one pulse does; it waits for the next then.
	pulseTimeout = 5 * time.Second
	// maxRemembered is of how many people one pulse stores when they left, which others wait for.
	maxRemembered = 2000
)

// beat tells what changed until Close; it tells once more then. Between two pulses is always a whole one's time, however
// long they take.
func (s *Service) beat() {
	timer := time.NewTimer(s.cfg.Pulse)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.pulse()
			timer.Reset(s.cfg.Pulse)
		case <-s.stopping.Done():
			s.pulse()
			return
		}
	}
}

// pulse tells what changed since the last one.
func (s *Service) pulse() {
	ctx, cancel := context.WithTimeout(context.Background(), pulseTimeout)
	defer cancel()
	s.metrics.lost.Add(float64(s.tracker.expire()))
	s.tracker.mark(s.endings.over(s.deps.Now())...)
	if err := s.tellPeople(ctx); err != nil {
		s.failed(ctx, "numbers of people not told yet", err)
	}
	if err := s.tellPresences(ctx); err != nil {
		s.failed(ctx, "presence not told yet", err)
	}
	if _, err := s.remember(ctx); err != nil {
		s.failed(ctx, "last seen not stored yet", err)
	}
	nodes, online, waiting := s.tracker.totals()
	s.metrics.nodes.Set(float64(nodes))
	s.metrics.online.Set(float64(online))
	s.metrics.waiting.Set(float64(waiting))
}

func (s *Service) failed(ctx context.Context, what string, cause error) {
	s.metrics.failures.Inc()
	s.logger.LogAttrs(ctx, slog.LevelWarn, what, slog.String("cause", cause.Error()))
}

// tellPeople tells of conversations whose number of people changed.
func (s *Service) tellPeople(ctx context.Context) error {
	counts := s.tracker.counts(maxTold)
	if len(counts) == 0 {
		return nil
	}
	event := &presencev1.PeopleChanged{Counts: make([]*presencev1.PeopleCount, 0, len(counts))}
	for _, room := range slices.Sorted(maps.Keys(counts)) {
		event.Counts = append(event.Counts, peopleCount(room, counts[room]))
	}
	if err := bus.Publish(ctx, s.deps.Bus, TopicPeopleChanged, "", event); err != nil {
		s.tracker.untold(counts)
		return err
	}
	s.metrics.events.Inc()
	s.metrics.counted.Add(float64(len(counts)))
	return nil
}

// tellPresences tells of people who changed, and whose privacy did.
func (s *Service) tellPresences(ctx context.Context) error {
	giveBack, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	taken, turn := s.tracker.take(maxTold)
	event := &presencev1.PresenceChanged{Turn: turn}
	event.Presences, err = s.told(ctx, taken)
	for _, p := range event.GetPresences() {
		p.Turn = turn
	}
	for len(event.PrivacyChanged) < maxTold {
		id, _, ok := s.private.pop()
		if !ok {
			break
		}
		event.PrivacyChanged = append(event.PrivacyChanged, id)
	}
	if err == nil {
		if len(event.Presences) == 0 && len(event.PrivacyChanged) == 0 {
			return nil
		}
		err = bus.Publish(ctx, s.deps.Bus, TopicChanged, "", event)
	}
	if err != nil {
		s.tracker.mark(slices.Collect(maps.Keys(taken))...)
		for _, id := range event.PrivacyChanged {
			s.private.put(id)
		}
		return err
	}
	s.metrics.events.Inc()
	s.metrics.told.Add(float64(len(event.Presences)))
	return nil
}

// told returns what is told of people. Nothing is told of those who hide, and of those whose privacy changed: who followed
// them may not do so any longer, and asks again when that is told.
func (s *Service) told(ctx context.Context, taken map[string]seen) ([]*presencev1.Presence, error) {
	if len(taken) == 0 {
		return nil, nil
	}
	ids := slices.Sorted(maps.Keys(taken))
	persons, err := s.store.persons(ctx, ids)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	out := make([]*presencev1.Presence, 0, len(ids))
	for _, id := range ids {
		if p := persons[id]; p.Online != nobody && !s.private.has(id) {
			out = append(out, view(p, taken[id], widest(p), now))
		}
	}
	return out, nil
}

// remember stores when people left, many at once. more is false when nothing is left to store; what cannot be stored is
// tried again by the next.
func (s *Service) remember(ctx context.Context) (more bool, err error) {
	left := s.tracker.left(maxRemembered)
	if len(left) == 0 {
		return false, nil
	}
	if err := s.store.setLastSeen(ctx, left); err != nil {
		return true, err
	}
	s.tracker.stored(left)
	s.metrics.remembered.Add(float64(len(left)))
	return len(left) == maxRemembered, nil
}
