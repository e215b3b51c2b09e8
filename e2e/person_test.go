package e2e_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
)

const password = "a password of the tests"

// person is someone who is signed in, with the clients that act for them.
type person struct {
	s        *server
	id       string
	username string
	device   string
	token    connect.ClientOption // sends the access token
	auth     authv1connect.AuthServiceClient
	live     livev1connect.LiveServiceClient
	chat     chatv1connect.ChatServiceClient
	edge     edgev1connect.EdgeServiceClient
}

// signUp makes an account.
func (s *server) signUp(name string) *person {
	s.t.Helper()
	auth := authv1connect.NewAuthServiceClient(s.client, s.url)
	device, err := auth.RegisterDevice(within(s.t), &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI})
	must(s.t, err)
	username := name + "-" + strings.ToLower(rand.Text()[:6])
	up, err := auth.SignUp(within(s.t), &authv1.SignUpRequest{
		DeviceId: device.GetDeviceId(), Username: username, Password: password, Nickname: name,
	})
	must(s.t, err)
	token := authntest.WithToken(up.GetAccessToken())
	return &person{
		s: s, id: up.GetUser().GetId(), username: username, device: device.GetDeviceId(), token: token,
		auth: authv1connect.NewAuthServiceClient(s.client, s.url, token),
		live: livev1connect.NewLiveServiceClient(s.client, s.url, token),
		chat: chatv1connect.NewChatServiceClient(s.client, s.url, token),
		edge: edgev1connect.NewEdgeServiceClient(s.client, s.url, token),
	}
}

// say sends a message; the same id again is the same message.
func (p *person) say(conversation, id, text string) (*chatv1.Message, error) {
	resp, err := p.chat.SendMessage(p.s.t.Context(), &chatv1.SendMessageRequest{
		ConversationId: conversation, ClientMsgId: id,
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	})
	return resp.GetMessage(), err
}

// room is a room as its owner sees it.
type room struct {
	t            *testing.T
	owner        *person
	id           string
	conversation string
}

// openRoom makes a room.
func (p *person) openRoom() *room {
	p.s.t.Helper()
	resp, err := p.live.CreateRoom(within(p.s.t), &livev1.CreateRoomRequest{
		Title: p.username + "'s room", CategoryId: "technology", RequestId: rand.Text(),
	})
	must(p.s.t, err)
	return &room{t: p.s.t, owner: p, id: resp.GetRoom().GetId(), conversation: resp.GetRoom().GetConversationId()}
}

// issueKey makes a new stream key, and so revokes the one before, and returns the whole address for an encoder.
func (r *room) issueKey() string {
	r.t.Helper()
	resp, err := r.owner.live.IssueStreamKey(within(r.t), &livev1.IssueStreamKeyRequest{RoomId: r.id})
	must(r.t, err)
	return resp.GetRtmpUrl() + "/" + resp.GetStreamKey()
}

// get returns the room as it is.
func (r *room) get() *livev1.GetRoomResponse {
	r.t.Helper()
	resp, err := r.owner.live.GetRoom(within(r.t), &livev1.GetRoomRequest{RoomId: r.id})
	must(r.t, err)
	return resp
}

// States in short.
const (
	live        = livev1.BroadcastState_BROADCAST_STATE_LIVE
	interrupted = livev1.BroadcastState_BROADCAST_STATE_INTERRUPTED
	ended       = livev1.BroadcastState_BROADCAST_STATE_ENDED
)

// until waits until the room's broadcast is in a state.
func (r *room) until(want livev1.BroadcastState) *livev1.GetRoomResponse {
	r.t.Helper()
	var got *livev1.GetRoomResponse
	eventually(r.t, "the broadcast is "+want.String(), func() error {
		got = r.get()
		if state := got.GetBroadcast().GetState(); state != want {
			return fmt.Errorf("it is %v", state)
		}
		return nil
	})
	return got
}
