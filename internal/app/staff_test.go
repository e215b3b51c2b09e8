package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
	"github.com/stoa-live/stoa/services/live/lalset"
)

// audit returns what was done to a target, newest first.
func (c clients) audit(t *testing.T, target string) []*adminv1.AuditEntry {
	t.Helper()
	res, err := c.admin.ListAuditEntries(t.Context(), &adminv1.ListAuditEntriesRequest{TargetId: target, PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetEntries()
}

func position(m *chatv1.Message) *chatv1.Position {
	return &chatv1.Position{Epoch: m.GetEpoch(), Seq: m.GetSeq()}
}

// TestModeratorsKeepTheTalk goes from a rude message to a quiet room, and back.
func TestModeratorsKeepTheTalk(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ctx := t.Context()
	moderator := inRole(t, s, authv1.Role_ROLE_MODERATOR)
	staff, operator := as(s, binary, moderator.Token), as(s, binary, s.Operator(t).Token)
	troll, owner := s.User(t, "troll"), as(s, binary, s.User(t, "owner").Token)
	writer := as(s, binary, troll.Token)
	talk := owner.openRoom(t, "A room").GetConversationId()
	rude := writer.say(t, talk, "something rude")
	events, _ := owner.subscribe(t, talk)
	if _, err := staff.admin.DeleteMessage(ctx, &adminv1.DeleteMessageRequest{ConversationId: talk, Position: position(rude), Reason: "rude"}); err != nil {
		t.Fatal(err)
	}
	gone := events.until("the message is taken away", func(e *chatv1.Event) bool { return e.GetMessageChanged() != nil })
	if gone.GetMessageChanged().GetSeq() != rude.GetSeq() {
		t.Errorf("another message is taken away: %v", gone)
	}
	_, history := owner.subscribe(t, talk)
	if len(history) != 1 || !history[0].GetDeleted() || history[0].GetContent() != nil {
		t.Errorf("the history is %v", history)
	}

	mute := func(user string, in string) error {
		_, err := staff.admin.MuteUser(ctx, &adminv1.MuteUserRequest{
			UserId: user, ConversationId: in, Reason: "enough", Until: timestamppb.New(time.Now().Add(time.Hour)),
		})
		return err
	}
	for _, in := range []string{talk, ""} {
		if err := mute(troll.User.GetId(), in); err != nil {
			t.Fatal(err)
		}
		_, err := writer.chat.SendMessage(ctx, message(talk, "more"))
		refused(t, "a muted user", err, connect.CodePermissionDenied, "MUTED")
		if got := errs.Metadata(err)["mute_reason"]; got != "enough" {
			t.Errorf("the user is told %q", got)
		}
		list, err := staff.admin.ListMutes(ctx, &adminv1.ListMutesRequest{})
		if m := list.GetMutes(); err != nil || len(m) != 1 || m[0].GetUser().GetNickname() != "troll" || m[0].GetConversationId() != in {
			t.Errorf("the mutes are %v, %v", list, err)
		}
		if _, err := staff.admin.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: troll.User.GetId(), ConversationId: in}); err != nil {
			t.Fatal(err)
		}
		writer.say(t, talk, "better")
	}
	refused(t, "nobody", mute("nobody", ""), connect.CodeNotFound, "USER_NOT_FOUND")
	refused(t, "nowhere", mute(troll.User.GetId(), "nowhere"), connect.CodeNotFound, "CONVERSATION_NOT_FOUND")
	refused(t, "the moderator", mute(moderator.User.GetId(), ""), connect.CodeFailedPrecondition, "CANNOT_MUTE_STAFF")
	refused(t, "the operator", mute("operator", ""), connect.CodeFailedPrecondition, "CANNOT_MUTE_STAFF")
	_, err := staff.admin.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: troll.User.GetId()})
	refused(t, "no mute", err, connect.CodeNotFound, "MUTE_NOT_FOUND")

	entries := operator.audit(t, talk)
	if len(entries) != 1 || entries[0].GetAction() != "message.delete" || entries[0].GetActorName() != "staff" ||
		!strings.Contains(entries[0].GetDetail(), "rude (message 1 by troll "+troll.User.GetId()) || !strings.Contains(entries[0].GetDetail(), "something rude") {
		t.Errorf("the log has %v", entries)
	}
	for _, e := range operator.audit(t, troll.User.GetId()) {
		if e.GetTargetName() != "troll" || e.GetActorId() != moderator.User.GetId() {
			t.Errorf("the log has %v", e)
		}
	}
}

