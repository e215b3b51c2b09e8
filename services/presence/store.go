package presence

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	ent "github.com/stoa-live/stoa/gen/ent/presence"
	"github.com/stoa-live/stoa/gen/ent/presence/person"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// store keeps what people chose, and when they were last seen.
type store struct {
	db    *sqlstore.DB
	read  *ent.Client
	write *ent.Client
}

func openStore(ctx context.Context, deps service.Deps) (*store, error) {
	db, err := sqlstore.Open(ctx, deps.StoreURL, "presence", migrations, deps.Logger)
	if err != nil {
		return nil, err
	}
	return &store{
		db: db, read: ent.NewClient(ent.Driver(db.ReadDriver())), write: ent.NewClient(ent.Driver(db.WriteDriver())),
	}, nil
}

func (s *store) close() error { return s.db.Close() }

// persons returns those who are stored.
func (s *store) persons(ctx context.Context, ids []string) (map[string]Person, error) {
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // nobody was asked for
	}
	rows, err := s.read.Person.Query().Where(person.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read persons: %w", err)
	}
	out := make(map[string]Person, len(rows))
	for _, r := range rows {
		out[r.ID] = Person{
			ID: r.ID, Online: presencev1.Audience(r.OnlineAudience), LastSeen: presencev1.Audience(r.LastSeenAudience), //nolint:gosec // an enum
			LastSeenAt: at(r.LastSeenAt), Status: Status{Text: r.StatusText, Emoji: r.StatusEmoji, Until: at(r.StatusUntil)},
		}
	}
	return out, nil
}

func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// ending returns the users whose status has an end, and when.
func (s *store) ending(ctx context.Context) (map[string]time.Time, error) {
	rows, err := s.read.Person.Query().Where(person.StatusUntilGT(0)).Select(person.FieldID, person.FieldStatusUntil).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read statuses: %w", err)
	}
	out := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		out[r.ID] = at(r.StatusUntil)
	}
	return out, nil
}

// setStatus stores a status.
func (s *store) setStatus(ctx context.Context, id string, status Status) error {
	err := s.write.Person.Create().SetID(id).SetStatusText(status.Text).SetStatusEmoji(status.Emoji).
		SetStatusUntil(seconds(status.Until)).OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) {
		u.UpdateStatusText().UpdateStatusEmoji().UpdateStatusUntil()
	}).Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store status: %w", err)
	}
	return nil
}

// setPrivacy stores who sees a user.
func (s *store) setPrivacy(ctx context.Context, id string, online, lastSeen presencev1.Audience) error {
	err := s.write.Person.Create().SetID(id).SetOnlineAudience(int(online)).SetLastSeenAudience(int(lastSeen)).
		OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) {
		u.UpdateOnlineAudience().UpdateLastSeenAudience()
	}).Exec(ctx)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("store privacy: %w", err)
	}
	return nil
}

// setLastSeen stores when users were last seen, to the minute.
func (s *store) setLastSeen(ctx context.Context, gone map[string]time.Time) error {
	err := sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		for id, when := range gone {
			err := tx.Person.Create().SetID(id).SetLastSeenAt(when.Truncate(time.Minute).Unix()).
				OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) { u.UpdateLastSeenAt() }).Exec(ctx)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store last seen: %w", err)
	}
	return nil
}
