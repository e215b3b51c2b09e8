package app_test

import (
	"crypto/rand"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/testkit"
)

// hears reads until a message is told, and fails the test if anything is told of a conversation that must not be heard.
func (l *longConnection) hears(t *testing.T, text string, secret ...string) {
	t.Helper()
	l.until(t, text, func(f *edgev1.ServerFrame) bool {
		found := false
		for _, e := range f.GetPush().GetEvents() {
			if slices.Contains(secret, e.GetChat().GetConversationId()) {
				t.Fatalf("an outsider is told %v", e)
			}
			found = found || e.GetChat().GetMessage().GetContent().GetText().GetText() == text
		}
		return found
	})
}

// TestNobodyEntersTheTalksOfOthers: whoever asks to enter a group or a pair's conversation, by its right id, is refused as
// where there is none, and hears nothing of it from then on; its members go on hearing it.
func TestNobodyEntersTheTalksOfOthers(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	ann, bob := s.User(t, "ann"), s.User(t, "bob")
	k := as(s, binary, ann.Token)
	groups := testkit.Client(s, binary, ann.Token, chatv1connect.NewGroupServiceClient)
	made, err := groups.CreateGroup(t.Context(), &chatv1.CreateGroupRequest{
		RequestId: rand.Text(), Title: "Us", UserIds: []string{bob.User.GetId()},
		Settings: &chatv1.GroupSettings{
			Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN, History: chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := k.chat.OpenDirect(t.Context(), &chatv1.OpenDirectRequest{UserId: bob.User.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	group, pair := made.GetState().GetConversation().GetId(), opened.GetState().GetConversation().GetId()
	room := k.openRoom(t, "A room").GetConversationId()
	address := "ws://" + s.HTTPAddr().String() + "/edge/v1"
	eve, friend := overWebSocket(t, s.User(t, "eve").Token, address, nil, nil), overWebSocket(t, bob.Token, address, nil, nil)

	enter := func(l *longConnection, id string) *edgev1.ServerFrame {
		if err := l.enter(id); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := l.receive()
			if err != nil {
				t.Fatal(err)
			}
			if f.GetEntered() != nil || f.GetError() != nil {
				return f
			}
		}
	}
	nowhere := enter(eve, "01JNOBODY00000000000000000").GetError()
	if nowhere.GetCode() != int32(connect.CodeNotFound) || nowhere.GetReason() != "CONVERSATION_NOT_FOUND" {
		t.Errorf("into nothing: %v", nowhere)
	}
	for what, id := range map[string]string{"a group": group, "a pair": pair} {
		for who, l := range map[string]*longConnection{"a stranger": eve, "a member": friend} {
			if f := enter(l, id); !proto.Equal(f.GetError(), nowhere) {
				t.Errorf("%s into %s: %v, and into nothing: %v", who, what, f, nowhere)
			}
		}
	}
	if f := enter(eve, room); f.GetEntered() == nil {
		t.Fatalf("into a room: %v", f)
	}
	if f := enter(friend, room); f.GetEntered() == nil {
		t.Fatalf("into a room: %v", f)
	}
	for _, id := range []string{group, pair, room} {
		k.say(t, id, "in "+id)
		friend.hears(t, "in "+id)
	}
	eve.hears(t, "in "+room, group, pair)
	k.say(t, room, "at last") // what was on its way to her has arrived
	eve.hears(t, "at last", group, pair)
}
