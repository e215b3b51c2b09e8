package admin

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/oklog/ulid/v2"

	ent "github.com/stoa-live/stoa/gen/ent/admin"
	"github.com/stoa-live/stoa/gen/ent/admin/auditentry"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// store keeps the audit log.
type store struct {
	db    *sqlstore.DB
	read  *ent.Client
	write *ent.Client
	now   func() time.Time

	mu  sync.Mutex // an entry gets its id and its place in the log at once
	ids *ulid.MonotonicEntropy
}

func openStore(ctx context.Context, deps service.Deps) (*store, error) {
	db, err := sqlstore.Open(ctx, deps.StoreURL, "admin", migrations, deps.Logger)
	if err != nil {
		return nil, err
	}
	return &store{
		db: db, now: deps.Now, ids: ulid.Monotonic(rand.Reader, 0),
		read:  ent.NewClient(ent.Driver(db.ReadDriver())),
		write: ent.NewClient(ent.Driver(db.WriteDriver())),
	}, nil
}

func (s *store) close() error { return s.db.Close() }

// append adds an entry to the end of the log; its id and time are set here.
func (s *store) append(ctx context.Context, e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now().UTC()
	id, err := ulid.New(ulid.Timestamp(at), s.ids)
	if err != nil {
		return fmt.Errorf("name audit entry: %w", err)
	}
	err = s.write.AuditEntry.Create().SetID(id.String()).SetAt(at).SetActorID(e.ActorID).SetAction(e.Action).
		SetTargetID(e.TargetID).SetDetail(e.Detail).SetError(e.Error).Exec(ctx)
	if err != nil {
		return fmt.Errorf("add audit entry: %w", err)
	}
	return nil
}

// list returns up to limit entries that match filter, newest first, older than the entry before ("" for the newest).
func (s *store) list(ctx context.Context, filter Filter, before string, limit int) ([]Entry, error) {
	query := s.read.AuditEntry.Query().Order(auditentry.ByID(entsql.OrderDesc())).Limit(limit)
	if filter.ActorID != "" {
		query = query.Where(auditentry.ActorID(filter.ActorID))
	}
	if filter.TargetID != "" {
		query = query.Where(auditentry.TargetID(filter.TargetID))
	}
	if before != "" {
		query = query.Where(auditentry.IDLT(before))
	}
	rows, err := query.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list audit entries: %w", err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = Entry{
			ID: r.ID, At: r.At.UTC(), ActorID: r.ActorID, Action: r.Action, TargetID: r.TargetID, Detail: r.Detail,
			Error: r.Error,
		}
	}
	return entries, nil
}

// siteID is the one row of settings.
const siteID = 1

// site returns the settings.
func (s *store) site(ctx context.Context) (Site, error) {
	row, err := s.read.Site.Get(ctx, siteID)
	if err != nil {
		return Site{}, err
	}
	return siteOf(row), nil
}

// updateSite changes the settings that are set in change, and returns all of them.
func (s *store) updateSite(ctx context.Context, change SiteChange) (Site, error) {
	row, err := s.write.Site.UpdateOneID(siteID).SetNillableName(change.Name).SetNillableAnnouncement(change.Announcement).
		SetNillableSignUpEnabled(change.SignUpEnabled).SetNillableRoomCreationEnabled(change.RoomCreationEnabled).Save(ctx)
	if err != nil {
		return Site{}, fmt.Errorf("update site: %w", err)
	}
	return siteOf(row), nil
}

func siteOf(row *ent.Site) Site {
	return Site{
		Name: row.Name, Announcement: row.Announcement, SignUpEnabled: row.SignUpEnabled,
		RoomCreationEnabled: row.RoomCreationEnabled,
	}
}
