package presence

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

const (
	// groupAge is how long a group's number is told as it was counted.
	groupAge = 10 * time.Second
	// maxGroups is how many groups' numbers are remembered.
	maxGroups = 10_000
	// membersPage is how many members are asked for at once.
	membersPage = 5000
)

// groups remembers how many members of groups are online. Nobody reports that: it is counted when somebody asks, once in
// groupAge, so that it costs no more than what is asked for, however many people come and go.
type groups struct {
	counting singleflight.Group

	mu      sync.Mutex
	counted *simplelru.LRU[string, groupCount]
}

type groupCount struct {
	online int
	at     time.Time
}

func newGroups() (*groups, error) {
	counted, err := simplelru.NewLRU[string, groupCount](maxGroups, nil)
	if err != nil {
		return nil, fmt.Errorf("make group counts: %w", err)
	}
	return &groups{counted: counted}, nil
}

// known returns a number that is not too old. A clock that went back makes it one.
func (g *groups) known(id string, now time.Time) (int, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.counted.Get(id)
	age := now.Sub(c.at)
	return c.online, ok && age >= 0 && age < groupAge
}

func (g *groups) put(id string, c groupCount) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counted.Add(id, c)
}

// Count returns, in the order asked, how many people are in live rooms, and how many members of the caller's groups are
// online. Errors: UNAVAILABLE, those of chat.
func (s *Service) Count(ctx context.Context, p authn.Principal, conversationIDs []string) ([]int, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	counts := s.tracker.people(conversationIDs)
	if p.Role == authv1.Role_ROLE_GUEST { // they are in no group
		return counts, nil
	}
	persons, err := s.store.persons(ctx, []string{p.UserID})
	if err != nil {
		return nil, err
	}
	if persons[p.UserID].Online != everyone { // who hides sees nobody, and no number of them
		return counts, nil
	}
	for i, id := range conversationIDs {
		if counts[i] > 0 {
			continue
		}
		if counts[i], err = s.onlineIn(ctx, p.UserID, id); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// onlineIn returns how many members of a group are online and show it to everyone; 0 where a user is not in it.
func (s *Service) onlineIn(ctx context.Context, userID, id string) (int, error) {
	online, known := s.groups.known(id, s.deps.Now())
	size := int32(membersPage)
	if known {
		size = 1 // it only matters whether they may ask
	}
	first, err := s.conversations.ListMemberIds(ctx, &chatv1.ListMemberIdsRequest{ConversationId: id, UserId: userID, PageSize: size})
	switch {
	case connect.CodeOf(err) == connect.CodeNotFound:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("look up members: %w", err)
	case known:
		return online, nil
	}
	counted, err, _ := s.groups.counting.Do(id, func() (any, error) {
		// Others wait for the same number, whatever becomes of who asked first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupAge)
		defer cancel()
		at := s.deps.Now()
		n, err := s.countOnline(ctx, userID, id, first)
		if err == nil {
			s.groups.put(id, groupCount{online: n, at: at})
		}
		return n, err
	})
	if err != nil {
		return 0, err
	}
	n, _ := counted.(int) // what it returns
	return n, nil
}

// countOnline counts over all pages of a group's members.
func (s *Service) countOnline(
	ctx context.Context, userID, id string, page *chatv1.ListMemberIdsResponse,
) (n int, err error) {
	for {
		persons, err := s.store.persons(ctx, s.tracker.onlineAmong(page.GetUserIds()))
		if err != nil {
			return 0, err
		}
		for _, p := range persons {
			if p.Online == everyone {
				n++
			}
		}
		if page.GetNextPageToken() == "" {
			return n, nil
		}
		page, err = s.conversations.ListMemberIds(ctx, &chatv1.ListMemberIdsRequest{
			ConversationId: id, UserId: userID, PageSize: membersPage, PageToken: page.GetNextPageToken(),
		})
		if err != nil {
			return 0, fmt.Errorf("look up members: %w", err)
		}
	}
}
