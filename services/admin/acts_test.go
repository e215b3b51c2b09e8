package admin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/admin"
)

// expect compares the log with lines, whatever the size of the pages.
func (w *world) expect(want ...string) {
	w.t.Helper()
	for _, size := range []int32{0, 1, 3, int32(len(want)), 1000} {
		if got := w.log(&adminv1.ListAuditEntriesRequest{PageSize: size}); !slices.Equal(got, want) {
			w.t.Errorf("pages of %d show\n%s", size, strings.Join(got, "\n"))
		}
	}
}

// refused holds an error to its code and reason.
func (w *world) refused(what string, err error, code connect.Code, reason string) {
	w.t.Helper()
	if !errs.Is(err, code, reason) {
		w.t.Errorf("%s: %v", what, err)
	}
}

func TestActsOnUsers(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ann, abe, ctx := w.as("ann"), w.as("abe"), t.Context()
	const notFound, precondition = connect.CodeNotFound, connect.CodeFailedPrecondition

	until := time.Now().Add(time.Hour).UTC()
	banned, err := ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: "spam", Until: timestamppb.New(until)})
	if ban := banned.GetUser().GetBan(); err != nil || ban.GetReason() != "spam" || !ban.GetUntil().AsTime().Equal(until) {
		t.Errorf("got %v, %v", banned, err)
	}
	if caller := w.users.caller.Load(); caller != "admin" {
		t.Errorf("auth was called as %v", caller)
	}
	w.refused("herself", second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "ann", Reason: "oops"})), precondition, admin.ReasonCannotBanSelf)
	w.refused("nobody", second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "nobody", Reason: "r"})), notFound, "USER_NOT_FOUND")
	err = second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "breaks", Reason: "r"}))
	if w.refused("a fault", err, connect.CodeInternal, errs.ReasonInternal); strings.Contains(err.Error(), "driver") {
		t.Errorf("it shows the inside: %v", err)
	}
	if free, err := abe.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"}); err != nil || free.GetUser().GetBan() != nil {
		t.Errorf("got %v, %v", free, err)
	}
	for _, role := range []authv1.Role{authv1.Role_ROLE_MODERATOR, authv1.Role_ROLE_ADMIN, authv1.Role_ROLE_USER} {
		raised, err := abe.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "bob", Role: role})
		if err != nil || raised.GetUser().GetUser().GetRole() != role {
			t.Errorf("got %v, %v", raised, err)
		}
	}
	w.refused("his own role", second(abe.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "abe", Role: authv1.Role_ROLE_USER})),
		precondition, admin.ReasonCannotChangeOwnRole)
	w.must(second(ann.RevokeUserDevice(ctx, &adminv1.RevokeUserDeviceRequest{UserId: "bob", SessionId: "phone"})))
	w.refused("another's device", second(ann.RevokeUserDevice(ctx, &adminv1.RevokeUserDeviceRequest{UserId: "moe", SessionId: "phone"})),
		notFound, "SESSION_NOT_FOUND")
	w.refused("the operator", second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "operator", Reason: "r"})), connect.CodePermissionDenied, errs.ReasonForbidden)
	w.refused("the operator's role", second(ann.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "operator", Role: authv1.Role_ROLE_USER})),
		connect.CodePermissionDenied, errs.ReasonForbidden)
	w.refused("a fault of the table", second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "closed", Reason: "r"})), connect.CodeInternal, errs.ReasonInternal)
	w.users.nameless.Store(true) // the act and its entry go on without names
	w.must(second(ann.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"})))

	w.expect(
		"ann Ann|user.ban|bob Bob|spam (until "+until.Format(time.RFC3339)+")|",
		"ann Ann|user.ban|ann Ann|oops|CANNOT_BAN_SELF",
		"ann Ann|user.ban|nobody|r|USER_NOT_FOUND",
		"ann Ann|user.ban|breaks|r|INTERNAL",
		"abe Abe|user.unban|bob Bob||",
		"abe Abe|user.set_role|bob Bob|moderator|",
		"abe Abe|user.set_role|bob Bob|admin|",
		"abe Abe|user.set_role|bob Bob|user|",
		"abe Abe|user.set_role|abe Abe|user|CANNOT_CHANGE_OWN_ROLE",
		"ann Ann|user.revoke_device|bob Bob|session phone|",
		"ann Ann|user.revoke_device|moe Moe|session phone|SESSION_NOT_FOUND",
		"ann Ann|user.ban|operator|r|FORBIDDEN",
		"ann Ann|user.set_role|operator|user|FORBIDDEN",
		"ann Ann|user.ban|closed|r|INTERNAL",
		"ann|user.unban|bob||",
	)
}

func TestActsOnRooms(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	moe, ctx := w.in("moe", authv1.Role_ROLE_MODERATOR), t.Context()
	const notFound = connect.CodeNotFound

	over, err := moe.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "room", Reason: "nudity"})
	if err != nil || over.GetBroadcast().GetState() != livev1.BroadcastState_BROADCAST_STATE_ENDED {
		t.Errorf("got %v, %v", over, err)
	}
	w.refused("off the air", second(moe.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "dark", Reason: "r"})),
		connect.CodeFailedPrecondition, "NOT_LIVE")
	warned, err := moe.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: "dark", Text: "No ads, please"})
	if err != nil || warned.GetWarning().GetText() != "No ads, please" {
		t.Errorf("got %v, %v", warned, err)
	}
	w.refused("nowhere", second(moe.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: "nowhere", Text: "t"})), notFound, "ROOM_NOT_FOUND")
	bare, err := moe.TakeDownCover(ctx, &adminv1.TakeDownCoverRequest{RoomId: "room", Reason: "ad"})
	if err != nil || bare.GetRoom().GetCoverMode() != livev1.CoverMode_COVER_MODE_TAKEN_DOWN {
		t.Errorf("got %v, %v", bare, err)
	}
	w.refused("nowhere", second(moe.TakeDownCover(ctx, &adminv1.TakeDownCoverRequest{RoomId: "nowhere", Reason: "r"})), notFound, "ROOM_NOT_FOUND")

	w.expect(
		"moe Moe|broadcast.end|room Chess at night|nudity|",
		"moe Moe|broadcast.end|dark|r|NOT_LIVE",
		"moe Moe|room.warn|dark Chess at night|No ads, please|",
		"moe Moe|room.warn|nowhere|t|ROOM_NOT_FOUND",
		"moe Moe|room.take_down_cover|room Chess at night|ad|",
		"moe Moe|room.take_down_cover|nowhere|r|ROOM_NOT_FOUND",
	)
}

