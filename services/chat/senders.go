package chat

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	maxSenders = 20_000
	senderTTL  = time.Minute // for changes whose event was lost
	usersAsked = 200         // in one call
)

// sender is a user as their messages show them.
type sender struct {
	user  *authv1.User // shared: never changed
	until time.Time
}

// senders remembers what auth told about those who write.
type senders struct {
	users   authv1connect.DirectoryServiceClient
	now     func() time.Time
	cache   *lru[sender]
	changes atomic.Int64 // user_changed events so far
}

func newSenders(now func() time.Time) *senders {
	return &senders{now: now, cache: newLRU[sender](maxSenders)}
}

// get returns a user's snapshot. Errors: NOT_FOUND (USER_NOT_FOUND), those of auth.
func (s *senders) get(ctx context.Context, userID string) (*authv1.User, error) {
	if known, ok := s.cache.get(userID); ok && s.now().Before(known.until) {
		return known.user, nil
	}
	users, err := s.many(ctx, []string{userID})
	if err != nil {
		return nil, err
	}
	if users[userID] == nil {
		return nil, errs.NotFound(ReasonUserNotFound, "there is no such user")
	}
	return users[userID], nil
}

// many returns the snapshots of those users that exist. Errors: those of auth.
func (s *senders) many(ctx context.Context, userIDs []string) (map[string]*authv1.User, error) {
	now := s.now()
	users := make(map[string]*authv1.User, len(userIDs))
	var missing []string
	for _, id := range userIDs {
		if known, ok := s.cache.get(id); ok && now.Before(known.until) {
			users[id] = known.user
		} else {
			missing = append(missing, id)
		}
	}
	for ids := range slices.Chunk(missing, usersAsked) {
		before := s.changes.Load()
		res, err := s.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: ids})
		if err != nil {
			return nil, fmt.Errorf("look up users: %w", err)
		}
		for _, u := range res.GetUsers() {
			user := &authv1.User{Id: u.GetId(), Nickname: u.GetNickname(), AvatarUrl: u.GetAvatarUrl(), Role: u.GetRole()}
			users[user.GetId()] = user
			if s.changes.Load() == before { // else the answer may be older than the change
				s.cache.put(user.GetId(), sender{user: user, until: now.Add(senderTTL)})
			}
		}
	}
	return users, nil
}

// changed handles auth.user_changed.
func (s *senders) changed(_ context.Context, _ string, event *authv1.UserChanged) error {
	s.changes.Add(1)
	s.cache.drop(event.GetUser().GetId())
	return nil
}
