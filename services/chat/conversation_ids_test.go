package chat_test

import (
	"slices"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// TestAFullPageOfConversationsIsTheLast: nobody is sent for a page on which nothing is.
func TestAFullPageOfConversationsIsTheLast(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	want := []string{n.group("ann", nil), n.group("ann", nil), n.direct("ann", "bob"), n.group("ann", nil)}
	var got []string
	pages := 0
	for token, more := "", true; more; pages++ {
		page, err := n.neighbour("edge").ListConversationIds(t.Context(), &chatv1.ListConversationIdsRequest{
			UserId: "ann", PageSize: 2, PageToken: token,
		})
		n.must(err)
		got, token = append(got, page.GetConversationIds()...), page.GetNextPageToken()
		more = token != ""
	}
	if !slices.Equal(got, want) || pages != 2 {
		t.Errorf("in %d pages there are %v, want %v in 2", pages, got, want)
	}
}
