package app_test

import (
	"testing"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestReadingIsPushed: who reads on one device has read on the other one, too, and who wrote sees it.
func TestReadingIsPushed(t *testing.T) {
	t.Parallel()
	s, _ := edgeServer(t, false)
	ann, bob := s.User(t, "ann"), s.User(t, "bob")
	signedIn, err := as(s, binary, "").auth.SignIn(t.Context(), &authv1.SignInRequest{
		DeviceId: s.Device(t), Username: ann.User.GetUsername(), Password: testkit.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	phone := as(s, binary, ann.Token)
	opened, err := phone.chat.OpenDirect(t.Context(), &chatv1.OpenDirectRequest{UserId: bob.User.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	id := opened.GetState().GetConversation().GetId()
	address := "ws://" + s.HTTPAddr().String() + "/edge/v1"
	tablet, peer := overWebSocket(t, signedIn.GetAccessToken(), address, nil, nil), overWebSocket(t, bob.Token, address, nil, nil)
	m := as(s, binary, bob.Token).say(t, id, "hello")
	if _, err := phone.chat.AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{
		Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: m.GetSeq()}},
	}); err != nil {
		t.Fatal(err)
	}
	event := func(f *edgev1.ServerFrame, is func(e *edgev1.Event) bool) bool {
		for _, e := range f.GetPush().GetEvents() {
			if is(e) {
				return true
			}
		}
		return false
	}
	tablet.until(t, "her own position", func(f *edgev1.ServerFrame) bool {
		return event(f, func(e *edgev1.Event) bool {
			state := e.GetOwn().GetState()
			return state.GetConversation().GetId() == id && state.GetMembership().GetReadSeq() == m.GetSeq()
		})
	})
	peer.until(t, "the receipt", func(f *edgev1.ServerFrame) bool {
		return event(f, func(e *edgev1.Event) bool {
			read := e.GetChat().GetRead()
			return e.GetChat().GetConversationId() == id && read.GetUserId() == ann.User.GetId() && read.GetReadSeq() == m.GetSeq()
		})
	})
	if _, err := phone.chat.UpdateSettings(t.Context(), &chatv1.UpdateSettingsRequest{
		ConversationId: id, Settings: &chatv1.MemberSettings{Silent: true},
	}); err != nil {
		t.Fatal(err)
	}
	tablet.until(t, "her own settings", func(f *edgev1.ServerFrame) bool {
		return event(f, func(e *edgev1.Event) bool { return e.GetOwn().GetState().GetMembership().GetSettings().GetSilent() })
	})
}
