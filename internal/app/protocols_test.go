// Package app_test boots the real composition and calls it as clients do. What one service or one layer does by itself is
// tested beside it; here stands what only the whole can show.
package app_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

// binary is the protocol of tests that are not about protocols.
var binary = testkit.Protocols()[0]

// clients calls every service as one person.
type clients struct {
	auth  authv1connect.AuthServiceClient
	live  livev1connect.LiveServiceClient
	chat  chatv1connect.ChatServiceClient
	edge  edgev1connect.EdgeServiceClient
	admin adminv1connect.AdminServiceClient
}

func as(s *testkit.Server, p testkit.Protocol, token string) clients {
	return clients{
		testkit.Client(s, p, token, authv1connect.NewAuthServiceClient), testkit.Client(s, p, token, livev1connect.NewLiveServiceClient),
		testkit.Client(s, p, token, chatv1connect.NewChatServiceClient), testkit.Client(s, p, token, edgev1connect.NewEdgeServiceClient),
		testkit.Client(s, p, token, adminv1connect.NewAdminServiceClient),
	}
}

// openRoom opens a room of the caller's.
func (c clients) openRoom(t *testing.T, title string) *livev1.Room {
	t.Helper()
	res, err := c.live.CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: title, CategoryId: "games", RequestId: rand.Text()})
	if err != nil {
		t.Fatalf("open room: %v", err)
	}
	return res.GetRoom()
}

// say sends a message.
func (c clients) say(t *testing.T, conversationID, text string) *chatv1.Message {
	t.Helper()
	res, err := c.chat.SendMessage(t.Context(), message(conversationID, text))
	if err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
	return res.GetMessage()
}

func message(conversationID, text string) *chatv1.SendMessageRequest {
	return &chatv1.SendMessageRequest{
		ConversationId: conversationID, ClientMsgId: rand.Text(),
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	}
}

// patience is after what time a stream that should have ended fails its test.
const patience = time.Minute

// subscription is a long connection in one room.
type subscription struct {
	t      *testing.T
	stream *connect.ServerStreamForClient[edgev1.ConnectResponse]
	stop   context.CancelFunc
	seq    int64 // of the last message that was read or told
	told   []*chatv1.Event
}

// subscribe enters a room, and reads what was said there before.
func (c clients) subscribe(t *testing.T, conversationID string) (*subscription, []*chatv1.Message) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	stream, err := c.edge.Connect(ctx, &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: conversationID}}})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	s := &subscription{t: t, stream: stream, stop: stop}
	t.Cleanup(s.leave)
	for s.stream.Receive() {
		f := s.stream.Msg().GetFrame()
		if f.GetError() != nil {
			t.Fatalf("enter: %v", f.GetError())
		}
		if f.GetEntered() == nil {
			continue
		}
		list, err := c.chat.ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: conversationID, PageSize: 200})
		if err != nil {
			t.Fatalf("read history: %v", err)
		}
		for _, m := range list.GetMessages() {
			s.seq = m.GetSeq()
		}
		return s, list.GetMessages()
	}
	t.Fatalf("the stream ended before the room was entered: %v", s.stream.Err())
	return nil, nil
}

// until reads events up to the first that is wanted. What history had is not told again.
func (s *subscription) until(what string, wanted func(*chatv1.Event) bool) *chatv1.Event {
	s.t.Helper()
	for {
		for len(s.told) > 0 {
			e := s.told[0]
			s.told = s.told[1:]
			if m := e.GetMessage(); m != nil && m.GetSeq() <= s.seq {
				continue
			}
			if wanted(e) {
				return e
			}
		}
		if !s.stream.Receive() {
			s.t.Fatalf("the stream ended before %s: %v", what, s.stream.Err())
		}
		for _, e := range s.stream.Msg().GetFrame().GetPush().GetEvents() {
			if e.GetChat() != nil {
				s.told = append(s.told, e.GetChat())
			}
		}
	}
}

// end reads to the end and returns why it came.
func (s *subscription) end() error {
	for s.stream.Receive() { //nolint:revive // what comes is not asked for
	}
	return s.stream.Err()
}

func (s *subscription) leave() {
	s.stop()
	_ = s.stream.Close()
}

func TestOneBodyForEveryProtocol(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	operator := s.Operator(t)
	for _, p := range testkit.Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			everything(t, s, p, operator)
		})
	}
}

