package presence

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// Presences returns people as a viewer sees them, in the order asked. Who does not exist is hidden, as who hides is.
// Errors: UNAVAILABLE, those of auth and chat.
func (s *Service) Presences(ctx context.Context, viewer authn.Principal, ids []string) ([]*presencev1.Presence, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	all := append(slices.Clone(ids), viewer.UserID)
	// First what is in memory and then what is stored: when somebody left is in one of them, or in both.
	seen := s.tracker.seen(all)
	persons, err := s.store.persons(ctx, all)
	if err != nil {
		return nil, err
	}
	own := persons[viewer.UserID]
	known, err := s.contactsAmong(ctx, own, persons)
	if err != nil {
		return nil, err
	}
	exist, err := s.existing(ctx, func(yield func(string) bool) {
		for id, p := range persons {
			// Who is stored or here exists, and of who is hidden anyway it is all the same.
			if !p.Known && !seen[id].online && id != own.ID && sightOf(own, p, known[id]).online && !yield(id) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	current := persons
	if len(known)+len(exist) > 0 { // it took a while to ask neighbours, and somebody may have hidden meanwhile
		if current, err = s.store.persons(ctx, all); err != nil {
			return nil, err
		}
	}
	now := s.deps.Now()
	out := make([]*presencev1.Presence, len(ids))
	for i, id := range ids {
		may := sightOf(own, persons[id], known[id]).both(sightOf(current[own.ID], current[id], known[id]))
		if there, doubtful := exist[id]; doubtful && !there {
			may = sight{}
		}
		out[i] = view(current[id], seen[id], may, now)
	}
	return out, nil
}

// contactsAmong returns of those persons of whom it matters whether they are contacts of a viewer.
func (s *Service) contactsAmong(ctx context.Context, viewer Person, persons map[string]Person) (map[string]bool, error) {
	var ask []string
	for id, p := range persons {
		if sightOf(viewer, p, true) != sightOf(viewer, p, false) {
			ask = append(ask, id)
		}
	}
	known := make(map[string]bool, len(ask))
	for _, id := range ask {
		known[id] = false
	}
	if len(ask) == 0 {
		return known, nil
	}
	res, err := s.conversations.FilterContacts(ctx, &chatv1.FilterContactsRequest{UserId: viewer.ID, UserIds: ask})
	if err != nil {
		return nil, fmt.Errorf("look up contacts: %w", err)
	}
	for _, id := range res.GetUserIds() {
		known[id] = true
	}
	return known, nil
}

// existing asks auth which users exist. Its answer has all that were asked for.
func (s *Service) existing(ctx context.Context, ids iter.Seq[string]) (map[string]bool, error) {
	exist := make(map[string]bool)
	for id := range ids {
		exist[id] = false
	}
	if len(exist) == 0 {
		return exist, nil
	}
	res, err := s.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: slices.Collect(maps.Keys(exist))})
	if err != nil {
		return nil, fmt.Errorf("look up users: %w", err)
	}
	for _, u := range res.GetUsers() {
		if _, asked := exist[u.GetId()]; asked {
			exist[u.GetId()] = true
		}
	}
	return exist, nil
}
