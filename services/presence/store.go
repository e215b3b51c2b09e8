package presence

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"slices"
	"time"

	ent "github.com/stoa-live/stoa/gen/ent/presence"
	"github.com/stoa-live/stoa/gen/ent/presence/person"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// How many rows one statement reads and writes. The driver's time grows with the square of a statement's arguments.
const (
	readBatch  = 250
	writeBatch = 100
)

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

// persons returns people by their ids, strangers where nothing is stored.
func (s *store) persons(ctx context.Context, ids []string) (map[string]Person, error) {
	out := make(map[string]Person, len(ids))
	for _, id := range ids {
		out[id] = stranger(id)
	}
	for some := range slices.Chunk(ids, readBatch) {
		rows, err := s.read.Person.Query().Where(person.IDIn(some...)).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read persons: %w", err)
		}
		for _, row := range rows {
			out[row.ID] = toPerson(row)
		}
	}
	return out, nil
}

// endings returns the users whose status has an end, past ones included as long as they are not cleared, and when.
func (s *store) endings(ctx context.Context) (map[string]time.Time, error) {
	rows, err := s.read.Person.Query().Where(person.StatusUntilGT(0)).Select(person.FieldID, person.FieldStatusUntil).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read statuses: %w", err)
	}
	out := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		out[row.ID] = at(row.StatusUntil)
	}
	return out, nil
}

// here returns the users who were here when they were last stored.
func (s *store) here(ctx context.Context) (map[string]mark, error) {
	rows, err := s.read.Person.Query().Where(person.PlatformsNEQ(0)).
		Select(person.FieldID, person.FieldLastSeenAt, person.FieldPlatforms).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read who was here: %w", err)
	}
	out := make(map[string]mark, len(rows))
	for _, row := range rows {
		out[row.ID] = mark{at: at(row.LastSeenAt), by: uint32(row.Platforms)} //nolint:gosec // bits
	}
	return out, nil
}

// setStatus stores a status in place of the one that is there.
func (s *store) setStatus(ctx context.Context, id string, status Status) error {
	err := s.write.Person.Create().SetID(id).SetStatusText(status.Text).SetStatusEmoji(status.Emoji).
		SetStatusUntil(seconds(status.Until)).OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) {
		u.UpdateStatusText().UpdateStatusEmoji().UpdateStatusUntil()
	}).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store status: %w", err)
	}
	return nil
}

// changePrivacy changes who sees a user. It returns them as they are then, and whether that is another than before.
func (s *store) changePrivacy(ctx context.Context, id string, change func(p *Person)) (p Person, changed bool, err error) {
	err = sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		p = stranger(id)
		row, err := tx.Person.Get(ctx, id)
		if err == nil {
			p = toPerson(row)
		} else if !ent.IsNotFound(err) {
			return err
		}
		before := p
		change(&p)
		if changed = p != before; !changed {
			return nil
		}
		return tx.Person.Create().SetID(id).SetOnlineAudience(int(p.Online)).SetLastSeenAudience(int(p.LastSeen)).
			OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) {
			u.UpdateOnlineAudience().UpdateLastSeenAudience()
		}).Exec(ctx)
	})
	if err != nil {
		return Person{}, false, fmt.Errorf("store privacy: %w", err)
	}
	return p, changed, nil
}

// setLastSeen stores when users were last seen, to the minute; all or none of them.
func (s *store) setLastSeen(ctx context.Context, marks map[string]mark) error {
	err := sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(marks)), writeBatch) {
			rows := make([]*ent.PersonCreate, len(ids))
			for i, id := range ids {
				rows[i] = tx.Person.Create().SetID(id).SetLastSeenAt(seconds(toMinute(marks[id].at))).
					SetPlatforms(int(marks[id].by))
			}
			err := tx.Person.CreateBulk(rows...).OnConflictColumns(person.FieldID).Update(func(u *ent.PersonUpsert) {
				u.UpdateLastSeenAt().UpdatePlatforms()
			}).Exec(ctx)
			if err != nil {
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

// clearStatuses removes statuses of some users that ended before a time.
func (s *store) clearStatuses(ctx context.Context, ids []string, before time.Time) error {
	err := sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		for some := range slices.Chunk(ids, readBatch) {
			err := tx.Person.Update().
				Where(person.IDIn(some...), person.StatusUntilGT(0), person.StatusUntilLTE(before.Unix())).
				SetStatusText("").SetStatusEmoji("").SetStatusUntil(0).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear statuses: %w", err)
	}
	return nil
}

// old returns the ids of up to limit users after an id, in order, who chose nothing and were last seen before a time.
func (s *store) old(ctx context.Context, after string, before time.Time, limit int) ([]string, error) {
	ids, err := s.read.Person.Query().
		Where(person.IDGT(after), person.LastSeenAtLT(before.Unix()), person.OnlineAudience(int(everyone)),
			person.LastSeenAudience(int(everyone)), person.StatusText(""), person.StatusEmoji("")).
		Order(person.ByID()).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read old persons: %w", err)
	}
	return ids, nil
}

// forget removes users who were last seen before a time, and returns how many.
func (s *store) forget(ctx context.Context, ids []string, before time.Time) (int, error) {
	n, err := s.write.Person.Delete().Where(person.IDIn(ids...), person.LastSeenAtLT(before.Unix())).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("remove persons: %w", err)
	}
	return n, nil
}

func toPerson(row *ent.Person) Person {
	return Person{
		ID: row.ID, Known: true,
		Online:     presencev1.Audience(row.OnlineAudience),   //nolint:gosec // an enum
		LastSeen:   presencev1.Audience(row.LastSeenAudience), //nolint:gosec // an enum
		LastSeenAt: at(row.LastSeenAt),
		Status:     Status{Text: row.StatusText, Emoji: row.StatusEmoji, Until: at(row.StatusUntil)},
	}
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
