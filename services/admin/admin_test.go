package admin_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ent "github.com/stoa-live/stoa/gen/ent/admin"
	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

func TestMigrationsMatchTheSchema(t *testing.T) {
	db := storetest.Open(t, "admin", os.DirFS("."))
	storetest.AssertMatches(t, ent.NewClient(ent.Driver(db.WriteDriver())).Schema)
}

func TestListsAreTheNeighbours(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	users, err := w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{
		Query: "q", OnlyBanned: true, OnlyStaff: true, PageSize: 7, PageToken: "here",
	})
	if err != nil || len(users.GetUsers()) != 1 ||
		users.GetUsers()[0].GetUser().GetNickname() != fmt.Sprint("q", true, true, int32(7), "here") ||
		users.GetUsers()[0].GetBan().GetReason() != "spam" || users.GetNextPageToken() != "more" {
		t.Errorf("got %v, %v", users, err)
	}
	w.refused("a made-up token", second(w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{PageToken: "broken"})),
		connect.CodeInvalidArgument, pagination.ReasonTokenInvalid)
	rooms, err := w.as("ann").ListRooms(t.Context(), &adminv1.ListRoomsRequest{OnlyLive: true, Query: "q", PageSize: 7, PageToken: "here"})
	if err != nil || len(rooms.GetItems()) != 1 ||
		rooms.GetItems()[0].GetRoom().GetTitle() != fmt.Sprint(true, "q", "", int32(7), "here") ||
		rooms.GetItems()[0].GetBroadcast().GetViewerCount() != 3 || rooms.GetNextPageToken() != "more" {
		t.Errorf("got %v, %v", rooms, err)
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != 0 {
		t.Errorf("reading was recorded: %v", got)
	}
}

