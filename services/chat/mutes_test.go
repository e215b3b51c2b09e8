package chat_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/services/chat"
)

// otherRoom is a second conversation.
const otherRoom = "01JROOM0000000000000000001"

// mute mutes a user, which must succeed; a zero until means for ever.
func (n *node) mute(user, conversation, reason string, until time.Time) *chatv1.Mute {
	n.t.Helper()
	r := &chatv1.MuteUserRequest{UserId: user, ConversationId: conversation, Reason: reason}
	if !until.IsZero() {
		r.Until = timestamppb.New(until)
	}
	res, err := n.neighbour("admin").MuteUser(n.t.Context(), r)
	n.must(err)
	return res.GetMute()
}

func (n *node) unmute(user, conversation string) error {
	_, err := n.neighbour("admin").UnmuteUser(n.t.Context(), &chatv1.UnmuteUserRequest{
		UserId: user, ConversationId: conversation,
	})
	return err
}

func (n *node) mutes(r *chatv1.ListMutesRequest) ([]*chatv1.Mute, string) {
	n.t.Helper()
	res, err := n.neighbour("admin").ListMutes(n.t.Context(), r)
	n.must(err)
	return res.GetMutes(), res.GetNextPageToken()
}

// talk sends a message and likes, and returns how that was answered.
func (n *node) talk(c chatv1connect.ChatServiceClient, conversation string) map[string]error {
	n.t.Helper()
	id := fmt.Sprint(time.Now().UnixNano())
	_, send := c.SendMessage(n.t.Context(), sending(conversation, id, "x"))
	_, like := c.Like(n.t.Context(), &chatv1.LikeRequest{ConversationId: conversation, Count: 1})
	return map[string]error{"SendMessage": send, "Like": like}
}

func (n *node) assertMuted(user, conversation, reason string, until time.Time) {
	n.t.Helper()
	for call, err := range n.talk(n.as(user), conversation) {
		want := map[string]string{"mute_reason": reason}
		if !until.IsZero() {
			want["muted_until"] = until.UTC().Format(time.RFC3339)
		}
		if got := errs.Metadata(err); !errs.Is(err, connect.CodePermissionDenied, chat.ReasonMuted) ||
			fmt.Sprint(got) != fmt.Sprint(want) {
			n.t.Errorf("%s of %s: %v with %v, want %v", call, user, err, got, want)
		}
	}
}

func (n *node) assertTalks(user, conversation string) {
	n.t.Helper()
	for call, err := range n.talk(n.as(user), conversation) {
		if err != nil {
			n.t.Errorf("%s of %s: %v", call, user, err)
		}
	}
}

func TestMutedInOneRoomOrInAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.create(otherRoom)
	never := time.Time{}
	m := n.mute("ann", room, " spam ", never)
	if m.GetUserId() != "ann" || m.GetConversationId() != room || m.GetReason() != "spam" || m.GetUntil() != nil ||
		m.GetCreatedAt() == nil {
		t.Errorf("stored %v", m)
	}
	n.assertMuted("ann", room, "spam", never)
	n.assertTalks("ann", otherRoom)
	n.assertTalks("bob", room)
	if _, err := n.as("ann").ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: room}); err != nil {
		t.Errorf("she cannot read: %v", err)
	}

	hour := time.Now().Add(time.Hour)
	n.mute("bob", "", "rude", hour)
	n.assertMuted("bob", room, "rude", hour)
	n.assertMuted("bob", otherRoom, "rude", hour)
	// Of two, the one that holds longer is told.
	n.mute("bob", room, "longer", hour.Add(time.Hour))
	n.assertMuted("bob", room, "longer", hour.Add(time.Hour))
	n.mute("bob", "", "longest", never)
	n.assertMuted("bob", room, "longest", never)

	n.mute("ann", room, "", hour) // in place of the other
	n.assertMuted("ann", room, "", hour)
	if all, _ := n.mutes(&chatv1.ListMutesRequest{UserId: "ann"}); len(all) != 1 {
		t.Errorf("she has %v", all)
	}
	n.must(n.unmute("ann", room))
	n.assertTalks("ann", room)
	for name, err := range map[string]error{
		"again": n.unmute("ann", room), "elsewhere": n.unmute("bob", otherRoom), "nobody": n.unmute("nobody", ""),
	} {
		if !errs.Is(err, connect.CodeNotFound, chat.ReasonMuteNotFound) {
			t.Errorf("unmuted %s: %v", name, err)
		}
	}
	n.must(n.unmute("bob", ""))
	n.assertMuted("bob", room, "longer", hour.Add(time.Hour))
	n.assertTalks("bob", otherRoom)

	n.close()
	n = w.boot(fast())
	n.assertMuted("bob", room, "longer", hour.Add(time.Hour))
}

func TestMuteEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	until := time.Now().Add(time.Hour)
	n.mute("ann", room, "spam", until)
	n.mute("ann", "", "more", until.Add(-time.Minute))
	n.mute("bob", "", "for ever", time.Time{})
	w.clock.advance(59*time.Minute + 30*time.Second)
	n.assertMuted("ann", room, "spam", until)
	if all, _ := n.mutes(&chatv1.ListMutesRequest{}); len(all) != 2 {
		t.Errorf("in force are %v", all)
	}
	w.clock.advance(time.Minute)
	n.assertTalks("ann", room)
	n.assertMuted("bob", room, "for ever", time.Time{})
	if err := n.unmute("ann", room); !errs.Is(err, connect.CodeNotFound, chat.ReasonMuteNotFound) {
		t.Errorf("unmuted when it was over: %v", err)
	}
	db := w.raw()
	n.eventually("what is over is removed", func() bool { return count(t, db, "mutes") == 1 })
	// A mute of another process, on the same database.
	_, err := db.ExecContext(t.Context(), "INSERT INTO mutes (user_id, conversation_id, reason, created_at) "+
		"VALUES ('cid', '', 'elsewhere', ?)", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	w.must(err)
	w.clock.advance(10 * time.Second)
	n.eventually("it holds here", func() bool {
		_, err := n.as("cid").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 1})
		return errs.Is(err, connect.CodePermissionDenied, chat.ReasonMuted)
	})
}

