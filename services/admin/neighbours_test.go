package admin_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

// directory is auth's side: it knows two administrators, two moderators and a user.
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	caller   atomic.Value // name of the service that called
	nameless atomic.Bool  // nobody is looked up
}

func person(id string) *authv1.User {
	user := &authv1.User{Id: id, Username: "secret", CreatedAt: timestamppb.Now()}
	switch id {
	case "ann":
		user.Nickname, user.Role = "Ann", authv1.Role_ROLE_ADMIN
	case "abe":
		user.Nickname, user.Role = "Abe", authv1.Role_ROLE_ADMIN
	case "moe":
		user.Nickname, user.Role = "Moe", authv1.Role_ROLE_MODERATOR
	case "mia":
		user.Nickname, user.Role = "Mia", authv1.Role_ROLE_MODERATOR
	case "bob":
		user.Nickname, user.Role = "Bob", authv1.Role_ROLE_USER
	default:
		return nil
	}
	return user
}

func (d *directory) account(ctx context.Context, id string, ban *authv1.Ban) (*authv1.Account, error) {
	d.caller.Store(authn.MustFrom(ctx).Service)
	switch id {
	case "breaks":
		return nil, errors.New("a driver's text")
	case "operator":
		return nil, errs.PermissionDenied(errs.ReasonForbidden, "the operator cannot be changed")
	case "closed": // as the authorization table does
		return nil, errs.PermissionDenied(errs.ReasonForbidden, "not for services").With("required_role", "admin")
	}
	user := person(id)
	if user == nil {
		return nil, errs.NotFound("USER_NOT_FOUND", "there is no such user")
	}
	return &authv1.Account{User: user, Ban: ban}, nil
}

func (d *directory) BatchGetUsers(
	_ context.Context, r *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	if d.nameless.Load() {
		return nil, errors.New("a driver's text")
	}
	res := &authv1.BatchGetUsersResponse{}
	for _, id := range r.GetUserIds() {
		if user := person(id); user != nil {
			res.Users = append(res.Users, user)
		}
	}
	return res, nil
}

func (d *directory) GetAccount(ctx context.Context, r *authv1.GetAccountRequest) (*authv1.GetAccountResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), &authv1.Ban{Reason: "spam"})
	return &authv1.GetAccountResponse{Account: a}, err
}

func (d *directory) ListSessions(
	_ context.Context, r *authv1.ListSessionsRequest,
) (*authv1.ListSessionsResponse, error) {
	return &authv1.ListSessionsResponse{Sessions: []*authv1.Session{{
		Id: fmt.Sprint("session of ", r.GetUserId()), Platform: authv1.Platform_PLATFORM_IOS, Model: "Phone",
		AppVersion: "1.2", CreatedAt: &timestamppb.Timestamp{Seconds: 1}, LastSeenAt: &timestamppb.Timestamp{Seconds: 2},
	}}}, nil
}

func (d *directory) RevokeSession(
	_ context.Context, r *authv1.RevokeSessionRequest,
) (*authv1.RevokeSessionResponse, error) {
	if r.GetUserId() != "bob" || r.GetSessionId() != "phone" {
		return nil, errs.NotFound("SESSION_NOT_FOUND", "there is no such session")
	}
	return &authv1.RevokeSessionResponse{}, nil
}

func (d *directory) BanUser(ctx context.Context, r *authv1.BanUserRequest) (*authv1.BanUserResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), r.GetBan())
	return &authv1.BanUserResponse{Account: a}, err
}

func (d *directory) UnbanUser(ctx context.Context, r *authv1.UnbanUserRequest) (*authv1.UnbanUserResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), nil)
	return &authv1.UnbanUserResponse{Account: a}, err
}

func (d *directory) SetRole(ctx context.Context, r *authv1.SetRoleRequest) (*authv1.SetRoleResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), nil)
	if err == nil {
		a.User.Role = r.GetRole()
	}
	return &authv1.SetRoleResponse{Account: a}, err
}

func (*directory) ListUsers(_ context.Context, r *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	if r.GetPageToken() == "broken" {
		return nil, errs.InvalidArgument(pagination.ReasonTokenInvalid, "no token of this list")
	}
	// What was asked comes back, so that the test sees that it arrived.
	name := fmt.Sprint(r.GetQuery(), r.GetOnlyBanned(), r.GetOnlyStaff(), r.GetPageSize(), r.GetPageToken())
	return &authv1.ListUsersResponse{
		Accounts:      []*authv1.Account{{User: &authv1.User{Nickname: name}, Ban: &authv1.Ban{Reason: "spam"}}},
		NextPageToken: "more",
	}, nil
}

// live is another neighbour: a broadcast runs in "room".
type live struct {
	livev1connect.UnimplementedLiveServiceHandler
}

func (live) ListRooms(_ context.Context, r *livev1.ListRoomsRequest) (*livev1.ListRoomsResponse, error) {
	title := fmt.Sprint(r.GetOnlyLive(), r.GetQuery(), r.GetOwnerId(), r.GetPageSize(), r.GetPageToken())
	return &livev1.ListRoomsResponse{Items: []*livev1.ListRoomsResponse_Item{{
		Room: &livev1.Room{Title: title}, Broadcast: &livev1.Broadcast{ViewerCount: 3},
	}}, NextPageToken: "more"}, nil
}

