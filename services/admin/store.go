package admin

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"strings"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/oklog/ulid/v2"

	ent "github.com/stoa-live/stoa/gen/ent/admin"
	"github.com/stoa-live/stoa/gen/ent/admin/auditentry"
	"github.com/stoa-live/stoa/gen/ent/admin/predicate"
	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

//go:embed migrations
var migrations embed.FS

// store keeps the audit log and the settings of the site.
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
	at := s.now().UTC().Truncate(time.Microsecond)
	id, err := ulid.New(ulid.Timestamp(at), s.ids)
	if err != nil {
		return fmt.Errorf("name audit entry: %w", err)
	}
	err = s.write.AuditEntry.Create().SetID(id.String()).SetAt(at).SetActorID(e.ActorID).SetActorName(e.ActorName).
		SetAction(e.Action).SetTargetID(e.TargetID).SetTargetName(e.TargetName).SetDetail(e.Detail).SetError(e.Error).Exec(ctx)
	if err != nil {
		return fmt.Errorf("add audit entry: %w", err)
	}
	return nil
}

// list returns up to limit entries that match filter, newest first, older than the entry before ("" for the newest).
func (s *store) list(ctx context.Context, filter Filter, before string, limit int) ([]Entry, error) {
	rows, err := s.read.AuditEntry.Query().Where(conditions(filter, before)...).
		Order(auditentry.ByID(entsql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list audit entries: %w", err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = Entry{
			ID: r.ID, At: r.At.UTC(), ActorID: r.ActorID, ActorName: r.ActorName, Action: r.Action, TargetID: r.TargetID,
			TargetName: r.TargetName, Detail: r.Detail, Error: r.Error,
		}
	}
	return entries, nil
}

// conditions says what of the log is asked for.
func conditions(filter Filter, before string) (all []predicate.AuditEntry) {
	if filter.ActorID != "" {
		all = append(all, auditentry.ActorID(filter.ActorID))
	}
	if filter.TargetID != "" {
		all = append(all, auditentry.TargetID(filter.TargetID))
	}
	if group, ok := strings.CutSuffix(filter.Action, "."); ok {
		// A range, where LIKE would take wildcards from the client and leave the index: "/" comes right after ".".
		all = append(all, auditentry.ActionGTE(group+"."), auditentry.ActionLT(group+"/"))
	} else if filter.Action != "" {
		all = append(all, auditentry.Action(filter.Action))
	}
	// Ids begin with the time in milliseconds, so that they bound the walk; the time itself decides.
	if at := filter.Since; !at.IsZero() {
		all = append(all, auditentry.AtGTE(upToMicrosecond(at)))
		if at.UnixMilli() > 0 {
			all = append(all, auditentry.IDGTE(firstID(at)))
		}
	}
	if at := filter.Until; !at.IsZero() {
		all = append(all, auditentry.AtLT(upToMicrosecond(at)))
		if at.UnixMilli() > 0 {
			all = append(all, auditentry.IDLT(firstID(at.Add(time.Millisecond))))
		}
	}
	if before != "" {
		all = append(all, auditentry.IDLT(before))
	}
	return all
}

// upToMicrosecond is the first microsecond that is not before a time: entries are stored to the microsecond.
func upToMicrosecond(at time.Time) time.Time {
	return at.UTC().Add(time.Microsecond - time.Nanosecond).Truncate(time.Microsecond)
}

// firstID returns the least id of a time, after 1970. One that is too far off to be in ids comes out as the last of them.
func firstID(at time.Time) string {
	var id ulid.ULID
	_ = id.SetTime(min(uint64(at.UnixMilli()), ulid.MaxTime())) //nolint:gosec // the caller asks for positive ones
	return id.String()
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