// everything is what a streamer, a viewer and an operator do with a room that is not on the air.
func everything(t *testing.T, s *testkit.Server, p testkit.Protocol, operator testkit.Person) {
	ctx, nobody := t.Context(), as(s, p, "")
	device, err := nobody.auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_IOS, Model: "ünïcode 📱"})
	if err != nil {
		t.Fatal(err)
	}
	name := "u" + strings.ToLower(rand.Text())
	session, err := nobody.auth.SignUp(ctx, &authv1.SignUpRequest{
		DeviceId: device.GetDeviceId(), Username: name, Password: testkit.Password, Nickname: "Ü 📺",
	})
	if err != nil {
		t.Fatal(err)
	}
	owner := as(s, p, session.GetAccessToken())
	me, err := owner.auth.GetMe(ctx, &authv1.GetMeRequest{})
	if err != nil || !proto.Equal(me.GetUser(), session.GetUser()) || me.GetUser().GetNickname() != "Ü 📺" {
		t.Fatalf("I am %v, %v", me, err)
	}

	wish := &livev1.CreateRoomRequest{Title: "A röom", CategoryId: "games", RequestId: rand.Text()}
	opened, err := owner.live.CreateRoom(ctx, wish)
	if err != nil {
		t.Fatal(err)
	}
	again, err := owner.live.CreateRoom(ctx, wish)
	if err != nil || again.GetRoom().GetId() != opened.GetRoom().GetId() {
		t.Errorf("the same wish again: %v, %v", again, err)
	}
	room := opened.GetRoom()
	key, err := owner.live.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	if err != nil || !strings.HasPrefix(key.GetRtmpUrl(), "rtmp://127.0.0.1:") || len(key.GetStreamKey()) < 20 {
		t.Errorf("key: %v, %v", key, err)
	}
	got, err := owner.live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: room.GetId()})
	if err != nil || !proto.Equal(got.GetRoom(), room) || got.GetPlayback() != nil || got.GetRoom().GetOwner().GetId() != me.GetUser().GetId() {
		t.Errorf("room: %v, %v", got, err)
	}
	list, err := nobody.live.ListRooms(ctx, &livev1.ListRoomsRequest{OwnerId: me.GetUser().GetId()})
	if err != nil || len(list.GetItems()) != 1 || !proto.Equal(list.GetItems()[0].GetRoom(), room) {
		t.Errorf("rooms: %v, %v", list, err)
	}

	talk(t, owner, room.GetConversationId())

	_, err = owner.admin.ListUsers(ctx, &adminv1.ListUsersRequest{})
	refused(t, "a user among the staff", err, connect.CodePermissionDenied, errs.ReasonForbidden)
	if errs.Metadata(err)["required_role"] != "moderator" {
		t.Errorf("metadata: %v", errs.Metadata(err))
	}
	users, err := as(s, p, operator.Token).admin.ListUsers(ctx, &adminv1.ListUsersRequest{Query: name})
	if err != nil || len(users.GetUsers()) != 1 {
		t.Errorf("the operator sees %v, %v", users, err)
	}
	_, err = nobody.live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: room.GetId()})
	refused(t, "nobody in a room", err, connect.CodeUnauthenticated, authn.ReasonTokenMissing)
	_, err = owner.live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: "nowhere"})
	refused(t, "a room that is not there", err, connect.CodeNotFound, "ROOM_NOT_FOUND")
	_, err = owner.live.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: strings.Repeat("é", 81), CategoryId: "games", RequestId: rand.Text()})
	refused(t, "a title that is too long", err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument)
	if fields := violations(err); !slices.Contains(fields, "title") {
		t.Errorf("the wrong fields are said to be %q", fields)
	}
	stream, err := as(s, p, "").edge.Connect(ctx, &edgev1.ConnectRequest{})
	if err == nil {
		err = (&subscription{t: t, stream: stream}).end()
		_ = stream.Close()
	}
	refused(t, "nobody's stream", err, connect.CodeUnauthenticated, authn.ReasonTokenMissing)
}

// talk sends, subscribes, lists and likes.
func talk(t *testing.T, c clients, conversation string) {
	t.Helper()
	first := c.say(t, conversation, "first 📣")
	events, history := c.subscribe(t, conversation)
	if len(history) != 1 || !proto.Equal(history[0], first) {
		t.Errorf("history: %v", history)
	}
	second := c.say(t, conversation, "second")
	live := events.until("a message", func(e *chatv1.Event) bool { return e.GetMessage() != nil }).GetMessage()
	if !proto.Equal(live, second) || second.GetSeq() != first.GetSeq()+1 {
		t.Errorf("sent %v, got %v", second, live)
	}
	repeat := message(conversation, "once")
	one, err := c.chat.SendMessage(t.Context(), repeat)
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.chat.SendMessage(t.Context(), repeat)
	if err != nil || !proto.Equal(one, other) {
		t.Errorf("a repeat is %v, %v, want %v", other, err, one)
	}
	if _, err := c.chat.Like(t.Context(), &chatv1.LikeRequest{ConversationId: conversation, Count: 7}); err != nil {
		t.Error(err)
	}
	likes := events.until("likes", func(e *chatv1.Event) bool { return e.GetLikes() != nil }).GetLikes()
	if likes.GetCount() != 7 || likes.GetTotal() != 7 {
		t.Errorf("likes: %v", likes)
	}
	events.leave()
	list, err := c.chat.ListMessages(t.Context(), &chatv1.ListMessagesRequest{
		ConversationId: conversation, PageSize: 1, From: &chatv1.ListMessagesRequest_After{After: &chatv1.Position{Epoch: first.GetEpoch(), Seq: first.GetSeq()}},
	})
	if err != nil || len(list.GetMessages()) != 1 || !proto.Equal(list.GetMessages()[0], second) || !list.GetHasMore() {
		t.Errorf("list: %v, %v", list, err)
	}
}

func refused(t *testing.T, what string, err error, code connect.Code, reason string) {
	t.Helper()
	if !errs.Is(err, code, reason) {
		t.Errorf("%s: got %v (%s), want %v (%s)", what, err, errs.Reason(err), code, reason)
	}
}

// violations returns the fields that an error's BadRequest names.
func violations(err error) []string {
	var fields []string
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return nil
	}
	for _, detail := range wire.Details() {
		value, err := detail.Value()
		if bad, ok := value.(*errdetails.BadRequest); ok && err == nil {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}
