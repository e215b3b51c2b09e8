package edge_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// TestOwnEventsAreTheUsers: what happens to a user's own list reaches all their devices, in order, and nobody else.
func TestOwnEventsAreTheUsers(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() {
			w.chat.conversations["ann"], w.chat.conversations["bob"] = []string{"group"}, []string{"group"}
		})
		phone, tablet, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.onDevice("ann", "tablet")), w.signInAs(open, w.member("bob"))
		state := func(read int64, silent bool) *chatv1.OwnEvent {
			return &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_State{State: &chatv1.ConversationState{
				Conversation: &chatv1.Conversation{Id: "group"},
				Membership:   &chatv1.Membership{ReadSeq: read, Settings: &chatv1.MemberSettings{Silent: silent}},
			}}}
		}
		hidden := &chatv1.OwnEvent{Kind: &chatv1.OwnEvent_Hidden{Hidden: &chatv1.Hidden{ConversationId: "group", Seqs: []int64{3}}}}
		want := []*chatv1.OwnEvent{state(1, false), state(7, false), hidden, state(7, true)}
		tell(w, "chat.user_events", "ann", &chatv1.UserEvents{UserId: "ann", Events: want[:2]})
		tell(w, "chat.user_events", "cid", &chatv1.UserEvents{UserId: "cid", Events: want})
		tell(w, "chat.user_events", "ann", &chatv1.UserEvents{UserId: "ann", Events: want[2:]})
		for _, d := range []*device{phone, tablet} {
			d.until("her own events", func(*edgev1.ServerFrame) bool { return len(d.events) >= len(want) })
			for i, e := range d.events {
				if !proto.Equal(e.GetOwn(), want[i]) {
					t.Errorf("event %d is %v, want %v", i, e, want[i])
				}
			}
			if d.pushes != 2 { // a frame for what was told at once
				t.Errorf("they came in %d frames", d.pushes)
			}
			d.quiet("another's own events")
		}
		bob.quiet("another's own events")
	})
}

// TestPushesReachARoom: people who are in a live room hear what a back end says there, until they leave.
func TestPushesReachARoom(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		ann, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.member("bob"))
		push := func(topic string) {
			t.Helper()
			_, err := w.push.PushToConversation(t.Context(), &edgev1.PushToConversationRequest{
				ConversationId: "room", Notice: &edgev1.Notice{Topic: topic, Data: []byte("42"), ConversationId: "forged"},
			})
			w.must(err)
		}
		push("too early")
		ann.ask(enter("room"))
		push("gift")
		ann.until("a notice", func(*edgev1.ServerFrame) bool { return len(ann.events) > 0 })
		if n := ann.events[0].GetNotice(); n.GetTopic() != "gift" || n.GetConversationId() != "room" || string(n.GetData()) != "42" {
			t.Errorf("got %v", n)
		}
		ann.ask(leave("room"))
		push("too late")
		ann.quiet("a room that was left")
		bob.quiet("a room that was not entered")
	})
}

// TestAnswersAreBounded: a call whose answer is too large costs the call, not the connection.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{})
			ann := w.signInAs(tr.open, w.member("ann"))
			get := func(id string) *edgev1.ServerFrame {
				t.Helper()
				return ann.ask(call(t, chatv1connect.ChatServiceGetConversationProcedure, &chatv1.GetConversationRequest{ConversationId: id}))
			}
			if f := get("large"); len(f.GetReply().GetResponse()) < largeAnswer {
				t.Errorf("got %d bytes, %v", len(f.GetReply().GetResponse()), f.GetError())
			}
			if e := get("too large").GetError(); e.GetReason() != edge.ReasonAnswerTooLarge || e.GetCode() != 8 {
				t.Errorf("got %.200s", e)
			}
			if f := get("mine"); f.GetReply() == nil {
				t.Errorf("afterwards: %v", f)
			}
		})
	}
}
