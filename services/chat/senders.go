package chat

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	maxSenders = 20_000
	senderTTL  = time.Minute // for changes whose event was lost
)

// sender is a user as their messages show them.
type sender struct {
	user  *authv1.User // shared: never changed
	bytes []byte       // user, encoded
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
func (s *senders) get(ctx context.Context, userID string) (sender, error) {
	now := s.now()
	if known, ok := s.cache.get(userID); ok && now.Before(known.until) {
		return known, nil
	}
	before := s.changes.Load()
	res, err := s.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: []string{userID}})
	if err != nil {
		return sender{}, fmt.Errorf("look up sender: %w", err)
	}
	if len(res.GetUsers()) != 1 || res.GetUsers()[0].GetId() != userID {
		return sender{}, errs.NotFound("USER_NOT_FOUND", "your account does not exist any longer")
	}
	u := res.GetUsers()[0]
	snapshot := &authv1.User{Id: u.GetId(), Nickname: u.GetNickname(), AvatarUrl: u.GetAvatarUrl(), Role: u.GetRole()}
	encoded, err := proto.Marshal(snapshot)
	if err != nil {
		return sender{}, fmt.Errorf("encode sender: %w", err)
	}
	found := sender{user: snapshot, bytes: encoded, until: now.Add(senderTTL)}
	if s.changes.Load() == before { // else the answer may be older than the change
		s.cache.put(userID, found)
	}
	return found, nil
}

// changed handles auth.user_changed.
func (s *senders) changed(_ context.Context, _ string, event *authv1.UserChanged) error {
	s.changes.Add(1)
	s.cache.drop(event.GetUser().GetId())
	return nil
}
