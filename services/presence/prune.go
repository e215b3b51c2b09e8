package presence

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

const (
	// pruneEvery is how often rows are removed that nobody asks for.
	pruneEvery = 24 * time.Hour
	// pruneBatch is how many users auth is asked for at once.
	pruneBatch = 200
)

// tidy prunes at once and every day until Close.
func (s *Service) tidy() {
	var last time.Time
	tick := time.NewTicker(s.cfg.Pulse)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.stopping.Done():
			return
		}
		if now := s.deps.Now(); now.Sub(last) >= pruneEvery || now.Before(last) {
			last = now
			s.prune(s.stopping, now)
		}
	}
}

// prune forgets people who exist no longer, such as guests who did not come back. Nobody is forgotten who chose something.
func (s *Service) prune(ctx context.Context, now time.Time) {
	removed, err := s.forgetGone(ctx, now.Add(-s.cfg.Keep))
	if err != nil && ctx.Err() == nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "old rows not removed", slog.String("cause", err.Error()))
	}
	if removed > 0 {
		s.metrics.pruned.Add(float64(removed))
		s.logger.LogAttrs(ctx, slog.LevelDebug, "old rows removed", slog.Int("rows", removed))
	}
}

// forgetGone forgets those who were last seen before a time and whom auth does not know.
func (s *Service) forgetGone(ctx context.Context, before time.Time) (removed int, err error) {
	for after := ""; ; {
		ids, err := s.store.old(ctx, after, before, pruneBatch)
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		after = ids[len(ids)-1]
		exist, err := s.existing(ctx, slices.Values(ids))
		if err != nil {
			return removed, err
		}
		gone := slices.DeleteFunc(ids, func(id string) bool { return exist[id] })
		if len(gone) == 0 {
			continue
		}
		n, err := s.store.forget(ctx, gone, before)
		removed += n
		if err != nil {
			return removed, err
		}
	}
}
