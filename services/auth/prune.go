package auth

import (
	"context"
	"fmt"
	"time"

	entauth "github.com/stoa-live/stoa/gen/ent/auth"
	"github.com/stoa-live/stoa/gen/ent/auth/device"
	"github.com/stoa-live/stoa/gen/ent/auth/predicate"
	"github.com/stoa-live/stoa/gen/ent/auth/session"
	"github.com/stoa-live/stoa/gen/ent/auth/user"
)

const (
	// pruneBatch is how many rows are picked at once, so that others get at the write connection in between.
	pruneBatch = 500
	// keepEnded is how long after its end a session still tells a reused token from an unknown one.
	keepEnded = 24 * time.Hour
	// keepUnused is how long a device may take to sign in.
	keepUnused = 24 * time.Hour
)

// prune removes what nobody will ask for again: sessions that have ended, devices that nobody signed in on, and guests
// who do not come back.
func (s *Service) prune(ctx context.Context) {
	now := s.now()
	for _, kind := range []struct {
		name  string
		batch func(ctx context.Context, now, before time.Time) (int, error)
		keep  time.Duration
	}{
		{"sessions", s.storage.pruneSessions, s.config.AccessLifetime + keepEnded},
		{"devices", s.storage.pruneDevices, keepUnused},
		{"guests", s.storage.pruneGuests, s.config.GuestLifetime},
	} {
		removed, err := 0, error(nil)
		for n := 1; n > 0 && err == nil; removed += n {
			n, err = kind.batch(ctx, now, now.Add(-kind.keep))
		}
		if err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "old rows were not removed", "kind", kind.name, "error", err)
		}
		if removed > 0 {
			s.logger.DebugContext(ctx, "old rows removed", "kind", kind.name, "rows", removed)
		}
	}
}

// Each of the following removes one batch and returns how many rows it picked, 0 when there are no more. What is picked
// on the read pool is asked again when it is removed: a session may have been refreshed, or somebody have signed in
// meanwhile.

// pruneSessions removes sessions that ended before a time.
func (s *storage) pruneSessions(ctx context.Context, _, before time.Time) (int, error) {
	ended := session.Or(session.RevokedAtLT(before), session.ExpiresAtLT(before))
	ids, err := s.read.Session.Query().Where(ended).Limit(pruneBatch).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("pick sessions: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if _, err := s.write.Session.Delete().Where(session.IDIn(ids...), ended).Exec(ctx); err != nil {
		return 0, fmt.Errorf("remove sessions: %w", err)
	}
	return len(ids), nil
}

// pruneDevices removes devices that were made before a time and are nobody's.
func (s *storage) pruneDevices(ctx context.Context, _, before time.Time) (int, error) {
	unused := device.And(device.UserIDIsNil(), device.CreatedAtLT(before))
	ids, err := s.read.Device.Query().Where(unused).Limit(pruneBatch).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("pick devices: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if _, err := s.write.Device.Delete().Where(device.IDIn(ids...), unused).Exec(ctx); err != nil {
		return 0, fmt.Errorf("remove devices: %w", err)
	}
	return len(ids), nil
}

// pruneGuests removes guests who were seen last before a time, with their sessions and devices. Those who are banned
// now stay, or else a ban would end by waiting.
func (s *storage) pruneGuests(ctx context.Context, now, before time.Time) (picked int, err error) {
	gone := []predicate.User{
		user.GuestSeenAtLT(before), user.Or(user.BannedAtIsNil(), user.BanUntilLTE(now)),
	}
	ids, err := s.read.User.Query().Where(gone...).Limit(pruneBatch).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("pick guests: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	err = s.tx(ctx, func(tx *entauth.Client) error {
		still, err := tx.User.Query().Where(append(gone, user.IDIn(ids...))...).IDs(ctx)
		if err != nil {
			return fmt.Errorf("pick guests again: %w", err)
		}
		if _, err := tx.Session.Delete().Where(session.UserIDIn(still...)).Exec(ctx); err != nil {
			return fmt.Errorf("remove sessions: %w", err)
		}
		if _, err := tx.Device.Delete().Where(device.UserIDIn(still...)).Exec(ctx); err != nil {
			return fmt.Errorf("remove devices: %w", err)
		}
		if _, err := tx.User.Delete().Where(user.IDIn(still...)).Exec(ctx); err != nil {
			return fmt.Errorf("remove users: %w", err)
		}
		return nil
	})
	return len(ids), err
}
