package chat_test

import (
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// TestMemberIDs pages through a group for one who is in it, and tells others that there is none.
func TestMemberIDs(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	members := make([]string, 12)
	for i := range members {
		members[i] = fmt.Sprintf("member-%02d", i)
	}
	group := n.group("ann", nil, members...)
	_, err := n.groups("ann").RemoveMembers(t.Context(), &chatv1.RemoveMembersRequest{ConversationId: group, UserIds: members[3:4]})
	n.must(err)
	ask := func(conversation, user, token string) (*chatv1.ListMemberIdsResponse, error) {
		return n.neighbour("presence").ListMemberIds(t.Context(), &chatv1.ListMemberIdsRequest{
			ConversationId: conversation, UserId: user, PageSize: 5, PageToken: token,
		})
	}
	var all []string
	for token, more := "", true; more; more = token != "" {
		page, err := ask(group, "member-07", token)
		n.must(err)
		if len(page.GetUserIds()) > 5 {
			t.Errorf("a page of %d", len(page.GetUserIds()))
		}
		all, token = append(all, page.GetUserIds()...), page.GetNextPageToken()
	}
	want := append([]string{"ann"}, slices.Delete(slices.Clone(members), 3, 4)...)
	if !slices.Equal(all, want) {
		t.Errorf("the members are %v, want %v", all, want)
	}
	for what, c := range map[string][2]string{
		"a stranger": {group, "zoe"}, "one who was removed": {group, "member-03"}, "a direct conversation": {n.direct("ann", "bob"), "ann"},
		"a room": {room, "ann"}, "nothing": {"nowhere", "ann"},
	} {
		_, err := ask(c[0], c[1], "")
		assertRefused(t, what, err, connect.CodeNotFound, chat.ReasonConversationNotFound)
	}
	_, err = ask(group, "ann", "not a token")
	assertRefused(t, "a bad token", err, connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
}