func TestUserWithEverything(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	w.talk.mute("moe")
	w.talk.mute("bob")
	moe := w.in("moe", authv1.Role_ROLE_MODERATOR)
	bob, err := moe.GetUser(t.Context(), &adminv1.GetUserRequest{UserId: "bob"})
	w.must(err)
	if u := bob.GetUser(); u.GetUser().GetNickname() != "Bob" || u.GetBan().GetReason() != "spam" {
		t.Errorf("the user is %v", u)
	}
	if d := bob.GetDevices(); len(d) != 1 || d[0].GetSessionId() != "session of bob" || d[0].GetPlatform() != authv1.Platform_PLATFORM_IOS ||
		d[0].GetModel() != "Phone" || d[0].GetAppVersion() != "1.2" || d[0].GetSignedInAt().GetSeconds() != 1 || d[0].GetLastSeenAt().GetSeconds() != 2 {
		t.Errorf("the devices are %v", d)
	}
	if r := bob.GetRooms(); len(r) != 1 || r[0].GetRoom().GetTitle() != fmt.Sprint(false, "", "bob", int32(100), "") {
		t.Errorf("the rooms are %v", r)
	}
	if m := bob.GetMutes(); len(m) != 1 || m[0].GetUser().GetNickname() != "Bob" || m[0].GetConversationId() != "d" {
		t.Errorf("the mutes are %v", m)
	}
	w.refused("nobody", second(moe.GetUser(t.Context(), &adminv1.GetUserRequest{UserId: "nobody"})), connect.CodeNotFound, "USER_NOT_FOUND")
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != 0 {
		t.Errorf("looking was recorded: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ann, ctx := w.as("ann"), t.Context()
	const moderator, administrator = authv1.Role_ROLE_MODERATOR, authv1.Role_ROLE_ADMIN
	calls := map[string]struct {
		needs authv1.Role
		call  func(c adminv1connect.AdminServiceClient) error
	}{
		"GetOverview": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.GetOverview(ctx, &adminv1.GetOverviewRequest{}))
		}},
		"ListUsers": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.ListUsers(ctx, &adminv1.ListUsersRequest{}))
		}},
		"GetUser": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.GetUser(ctx, &adminv1.GetUserRequest{UserId: "bob"}))
		}},
		"ListRooms": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.ListRooms(ctx, &adminv1.ListRoomsRequest{}))
		}},
		"EndBroadcast": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "room", Reason: "r"}))
		}},
		"WarnStreamer": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: "room", Text: "t"}))
		}},
		"TakeDownCover": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.TakeDownCover(ctx, &adminv1.TakeDownCoverRequest{RoomId: "room", Reason: "r"}))
		}},
		"DeleteMessage": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.DeleteMessage(ctx, &adminv1.DeleteMessageRequest{ConversationId: "c", Position: &chatv1.Position{Seq: 2}, Reason: "r"}))
		}},
		"MuteUser": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: "bob", Reason: "r"}))
		}},
		"UnmuteUser": {moderator, func(c adminv1connect.AdminServiceClient) error {
			w.talk.mute("bob")
			return second(c.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: "bob", ConversationId: "d"}))
		}},
		"ListMutes": {moderator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.ListMutes(ctx, &adminv1.ListMutesRequest{}))
		}},
		"RevokeUserDevice": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.RevokeUserDevice(ctx, &adminv1.RevokeUserDeviceRequest{UserId: "bob", SessionId: "phone"}))
		}},
		"BanUser": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: "r"}))
		}},
		"UnbanUser": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"}))
		}},
		"SetUserRole": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "bob", Role: administrator}))
		}},
		"UpdateSite": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.UpdateSite(ctx, &adminv1.UpdateSiteRequest{Site: &sitev1.Site{Name: "S"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}}}))
		}},
		"ListAuditEntries": {administrator, func(c adminv1connect.AdminServiceClient) error {
			return second(c.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{}))
		}},
	}
	methods := adminv1.File_stoa_admin_v1_admin_service_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		if _, ok := calls[string(methods.Get(i).Name())]; !ok {
			t.Errorf("%s is not tried", methods.Get(i).Name())
		}
	}
	recorded := 0
	for _, role := range []authv1.Role{authv1.Role_ROLE_GUEST, authv1.Role_ROLE_USER, moderator, administrator} {
		c := w.in("eve", role)
		for name, row := range calls {
			err := row.call(c)
			switch {
			case role < row.needs:
				w.refused(fmt.Sprintf("%s by a %v", name, role), err, connect.CodePermissionDenied, errs.ReasonForbidden)
			case err != nil:
				t.Errorf("%s by a %v: %v", name, role, err)
			case !strings.HasPrefix(name, "List") && !strings.HasPrefix(name, "Get"):
				recorded++
			}
		}
	}
	long := strings.Repeat("x", 201)
	for name, err := range map[string]error{
		"no reason":   second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob"})),
		"long reason": second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: long})),
		"over before it began": second(ann.BanUser(ctx, &adminv1.BanUserRequest{
			UserId: "bob", Reason: "r", Until: timestamppb.New(time.Now().Add(-time.Minute)),
		})),
		"mute over before it began": second(ann.MuteUser(ctx, &adminv1.MuteUserRequest{
			UserId: "bob", Reason: "r", Until: timestamppb.New(time.Now().Add(-time.Minute)),
		})),
		"nobody":     second(ann.UnbanUser(ctx, &adminv1.UnbanUserRequest{})),
		"to a guest": second(ann.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "bob", Role: authv1.Role_ROLE_GUEST})),
		"no room":    second(ann.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{Reason: "r"})),
		"no words":   second(ann.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: "room"})),
		"no place":   second(ann.DeleteMessage(ctx, &adminv1.DeleteMessageRequest{ConversationId: "c", Reason: "r"})),
	} {
		w.refused(name, err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	}
	w.refused("a made-up token", second(ann.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{PageToken: "!"})),
		connect.CodeInvalidArgument, pagination.ReasonTokenInvalid)
	// Neither refusals by the table nor requests that make no sense are acts; all else is, once.
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != recorded || slices.ContainsFunc(got, func(l string) bool { return !strings.HasSuffix(l, "|") }) {
		t.Errorf("recorded %d, want %d: %v", len(got), recorded, got)
	}
}
