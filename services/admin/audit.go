package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

const (
	// auditTimeout is how long an entry may take to be written. It is the log's own: a moderator who hangs up must not
	// leave an act without its entry.
	auditTimeout = 5 * time.Second
	// namesTimeout is how long an act waits for the names in its entry, which is whole without them.
	namesTimeout = 2 * time.Second
)

// act does one act in the name of the caller and records it, whether it succeeded or not, before it returns. What do
// learns of the target it writes into the entry. Errors: the act's; an act whose entry cannot be written is answered with
// an error though it may have happened.
func (s *Service) act(ctx context.Context, entry Entry, do func(ctx context.Context, entry *Entry) error) error {
	if err := s.started(); err != nil {
		return err
	}
	entry.ActorID = authn.MustFrom(ctx).UserID
	s.name(ctx, &entry)
	done := do(ctx, &entry)
	entry.Error = failure(done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := s.store.append(ctx, entry); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "audit entry lost", slog.String("action", entry.Action),
			slog.String("actor_id", entry.ActorID), slog.String("target_id", entry.TargetID), slog.String("error", entry.Error))
		return fmt.Errorf("record %s: %w", entry.Action, errors.Join(err, done))
	}
	return done
}

// name fills in what the people of an entry are called now.
func (s *Service) name(ctx context.Context, entry *Entry) {
	ids := []string{entry.ActorID}
	if strings.HasPrefix(entry.Action, "user.") {
		ids = append(ids, entry.TargetID)
	}
	asking, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	people, err := s.people(asking, ids...)
	if err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "audit entry without names", slog.Any("error", err))
		return
	}
	entry.ActorName = people[entry.ActorID].GetNickname()
	if len(ids) > 1 {
		entry.TargetName = people[entry.TargetID].GetNickname()
	}
}

// people returns those of at most 200 users that exist, by their ids.
func (s *Service) people(ctx context.Context, ids ...string) (map[string]*authv1.User, error) {
	res, err := s.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: ids})
	if err != nil {
		return nil, fmt.Errorf("look up people: %w", err)
	}
	people := make(map[string]*authv1.User, len(res.GetUsers()))
	for _, user := range res.GetUsers() {
		people[user.GetId()] = user
	}
	return people, nil
}

// ListAuditEntries returns up to limit entries, newest first, that are older than the entry before ("" for the newest).
func (s *Service) ListAuditEntries(ctx context.Context, filter Filter, before string, limit int) ([]Entry, error) {
	entries, err := s.store.list(ctx, filter, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return entries, nil
}