func TestListMutes(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	var want []*chatv1.Mute
	for i := range 45 {
		want = append(want, n.mute(fmt.Sprint("user-", i%40), []string{"", room}[i/40], "x", time.Now().Add(time.Hour)))
	}
	again := n.mute("user-3", "", "again", time.Time{}) // is now the newest
	want = append(slices.Delete(want, 3, 4), again)
	slices.Reverse(want)
	same := func(got, want []*chatv1.Mute) bool {
		return slices.EqualFunc(got, want, func(a, b *chatv1.Mute) bool { return proto.Equal(a, b) })
	}
	var got []*chatv1.Mute
	for r, pages := (&chatv1.ListMutesRequest{}), 1; ; pages++ {
		page, next := n.mutes(r)
		got = append(got, page...)
		if next == "" {
			if pages != 3 || len(page) != 5 {
				t.Errorf("page %d has %d", pages, len(page))
			}
			break
		}
		r.PageToken = next
	}
	if !same(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if all, next := n.mutes(&chatv1.ListMutesRequest{PageSize: 1000}); len(all) != 45 || next != "" {
		t.Errorf("got %d and %q", len(all), next)
	}
	hers, _ := n.mutes(&chatv1.ListMutesRequest{UserId: "user-3"})
	if !same(hers, []*chatv1.Mute{again, want[2]}) {
		t.Errorf("hers are %v", hers)
	}
}

func TestMutesThatAreRefused(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	c := n.neighbour("admin")
	for name, r := range map[string]*chatv1.MuteUserRequest{
		"nobody":         {},
		"in the past":    {UserId: "ann", Until: timestamppb.New(time.Now().Add(-time.Second))},
		"for no time":    {UserId: "ann", Until: &timestamppb.Timestamp{}},
		"in year 10000":  {UserId: "ann", Until: &timestamppb.Timestamp{Seconds: 253_402_300_800}},
		"at no time":     {UserId: "ann", Until: &timestamppb.Timestamp{Seconds: 1 << 40}},
		"a long reason":  {UserId: "ann", Reason: strings.Repeat("é", 201)},
		"a long user id": {UserId: strings.Repeat("x", 65)},
	} {
		if _, err := c.MuteUser(t.Context(), r); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.MuteUser(t.Context(), &chatv1.MuteUserRequest{
		UserId: "ann", ConversationId: "01JNOBODY00000000000000000",
	}); !errs.Is(err, connect.CodeNotFound, chat.ReasonConversationNotFound) {
		t.Errorf("in no conversation: %v", err)
	}
	if _, err := c.ListMutes(t.Context(), &chatv1.ListMutesRequest{PageToken: "nonsense"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("a token: %v", err)
	}
	n.assertTalks("ann", room)
	person := chatv1connect.NewConversationServiceClient(n.server.Client(), n.server.URL(),
		n.As(t, n.User("root", authv1.Role_ROLE_ADMIN)))
	for call, err := range map[string]error{
		"MuteUser":   second(person.MuteUser(t.Context(), &chatv1.MuteUserRequest{UserId: "ann"})),
		"UnmuteUser": second(person.UnmuteUser(t.Context(), &chatv1.UnmuteUserRequest{UserId: "ann"})),
		"ListMutes":  second(person.ListMutes(t.Context(), &chatv1.ListMutesRequest{})),
		"GetTotals":  second(person.GetTotals(t.Context(), &chatv1.GetTotalsRequest{})),
	} {
		if !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
			t.Errorf("%s by a person: %v", call, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestStaff(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	for name, role := range map[string]authv1.Role{"mod": authv1.Role_ROLE_MODERATOR, "root": authv1.Role_ROLE_ADMIN} {
		for call, err := range n.talk(n.client(n.server.Client(), name, role), room) {
			if err != nil {
				t.Errorf("%s of %s: %v", call, name, err)
			}
		}
	}
	for name, c := range map[string]struct {
		user  string
		staff bool
		may   bool
	}{"a guest": {"guest", false, false}, "the owner": {"owner", false, true}, "the staff": {"mod", true, true}} {
		_, err := n.neighbour("edge").GetRoom(t.Context(), &chatv1.GetRoomRequest{
			ConversationId: room, UserId: c.user, Unseen: true, Staff: c.staff,
		})
		if c.may && err != nil {
			t.Errorf("%s, unseen: %v", name, err)
		}
		if !c.may && (!errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) ||
			errs.Metadata(err)["required_role"] != "moderator") {
			t.Errorf("%s, unseen: %v with %v", name, err, errs.Metadata(err))
		}
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	stored := func() int64 {
		res, err := n.neighbour("admin").GetTotals(context.Background(), &chatv1.GetTotalsRequest{})
		w.must(err)
		return res.GetMessageCount()
	}
	n.fill(30)
	n.send("ann", "twice", "x")
	n.send("ann", "twice", "x")
	n.takeAway(31)
	if got := stored(); got != 31 {
		t.Errorf("%d messages", got)
	}
	n.close()
	n = w.boot(fast())
	if got := stored(); got != 0 {
		t.Errorf("after a restart %d messages", got)
	}
}