func TestDeletedMessagesLeaveAnExcerpt(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	moe, ctx := w.in("moe", authv1.Role_ROLE_MODERATOR), t.Context()
	drop := func(conversation string, seq int64) error {
		return second(moe.DeleteMessage(ctx, &adminv1.DeleteMessageRequest{
			ConversationId: conversation, Position: &chatv1.Position{Epoch: 1, Seq: seq}, Reason: "rude",
		}))
	}
	for _, text := range []string{" You\nare \u202ea fool ", strings.Repeat("é", 100), strings.Repeat("é", 101)} {
		w.talk.text.Store(text)
		w.must(drop("c", 1))
	}
	w.must(drop("c", 2))
	w.refused("no such message", drop("c", 3), connect.CodeNotFound, "MESSAGE_NOT_FOUND")
	w.refused("no such talk", drop("nowhere", 1), connect.CodeNotFound, "CONVERSATION_NOT_FOUND")
	w.expect(
		`moe Moe|message.delete|c|rude (message 1 by Bob bob: "You\nare \u202ea fool")|`,
		`moe Moe|message.delete|c|rude (message 1 by Bob bob: "`+strings.Repeat("é", 100)+`")|`,
		`moe Moe|message.delete|c|rude (message 1 by Bob bob: "`+strings.Repeat("é", 99)+`…")|`,
		`moe Moe|message.delete|c|rude (message 2)|`,
		`moe Moe|message.delete|c|rude (message 3)|MESSAGE_NOT_FOUND`,
		`moe Moe|message.delete|nowhere|rude (message 1)|CONVERSATION_NOT_FOUND`,
	)
}

