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

// beat tells what changed until Close. Between two pulses is always a whole one's time, however long they take.
func (s *Service) beat() {
	timer := time.NewTimer(s.cfg.Pulse)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.pulse(s.stopping)
			timer.Reset(s.cfg.Pulse)
		case <-s.stopping.Done():
			return
		}
	}
}

// pulse tells what changed since the last one. Whatever the bus or the store does not take in time is tried again by the
// next, and keeps nothing else waiting for longer.
func (s *Service) pulse(ctx context.Context) {
	s.metrics.lost.Add(float64(s.tracker.expire()))
	for _, step := range []struct {
		do    func(context.Context) error
		fails string
	}{
		{s.endStatuses, "statuses not ended yet"},
		{s.tellPeople, "numbers of people not told yet"},
		{s.tellPresences, "presence not told yet"},
		{s.remember, "last seen not stored yet"},
	} {
		if err := s.within(ctx, step.do); err != nil && ctx.Err() == nil {
			s.failed(ctx, step.fails, err)
		}
	}
	nodes, online, waiting := s.tracker.totals()
	s.metrics.nodes.Set(float64(nodes))
	s.metrics.online.Set(float64(online))
	s.metrics.waiting.Set(float64(waiting))
}

// within gives a step its time.
func (s *Service) within(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return step(ctx)
}

func (s *Service) failed(ctx context.Context, what string, cause error) {
	s.metrics.failures.Inc()
	s.logger.LogAttrs(ctx, slog.LevelWarn, what, slog.String("cause", cause.Error()))
}

// endStatuses takes statuses away whose time is over. They are gone then, also if the clock goes back.
func (s *Service) endStatuses(ctx context.Context) error {
	giveBack, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	now := s.deps.Now()
	ended := s.endings.over(now, maxTold)
	if len(ended) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(ended))
	if err := s.store.clearStatuses(ctx, ids, now); err != nil {
		for id, until := range ended {
			s.endings.set(id, until)
		}
		return err
	}
	s.tracker.mark(ids...)
	return nil
}

// tellPeople tells of conversations whose number of people changed.
func (s *Service) tellPeople(ctx context.Context) error {
	rooms, counts := s.tracker.counts(maxTold)
	if len(rooms) == 0 {
		return nil
	}
	event := &presencev1.PeopleChanged{Counts: make([]*presencev1.PeopleCount, 0, len(rooms))}
	for _, room := range rooms {
		event.Counts = append(event.Counts, peopleCount(room, counts[room]))
	}
	if err := bus.Publish(ctx, s.deps.Bus, TopicPeopleChanged, "", event); err != nil {
		s.tracker.uncounted(rooms)
		return err
	}
	s.metrics.events.Inc()
	s.metrics.counted.Add(float64(len(rooms)))
	return nil
}

// tellPresences tells of people who changed, and whose privacy did if that could not be told at once.
func (s *Service) tellPresences(ctx context.Context) error {
	giveBack, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	if err := s.tellPrivacy(ctx); err != nil {
		return err
	}
	ids, seens, turn := s.tracker.take(maxTold)
	presences, later, err := s.told(ctx, ids, seens)
	for _, p := range presences {
		p.Turn = turn
	}
	if err == nil && len(presences) > 0 {
		err = bus.Publish(ctx, s.deps.Bus, TopicChanged, "", &presencev1.PresenceChanged{Presences: presences, Turn: turn})
	}
	if err != nil {
		s.tracker.untold(ids)
		return err
	}
	s.tracker.mark(later...)
	clear(s.asking)
	if len(presences) > 0 {
		s.metrics.events.Inc()
		s.metrics.told.Add(float64(len(presences)))
	}
	return nil
}

// tellPrivacy tells of users whose privacy changed. The turn is the caller's.
func (s *Service) tellPrivacy(ctx context.Context) error {
	event := &presencev1.PresenceChanged{}
	for len(event.PrivacyChanged) < maxTold {
		id, _, ok := s.private.pop()
		if !ok {
			break
		}
		event.PrivacyChanged = append(event.PrivacyChanged, id)
	}
	if len(event.PrivacyChanged) == 0 {
		return nil
	}
	event.Turn = s.tracker.next()
	if err := bus.Publish(ctx, s.deps.Bus, TopicChanged, "", event); err != nil {
		s.private.putBack(event.PrivacyChanged)
		return err
	}
	for _, id := range event.PrivacyChanged {
		s.asking[id] = true
	}
	s.metrics.events.Inc()
	return nil
}

// told returns what is told of people: what all may see who may see anything of them. Edges know who of their sessions may
// see a person, and not whether these may see when they were last seen, who hide their own perhaps. Nothing is told of those
// who hide. Of those whose privacy changed it is told later: edges hear of that first, and have a pulse's time to ask again
// for who followed them, and may not do so any longer.
func (s *Service) told(
	ctx context.Context, ids []string, seens map[string]seen,
) (out []*presencev1.Presence, later []string, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	persons, err := s.store.persons(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	now := s.deps.Now()
	out = make([]*presencev1.Presence, 0, len(ids))
	for _, id := range ids {
		switch p := persons[id]; {
		case p.Online == nobody:
		case s.private.has(id) || s.asking[id]:
			later = append(later, id)
		default:
			out = append(out, view(p, seens[id], sight{online: true}, now))
		}
	}
	return out, later, nil
}

// remember stores when people left, many at once.
func (s *Service) remember(ctx context.Context) error {
	_, err := s.rememberSome(ctx)
	return err
}
