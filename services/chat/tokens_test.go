package chat_test

import (
	"encoding/base64"
	"math"
	"testing"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/pagination"
)

// TestForgedPageTokens asks every list for pages after places that it never gave out: numbers that no row has are refused,
// before anything is read.
func TestForgedPageTokens(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	id := n.group("ann", nil, "bob")
	seq := n.say("ann", id, "signed", "x").GetSeq()
	ann, groups, inside := n.as("ann"), n.groups("ann"), n.neighbour("edge")
	members := func(token string) error {
		_, err := groups.ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: id, PageToken: token})
		return err
	}
	rows := map[string]func(token string) error{
		"ListMembers": members,
		"ListBannedUsers": func(token string) error {
			_, err := groups.ListBannedUsers(ctx, &chatv1.ListBannedUsersRequest{ConversationId: id, PageToken: token})
			return err
		},
		"ListReactions": func(token string) error {
			_, err := ann.ListReactions(ctx, &chatv1.ListReactionsRequest{ConversationId: id, Seq: seq, PageToken: token})
			return err
		},
		"ListConversationIds": func(token string) error {
			_, err := inside.ListConversationIds(ctx, &chatv1.ListConversationIdsRequest{UserId: "ann", PageToken: token})
			return err
		},
		"ListMutes": func(token string) error {
			_, err := inside.ListMutes(ctx, &chatv1.ListMutesRequest{PageToken: token})
			return err
		},
	}
	users := map[string]func(token string) error{
		"ListReaders": func(token string) error {
			_, err := ann.ListReaders(ctx, &chatv1.ListReadersRequest{ConversationId: id, Seq: seq, PageToken: token})
			return err
		},
		"ListMemberIds": func(token string) error {
			_, err := inside.ListMemberIds(ctx, &chatv1.ListMemberIdsRequest{ConversationId: id, UserId: "ann", PageToken: token})
			return err
		},
	}
	written := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	refused := func(what, json string, err error) {
		t.Helper()
		assertRefused(t, what+" after "+json, err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid)
	}
	for what, ask := range rows {
		for _, json := range []string{`{"i":-1}`, `{"i":0}`, `{}`, `null`, `{"i":9223372036854775808}`, `{"u":"bob"}`} {
			refused(what, json, ask(written(json)))
		}
	}
	for what, ask := range users {
		for _, json := range []string{`{}`, `null`, `{"u":""}`, `{"i":1}`} {
			refused(what, json, ask(written(json)))
		}
		n.must(ask(written(`{"u":"bob"}`)))
	}
	type place struct {
		Role   int64 `json:"r"`
		Joined int64 `json:"j"`
		Row    int64 `json:"i"`
	}
	for _, role := range []int64{-1, 0, 4, 2_000_000_000, math.MaxInt32, math.MaxInt64} {
		token := pagination.Encode(place{role, 1, 1})
		refused("ListMembers", token, members(token))
	}
	refused("ListMembers", "a time before all", members(pagination.Encode(place{1, -1, 1})))
	n.must(members(pagination.Encode(place{1, 1, 1})))
}