func TestMutes(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	moe, ctx := w.in("moe", authv1.Role_ROLE_MODERATOR), t.Context()
	until := time.Now().Add(time.Hour).UTC()
	muted, err := moe.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: "bob", ConversationId: "c", Reason: "spam", Until: timestamppb.New(until)})
	m := muted.GetMute()
	if err != nil || m.GetUser().GetNickname() != "Bob" || m.GetConversationId() != "c" || m.GetReason() != "spam" ||
		!m.GetUntil().AsTime().Equal(until) || time.Since(m.GetCreatedAt().AsTime()) > time.Minute {
		t.Errorf("got %v, %v", muted, err)
	}
	if m.GetUser().GetUsername() != "" || m.GetUser().GetCreatedAt() != nil {
		t.Errorf("it tells what only the user may see: %v", m.GetUser())
	}
	w.must(second(moe.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: "bob", Reason: "more spam"})))
	w.talk.mutes = append(w.talk.mutes, &chatv1.Mute{UserId: "gone", Reason: "left"})
	list, err := moe.ListMutes(ctx, &adminv1.ListMutesRequest{PageSize: 7, PageToken: "here"})
	if err != nil || len(list.GetMutes()) != 3 || list.GetNextPageToken() != "7here" {
		t.Fatalf("got %v, %v", list, err)
	}
	if all := list.GetMutes(); all[0].GetUntil() != nil || all[0].GetConversationId() != "" || all[1].GetUser().GetNickname() != "Bob" ||
		all[2].GetUser().GetId() != "gone" || all[2].GetUser().GetNickname() != "" {
		t.Errorf("got %v", all)
	}
	w.refused("a made-up token", second(moe.ListMutes(ctx, &adminv1.ListMutesRequest{PageToken: "broken"})), connect.CodeInvalidArgument, "PAGE_TOKEN_INVALID")
	w.refused("nobody", second(moe.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: "nobody", Reason: "r"})), connect.CodeNotFound, "USER_NOT_FOUND")
	w.refused("nowhere", second(moe.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: "bob", ConversationId: "d", Reason: "r"})),
		connect.CodeNotFound, "CONVERSATION_NOT_FOUND")
	w.must(second(moe.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: "bob", ConversationId: "c"})))
	w.must(second(moe.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: "bob"})))
	w.refused("twice", second(moe.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: "bob"})), connect.CodeNotFound, "MUTE_NOT_FOUND")
	w.expect(
		"moe Moe|user.mute|bob Bob|spam (in c until "+until.Format(time.RFC3339)+")|",
		"moe Moe|user.mute|bob Bob|more spam (everywhere)|",
		"moe Moe|user.mute|nobody|r (everywhere)|USER_NOT_FOUND",
		"moe Moe|user.mute|bob Bob|r (in d)|CONVERSATION_NOT_FOUND",
		"moe Moe|user.unmute|bob Bob|in c|",
		"moe Moe|user.unmute|bob Bob|everywhere|",
		"moe Moe|user.unmute|bob Bob|everywhere|MUTE_NOT_FOUND",
	)
}

func TestWhoMayMuteWhom(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ctx := t.Context()
	for _, c := range []struct {
		actor        string
		role         authv1.Role
		target       string
		mutes, lifts bool
		says         string
	}{
		{"moe", authv1.Role_ROLE_MODERATOR, "bob", true, true, ""},
		{"moe", authv1.Role_ROLE_MODERATOR, "mia", false, false, "administrator"},
		{"moe", authv1.Role_ROLE_MODERATOR, "moe", false, false, "administrator"},
		{"moe", authv1.Role_ROLE_MODERATOR, "ann", false, false, "administrator"},
		{"ann", authv1.Role_ROLE_ADMIN, "bob", true, true, ""},
		{"ann", authv1.Role_ROLE_ADMIN, "moe", true, true, ""},
		{"ann", authv1.Role_ROLE_ADMIN, "abe", false, true, "administrator"},
		{"ann", authv1.Role_ROLE_ADMIN, "ann", false, true, "administrator"},
	} {
		client := w.in(c.actor, c.role)
		for act, err := range map[*bool]error{
			&c.mutes: second(client.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: c.target, ConversationId: "c", Reason: "r"})),
			&c.lifts: func() error {
				w.talk.mute(c.target)
				return second(client.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: c.target, ConversationId: "d"}))
			}(),
		} {
			what := c.actor + " on " + c.target
			if *act && err != nil {
				t.Errorf("%s: %v", what, err)
			} else if !*act {
				if w.refused(what, err, connect.CodeFailedPrecondition, admin.ReasonCannotMuteStaff); !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: it says %v", what, err)
				}
			}
		}
	}
	if got := len(w.log(&adminv1.ListAuditEntriesRequest{})); got != 16 {
		t.Errorf("%d entries for 16 acts", got)
	}
}
