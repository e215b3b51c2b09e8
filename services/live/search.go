package live

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/words"
)

const (
	// maxNicknameQuery is the longest text that DirectoryService looks for, in characters; nicknames are shorter.
	maxNicknameQuery = 64
	// searchPages and searchPage bound how many people of a nickname are looked at: the newest of them. Anyone may
	// search, and one letter is part of most names.
	searchPages = 5
	searchPage  = 100
)

// search is what to look for in rooms.
type search struct {
	folded   string   // in titles
	ownerIDs []string // people whose nickname has it
}

// search looks a text up among people, and returns what to look for in rooms; nil where the text is blank.
func (s *Service) search(ctx context.Context, query string) (*search, error) {
	query = strings.TrimSpace(query)
	if query == "" {
		return nil, nil
	}
	found := &search{folded: words.Fold(query)}
	if utf8.RuneCountInString(query) > maxNicknameQuery {
		return found, nil
	}
	request := &authv1.ListUsersRequest{Query: query, NicknameOnly: true, PageSize: searchPage}
	for range searchPages {
		resp, err := s.directory.ListUsers(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("look up nicknames: %w", err)
		}
		for _, account := range resp.GetAccounts() {
			found.ownerIDs = append(found.ownerIDs, account.GetUser().GetId())
		}
		if request.PageToken = resp.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	return found, nil
}