// TestModeratorsKeepTheRooms warns, takes a cover down and ends a broadcast.
func TestModeratorsKeepTheRooms(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ctx := t.Context()
	staff, operator := as(s, binary, inRole(t, s, authv1.Role_ROLE_MODERATOR).Token), as(s, binary, s.Operator(t).Token)
	owner, viewer := as(s, binary, s.User(t, "owner").Token), as(s, binary, s.User(t, "viewer").Token)
	room := owner.openRoom(t, "Chess at night")
	id := room.GetId()
	if _, err := staff.admin.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: id, Text: "No ads, please"}); err != nil {
		t.Fatal(err)
	}
	seen, err := owner.live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: id})
	if err != nil || seen.GetWarning().GetText() != "No ads, please" {
		t.Errorf("the owner sees %v, %v", seen, err)
	}
	if seen, err := viewer.live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: id}); err != nil || seen.GetWarning() != nil {
		t.Errorf("others see %v, %v", seen, err)
	}
	down, err := staff.admin.TakeDownCover(ctx, &adminv1.TakeDownCoverRequest{RoomId: id, Reason: "ad"})
	if err != nil || down.GetRoom().GetCoverMode() != livev1.CoverMode_COVER_MODE_TAKEN_DOWN {
		t.Errorf("got %v, %v", down, err)
	}
	_, err = staff.admin.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: id, Reason: "r"})
	refused(t, "a room off the air", err, connect.CodeFailedPrecondition, "NOT_LIVE")
	key, err := owner.live.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: id})
	if err != nil {
		t.Fatal(err)
	}
	s.Publish(t, key.GetRtmpUrl(), key.GetStreamKey())
	testkit.Eventually(t, 10*time.Second, "the broadcast begins", func() bool {
		_, err := staff.admin.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: id, Reason: "enough"})
		return err == nil
	})
	list, err := staff.admin.ListRooms(ctx, &adminv1.ListRoomsRequest{Query: "CHESS"})
	if err != nil || len(list.GetItems()) != 1 || list.GetItems()[0].GetRoom().GetId() != id {
		t.Errorf("the search finds %v, %v", list, err)
	}
	if list, err := staff.admin.ListRooms(ctx, &adminv1.ListRoomsRequest{Query: "checkers"}); err != nil || len(list.GetItems()) != 0 {
		t.Errorf("the search finds %v, %v", list, err)
	}
	named := make(map[string]string)
	for _, e := range operator.audit(t, id) {
		if e.GetError() == "" {
			named[e.GetAction()] = e.GetTargetName()
		}
	}
	for _, action := range []string{"room.warn", "room.take_down_cover", "broadcast.end"} {
		if named[action] != "Chess at night" {
			t.Errorf("%s is of %q in the log", action, named[action])
		}
	}
}

