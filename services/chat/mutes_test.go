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
	if err := n.subscribeError(n.as("ann"), room); err != nil {
		t.Errorf("she cannot watch: %v", err)
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
		"VALUES ('cid', '', 'elsewhere', '2026-01-01 00:00:00+00:00')")
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
	w := newWorld(t)
	cfg := fast()
	cfg.MaxSubscriptions = 2
	n := w.boot(cfg)
	published := collect[chatv1.ViewersChanged](w, chat.TopicViewersChanged)
	for name, role := range map[string]authv1.Role{"mod": authv1.Role_ROLE_MODERATOR, "root": authv1.Role_ROLE_ADMIN} {
		for call, err := range n.talk(n.client(n.server.Client(), name, role), room) {
			if err != nil {
				t.Errorf("%s of %s: %v", call, name, err)
			}
		}
	}
	unseen := &chatv1.SubscribeRequest{ConversationId: room, Unseen: true}
	for name, role := range map[string]authv1.Role{"guest": authv1.Role_ROLE_GUEST, "user": authv1.Role_ROLE_USER} {
		stream, err := n.client(n.server.Client(), name, role).Subscribe(t.Context(), unseen)
		n.must(err)
		if stream.Receive() || !errs.Is(stream.Err(), connect.CodePermissionDenied, errs.ReasonForbidden) ||
			errs.Metadata(stream.Err())["required_role"] != "moderator" {
			t.Errorf("a %s watches unseen: %v with %v", name, stream.Err(), errs.Metadata(stream.Err()))
		}
	}
	host := n.follow(n.client(n.server.Client(), "owner", authv1.Role_ROLE_USER), unseen)
	if at := host.greeted(); at.GetViewerCount() != 0 {
		t.Errorf("the owner, unseen, is greeted with %v", at)
	}
	host.stop()
	mod := n.client(n.server.Client(), "mod", authv1.Role_ROLE_MODERATOR)
	ghost := n.follow(mod, unseen)
	if at := ghost.greeted(); at.GetViewerCount() != 0 {
		t.Errorf("greeted with %v", at)
	}
	ann := n.watch(n.guest("ann"), nil)
	if at := ann.greeted(); at.GetViewerCount() != 1 {
		t.Errorf("greeted with %v", at)
	}
	counted := func(want int32) func(events []*chatv1.Event) bool {
		return func(events []*chatv1.Event) bool {
			return slices.ContainsFunc(events, func(e *chatv1.Event) bool {
				return e.GetViewerCount() != nil && e.GetViewerCount().GetCount() == want
			})
		}
	}
	ghost.until("one person was told", counted(1))
	seen := n.watch(mod, nil) // the same moderator, seen as well
	if at := seen.greeted(); at.GetViewerCount() != 2 {
		t.Errorf("greeted with %v", at)
	}
	if err := n.subscribeError(mod, room); !errs.Is(err, connect.CodeResourceExhausted, chat.ReasonTooManySubscriptions) {
		t.Errorf("a third stream: %v", err)
	}
	ghost.until("two people were told", counted(2))
	seen.stop()
	ann.stop()
	ghost.until("nobody was told", counted(0))
	// The room is empty, and still the moderator hears what is said.
	last := n.send("ann", "in an empty room", "x").GetSeq()
	ghost.saw(last)
	n.assertMetric("stoa_chat_subscribers", 1)
	for _, e := range published() {
		if e.GetCount() > 2 {
			t.Errorf("told of %v", e)
		}
	}
	ghost.stop()
	n.untilMetric("stoa_chat_conversations_open", 0)
}

func TestTotals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	totals := func() (int64, int32) {
		res, err := n.neighbour("admin").GetTotals(context.Background(), &chatv1.GetTotalsRequest{})
		w.must(err)
		return res.GetMessageCount(), res.GetSubscriptionCount()
	}
	v := n.watch(n.guest("ann"), nil)
	v.greeted()
	n.watch(n.guest("bob"), nil).greeted()
	n.fill(30)
	n.send("ann", "twice", "x")
	n.send("ann", "twice", "x")
	n.takeAway(31)
	if stored, open := totals(); stored != 31 || open != 2 {
		t.Errorf("%d messages and %d subscriptions", stored, open)
	}
	v.stop()
	n.eventually("one is left", func() bool {
		_, open := totals()
		return open == 1
	})
	n.close()
	n = w.boot(fast())
	if stored, open := totals(); stored != 0 || open != 0 {
		t.Errorf("after a restart %d messages and %d subscriptions", stored, open)
	}
}