// control is live's side for services.
type control struct {
	livev1connect.UnimplementedControlServiceHandler

	silent atomic.Bool // GetTotals breaks
}

func room(id string) (*livev1.Room, error) {
	if id == "room" || id == "dark" {
		return &livev1.Room{Id: id, Title: "Chess at night"}, nil
	}
	return nil, errs.NotFound("ROOM_NOT_FOUND", "there is no such room")
}

func (*control) StopBroadcast(_ context.Context, r *livev1.StopBroadcastRequest) (*livev1.StopBroadcastResponse, error) {
	place, err := room(r.GetRoomId())
	if err != nil {
		return nil, err
	}
	if place.GetId() == "dark" {
		return nil, errs.FailedPrecondition("NOT_LIVE", "nothing is on the air")
	}
	return &livev1.StopBroadcastResponse{Broadcast: &livev1.Broadcast{
		Id: "b", Title: place.GetTitle(), State: livev1.BroadcastState_BROADCAST_STATE_ENDED,
	}}, nil
}

func (*control) WarnOwner(_ context.Context, r *livev1.WarnOwnerRequest) (*livev1.WarnOwnerResponse, error) {
	place, err := room(r.GetRoomId())
	return &livev1.WarnOwnerResponse{Warning: &livev1.Warning{Id: "w", Text: r.GetText()}, Room: place}, err
}

func (*control) TakeDownCover(_ context.Context, r *livev1.TakeDownCoverRequest) (*livev1.TakeDownCoverResponse, error) {
	place, err := room(r.GetRoomId())
	if err == nil {
		place.CoverMode = livev1.CoverMode_COVER_MODE_TAKEN_DOWN
	}
	return &livev1.TakeDownCoverResponse{Room: place}, err
}

func (c *control) GetTotals(context.Context, *livev1.GetTotalsRequest) (*livev1.GetTotalsResponse, error) {
	if c.silent.Load() {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "not now")
	}
	return &livev1.GetTotalsResponse{BroadcastCount: 2, ViewerCount: 30, ConnectionCount: 40}, nil
}

// talk is chat's side for services: "c" has two messages, the second of which was taken away before.
type talk struct {
	chatv1connect.UnimplementedConversationServiceHandler

	text     atomic.Value // of the first message
	messages atomic.Int64

	mu    sync.Mutex
	mutes []*chatv1.Mute
}

func (k *talk) DeleteMessage(_ context.Context, r *chatv1.DeleteMessageRequest) (*chatv1.DeleteMessageResponse, error) {
	m := &chatv1.Message{ConversationId: r.GetConversationId(), Epoch: r.GetPosition().GetEpoch(), Seq: r.GetPosition().GetSeq()}
	switch {
	case r.GetConversationId() != "c":
		return nil, errs.NotFound("CONVERSATION_NOT_FOUND", "there is no such conversation")
	case m.GetSeq() == 1:
		m.Sender = person("bob")
		m.Content = &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: k.text.Load().(string)}}}
	case m.GetSeq() == 2:
		m.Deleted = true
	default:
		return nil, errs.NotFound("MESSAGE_NOT_FOUND", "there is no such message")
	}
	return &chatv1.DeleteMessageResponse{Message: m}, nil
}

func (k *talk) MuteUser(_ context.Context, r *chatv1.MuteUserRequest) (*chatv1.MuteUserResponse, error) {
	if r.GetConversationId() != "" && r.GetConversationId() != "c" {
		return nil, errs.NotFound("CONVERSATION_NOT_FOUND", "there is no such conversation")
	}
	m := &chatv1.Mute{
		UserId: r.GetUserId(), ConversationId: r.GetConversationId(), Reason: r.GetReason(), Until: r.GetUntil(),
		CreatedAt: timestamppb.New(time.Now()),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mutes = append([]*chatv1.Mute{m}, k.mutes...)
	return &chatv1.MuteUserResponse{Mute: m}, nil
}

func (k *talk) UnmuteUser(_ context.Context, r *chatv1.UnmuteUserRequest) (*chatv1.UnmuteUserResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, m := range k.mutes {
		if m.GetUserId() == r.GetUserId() && m.GetConversationId() == r.GetConversationId() {
			k.mutes = append(k.mutes[:i:i], k.mutes[i+1:]...)
			return &chatv1.UnmuteUserResponse{}, nil
		}
	}
	return nil, errs.NotFound("MUTE_NOT_FOUND", "there is no such mute")
}

func (k *talk) ListMutes(_ context.Context, r *chatv1.ListMutesRequest) (*chatv1.ListMutesResponse, error) {
	if r.GetPageToken() == "broken" {
		return nil, errs.InvalidArgument(pagination.ReasonTokenInvalid, "no token of this list")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	res := &chatv1.ListMutesResponse{NextPageToken: fmt.Sprint(r.GetPageSize(), r.GetPageToken())}
	for _, m := range k.mutes {
		if r.GetUserId() == "" || r.GetUserId() == m.GetUserId() {
			res.Mutes = append(res.Mutes, m)
		}
	}
	return res, nil
}

func (k *talk) GetTotals(context.Context, *chatv1.GetTotalsRequest) (*chatv1.GetTotalsResponse, error) {
	return &chatv1.GetTotalsResponse{MessageCount: k.messages.Load()}, nil
}

// mute puts a mute in "d", past the service.
func (k *talk) mute(user string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mutes = append(k.mutes, &chatv1.Mute{UserId: user, ConversationId: "d"})
}