// TestStaffInspectUsers looks at everything of a user and ends one of two sessions.
func TestStaffInspectUsers(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ctx := t.Context()
	admin, moderator := inRole(t, s, authv1.Role_ROLE_ADMIN), inRole(t, s, authv1.Role_ROLE_MODERATOR)
	desk, staff := as(s, binary, admin.Token), as(s, binary, moderator.Token)
	user := s.User(t, "user")
	other, err := as(s, binary, "").auth.SignIn(ctx, &authv1.SignInRequest{
		DeviceId: s.Device(t), Username: user.User.GetUsername(), Password: testkit.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	room := as(s, binary, user.Token).openRoom(t, "A room")
	if _, err := staff.admin.MuteUser(ctx, &adminv1.MuteUserRequest{UserId: user.User.GetId(), Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	all, err := staff.admin.GetUser(ctx, &adminv1.GetUserRequest{UserId: user.User.GetId()})
	if err != nil || all.GetUser().GetUser().GetUsername() != user.User.GetUsername() || len(all.GetDevices()) != 2 ||
		len(all.GetRooms()) != 1 || all.GetRooms()[0].GetRoom().GetId() != room.GetId() || len(all.GetMutes()) != 1 {
		t.Fatalf("the user is %v, %v", all, err)
	}
	latest := all.GetDevices()[0]
	if latest.GetPlatform() != authv1.Platform_PLATFORM_CLI || time.Since(latest.GetSignedInAt().AsTime()) > time.Minute {
		t.Errorf("the latest device is %v", latest)
	}
	stream, _ := as(s, binary, other.GetAccessToken()).subscribe(t, room.GetConversationId())
	revoke := &adminv1.RevokeUserDeviceRequest{UserId: user.User.GetId(), SessionId: latest.GetSessionId()}
	_, err = staff.admin.RevokeUserDevice(ctx, revoke)
	refused(t, "a moderator", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	if _, err := desk.admin.RevokeUserDevice(ctx, revoke); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	refused(t, "the open stream", stream.end(), connect.CodeUnauthenticated, authn.ReasonSessionRevoked)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the stream ended after %v", took)
	}
	if _, err := as(s, binary, user.Token).auth.GetMe(ctx, &authv1.GetMeRequest{}); err != nil {
		t.Errorf("the other session: %v", err)
	}
	_, err = desk.admin.RevokeUserDevice(ctx, revoke)
	refused(t, "again", err, connect.CodeNotFound, "SESSION_NOT_FOUND")
	_, err = desk.admin.GetUser(ctx, &adminv1.GetUserRequest{UserId: "nobody"})
	refused(t, "nobody", err, connect.CodeNotFound, "USER_NOT_FOUND")
	_, err = desk.admin.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: admin.User.GetId(), Role: authv1.Role_ROLE_USER})
	refused(t, "an administrator's own role", err, connect.CodeFailedPrecondition, "CANNOT_CHANGE_OWN_ROLE")
	_, err = desk.admin.BanUser(ctx, &adminv1.BanUserRequest{UserId: "operator", Reason: "r"})
	refused(t, "the operator", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	_, err = desk.admin.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "operator", Role: authv1.Role_ROLE_USER})
	refused(t, "the operator's role", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	list, err := staff.admin.ListUsers(ctx, &adminv1.ListUsersRequest{OnlyStaff: true})
	var ids []string
	for _, u := range list.GetUsers() {
		ids = append(ids, u.GetUser().GetId())
	}
	if err != nil || !slices.Contains(ids, admin.User.GetId()) || !slices.Contains(ids, moderator.User.GetId()) || slices.Contains(ids, user.User.GetId()) {
		t.Errorf("the staff are %v, %v", ids, err)
	}
}

// TestSiteIsObeyed closes sign-up and the opening of rooms, and opens them again.
func TestSiteIsObeyed(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ctx := t.Context()
	site := testkit.Client(s, binary, "", sitev1connect.NewSiteServiceClient)
	admin, moderator := as(s, binary, inRole(t, s, authv1.Role_ROLE_ADMIN).Token), as(s, binary, inRole(t, s, authv1.Role_ROLE_MODERATOR).Token)
	user := as(s, binary, s.User(t, "user").Token)
	open := func(allowed bool) {
		t.Helper()
		_, err := admin.admin.UpdateSite(ctx, &adminv1.UpdateSiteRequest{
			Site:       &sitev1.Site{Name: "Agora", SignUpEnabled: allowed, RoomCreationEnabled: allowed},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name", "sign_up_enabled", "room_creation_enabled"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := site.GetSite(ctx, &sitev1.GetSiteRequest{})
		if err != nil || got.GetSite().GetName() != "Agora" || got.GetSite().GetSignUpEnabled() != allowed {
			t.Errorf("the site is %v, %v", got, err)
		}
	}
	tried := func(c clients) error {
		_, err := c.live.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "A room", CategoryId: "games", RequestId: time.Now().String()[:30]})
		return err
	}
	open(false)
	_, err := as(s, binary, "").auth.SignUp(ctx, &authv1.SignUpRequest{DeviceId: s.Device(t), Username: "latecomer", Password: testkit.Password})
	refused(t, "sign-up", err, connect.CodeFailedPrecondition, "SIGN_UP_DISABLED")
	refused(t, "a user's room", tried(user), connect.CodeFailedPrecondition, "ROOM_CREATION_DISABLED")
	if err := tried(moderator); err != nil {
		t.Errorf("a moderator's room: %v", err)
	}
	open(true)
	if err := errors.Join(tried(user), second(as(s, binary, "").auth.SignUp(ctx, &authv1.SignUpRequest{
		DeviceId: s.Device(t), Username: "latecomer", Password: testkit.Password,
	}))); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// show publishes a second of pictures and stays.
func show(t *testing.T, key *livev1.IssueStreamKeyResponse) {
	t.Helper()
	lalset.Apply()
	encoder := rtmp.NewPushSession()
	if err := encoder.Push(key.GetRtmpUrl() + "/" + key.GetStreamKey()); err != nil {
		t.Fatalf("publish: %v", err)
	}
	t.Cleanup(func() { _ = encoder.Dispose() })
	send := func(at uint32, payload []byte) {
		t.Helper()
		header := base.RtmpHeader{
			Csid: rtmp.CsidVideo, MsgLen: uint32(len(payload)), MsgTypeId: base.RtmpTypeIdVideo, MsgStreamId: rtmp.Msid1, TimestampAbs: at,
		}
		if err := encoder.WriteMsg(base.RtmpMsg{Header: header, Payload: payload}); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	send(0, hubtest.AVCConfig())
	send(0, hubtest.Key(0, 500))
	for i := range uint32(25) {
		send(40+40*i, hubtest.Inter(uint64(i)+1, 100))
	}
	if err := encoder.Flush(); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// TestOverviewOfTheWhole waits for what people do to show.
func TestOverviewOfTheWhole(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *config.Serve) { c.Version = "v1.2.3" })
	ctx := t.Context()
	staff := as(s, binary, inRole(t, s, authv1.Role_ROLE_MODERATOR).Token)
	owner, viewer := as(s, binary, s.User(t, "owner").Token), as(s, binary, s.Guest(t).Token)
	room := owner.openRoom(t, "A room")
	key, err := owner.live.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	show(t, key)
	viewer.subscribe(t, room.GetConversationId())
	owner.say(t, room.GetConversationId(), "hello")
	var onAir, watched, talked, asked, alive bool
	defer func() {
		t.Logf("on air %v, watched %v, talked %v, asked %v, alive %v", onAir, watched, talked, asked, alive)
	}()
	var after *timestamppb.Timestamp
	testkit.Eventually(t, 30*time.Second, "everything shows", func() bool {
		o, err := staff.admin.GetOverview(ctx, &adminv1.GetOverviewRequest{After: after})
		if err != nil || o.GetVersion() != "v1.2.3" || o.GetCpuCount() < 1 || time.Since(o.GetStartedAt().AsTime()) > time.Minute {
			t.Fatalf("%v, %v", o, err)
		}
		for _, sample := range o.GetSamples() {
			onAir = onAir || sample.GetBroadcastCount() == 1
			watched = watched || sample.GetViewerCount() == 1
			talked = talked || sample.GetMessageRate() > 0
			asked = asked || sample.GetRequestRate() > 0
			alive = alive || sample.GetMemoryBytes() > 0 && sample.GetCpuCores() > 0
			if sample.GetErrorRate() != 0 {
				t.Errorf("errors: %v", sample)
			}
			if gap := sample.GetAt().AsTime().Sub(after.AsTime()); after != nil && (gap <= 0 || gap > 20*time.Second) {
				t.Errorf("%v after the sample before", gap)
			}
			after = sample.GetAt()
		}
		return onAir && watched && talked && asked && alive
	})
}
