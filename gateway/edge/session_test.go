package edge_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

func enter(room string) *edgev1.ClientFrame {
	return &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Enter{Enter: &edgev1.Enter{ConversationId: room}}}
}

func call(t *testing.T, procedure string, request proto.Message) *edgev1.ClientFrame {
	t.Helper()
	b, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Call{Call: &edgev1.Call{Procedure: procedure, Request: b}}}
}

// TestASessionOnEveryTransport is a device's day: what it hears, in which order, and what it does not.
func TestASessionOnEveryTransport(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() { w.chat.conversations["ann"] = []string{"group", "direct"} })
		ann := w.signInAs(open, w.member("ann"))
		if s := ann.session; s.GetResumed() || s.GetUserId() != "ann" || s.GetSilenceMs() == 0 || s.GetServerTime() == nil {
			t.Errorf("signed in: %v", s)
		}
		w.say("group", 1, 30)
		w.say("another", 1, 5)
		w.say("group", 28, 31) // a bus tells at least once
		assertRun(t, ann.seqs(31), 1, 31)
		ann.quiet("another's conversation")

		entered := ann.ask(enter("room")).GetEntered()
		if entered.GetPosition().GetSeq() != 7 || entered.GetLastChange() != 4 || entered.GetLikeCount() != 9 || entered.GetPeople() != 1 {
			t.Errorf("entered: %v", entered)
		}
		if refused := ann.ask(enter("group")).GetError(); refused.GetReason() != "CONVERSATION_NOT_FOUND" || refused.GetCode() != 5 {
			t.Errorf("entering what is no room: %v", refused)
		}
		ann.events = nil
		w.say("room", 8, 10)
		assertRun(t, ann.seqs(3), 8, 10)
		tell(w, "live.broadcast_changed", "b", &livev1.BroadcastChanged{
			ConversationId: "room", Broadcast: &livev1.Broadcast{Id: "b"},
		})
		tell(w, "presence.people_changed", "", &presencev1.PeopleChanged{
			Counts: []*presencev1.PeopleCount{{ConversationId: "room", Count: 5}, {ConversationId: "another", Count: 6}},
		})
		ann.until("a broadcast and a number of people", func(*edgev1.ServerFrame) bool {
			var broadcast, people bool
			for _, e := range ann.events {
				broadcast = broadcast || e.GetBroadcast().GetBroadcast().GetId() == "b"
				people = people || e.GetPeople().GetCount() == 5
			}
			return broadcast && people
		})
		if done := ann.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Leave{
			Leave: &edgev1.Leave{ConversationId: "room"},
		}}); done.GetDone() == nil {
			t.Errorf("left: %v", done)
		}
		w.say("room", 11, 12)
		ann.quiet("a room that was left")
	})
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{MaxCalls: 3})
			ann := w.signInAs(tr.open, w.member("ann"))
			get := chatv1connect.ChatServiceGetConversationProcedure
			reply := ann.ask(call(t, get, &chatv1.GetConversationRequest{ConversationId: "mine"})).GetReply()
			res := &chatv1.GetConversationResponse{}
			if err := proto.Unmarshal(reply.GetResponse(), res); err != nil || res.GetState().GetConversation().GetOwnerId() != "ann" {
				t.Errorf("called as %v, %v", res, err)
			}
			for name, c := range map[string]struct {
				frame  *edgev1.ClientFrame
				code   int32
				reason string
			}{
				"refused":       {call(t, get, &chatv1.GetConversationRequest{ConversationId: "refused"}), 8, "RATE_LIMITED"},
				"invalid":       {call(t, get, &chatv1.GetConversationRequest{}), 3, "INVALID_ARGUMENT"},
				"no RPC":        {call(t, "/stoa.chat.v1.ChatService/Nothing", &chatv1.SyncRequest{}), 12, "UNIMPLEMENTED"},
				"no service":    {call(t, "/nothing", &chatv1.SyncRequest{}), 12, "UNIMPLEMENTED"},
				"neighbours'":   {call(t, chatv1connect.ConversationServiceGetRoomProcedure, &chatv1.GetRoomRequest{}), 7, "FORBIDDEN"},
				"the edge's":    {call(t, "/stoa.edge.v1.EdgeService/Send", &edgev1.SendRequest{}), 3, "INVALID_ARGUMENT"},
				"not a message": {&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Call{Call: &edgev1.Call{Procedure: get, Request: []byte{0xff}}}}, 3, "INVALID_ARGUMENT"},
			} {
				e := ann.ask(c.frame).GetError()
				if e.GetCode() != c.code || e.GetReason() != c.reason {
					t.Errorf("%s: %v", name, e)
				}
				if name == "refused" && e.GetMetadata()["retry_after_ms"] != "250" {
					t.Errorf("%s: %v", name, e)
				}
			}
			hangs := call(t, get, &chatv1.GetConversationRequest{ConversationId: "hangs"})
			hangs.GetCall().TimeoutMs = 100
			if e := ann.ask(hangs).GetError(); e.GetCode() != 4 {
				t.Errorf("a call that hangs: %v", e)
			}
			hangs.GetCall().TimeoutMs = 5000
			for id := range uint32(4) {
				hangs.Id = 100 + id
				if err := ann.send(hangs); err != nil {
					t.Fatal(err)
				}
			}
			// Three are in flight; one more is refused, and the connection goes on.
			refused := ann.until("a refusal", func(f *edgev1.ServerFrame) bool { return f.GetError() != nil })
			if refused.GetId() < 100 || refused.GetError().GetReason() != "RATE_LIMITED" {
				t.Errorf("got %v", refused)
			}
			ann.quiet("a busy session")
		})
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{Queue: 64})
		p := w.member("ann")
		w.chat.set(func() { w.chat.conversations["ann"] = []string{"group"} })
		ann := w.signInAs(open, p)
		w.say("group", 1, 5)
		seen := ann.seqs(5)
		for round := range int64(3) {
			ann.cut()
			first := int64(len(seen)) + 1
			w.say("group", first, first+9)
			back := w.resumeAs(open, p, &edgev1.Resume{SessionId: ann.session.GetSessionId(), Received: ann.pushes})
			if !back.session.GetResumed() || back.session.GetSessionId() != ann.session.GetSessionId() {
				t.Fatalf("round %d: not resumed: %v", round, back.session)
			}
			back.pushes = ann.pushes
			seen = append(seen, back.seqs(10)...)
			ann = back
			if round == 1 { // what was acknowledged needs not be kept
				if err := ann.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ack{Ack: &edgev1.Ack{Received: ann.pushes}}}); err != nil {
					t.Fatal(err)
				}
				ann.quiet("an ack")
			}
		}
		assertRun(t, seen, 1, 35)
		ann.cut()
		said := int64(35)
		for name, r := range map[string]*edgev1.Resume{
			"another device's": {SessionId: ann.session.GetSessionId()},
			"another's":        {SessionId: w.signInAs(open, w.member("bob")).session.GetSessionId()},
			"more than came":   {SessionId: ann.session.GetSessionId(), Received: 1000},
			"what is gone":     {SessionId: ann.session.GetSessionId(), Received: 0},
			"no session":       {SessionId: "nowhere"},
		} {
			other := w.member("ann")
			other.DeviceID = "device-" + name // a new session of the same device would end the one that is asked for
			who := other
			if name == "more than came" || name == "what is gone" {
				mine := w.signInAs(open, other)
				for n := range 9 { // each in a frame of its own: the last one may be kept although it was acknowledged
					said++
					w.say("group", said, said)
					mine.seqs(n + 1)
				}
				if err := mine.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ack{Ack: &edgev1.Ack{Received: mine.pushes}}}); err != nil {
					t.Fatal(err)
				}
				mine.quiet("an ack") // after which nothing of it is kept
				mine.cut()
				r.SessionId = mine.session.GetSessionId()
			}
			if d := w.resumeAs(open, who, r); d.session.GetResumed() {
				t.Errorf("%s was resumed", name)
			}
		}
	})
}

func TestResumeWindow(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{Resume: time.Minute})
		p := w.member("ann")
		p.ExpiresAt = p.ExpiresAt.Add(24 * time.Hour)
		ann := w.signInAs(open, p)
		ann.cut()
		w.eventually("the session is forgotten", func() bool {
			w.clock.advance(10 * time.Second) // from when the edge has noticed
			return w.metric("stoa_edge_sessions") == 0
		})
		if back := w.resumeAs(open, p, &edgev1.Resume{SessionId: ann.session.GetSessionId()}); back.session.GetResumed() {
			t.Error("it was resumed")
		}
	})
}

// TestNobodyWaitsForARoom: a neighbour who takes long over a room holds up what has to follow, a Leave, and nothing else.
func TestNobodyWaitsForARoom(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	slow := make(chan struct{})
	w.chat.set(func() { w.chat.slowRoom, w.chat.conversations["ann"] = slow, []string{"group"} })
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	w.must(ann.send(&edgev1.ClientFrame{Id: 50, Kind: &edgev1.ClientFrame_Enter{Enter: &edgev1.Enter{ConversationId: "room"}}}))
	w.must(ann.send(&edgev1.ClientFrame{Id: 51, Kind: &edgev1.ClientFrame_Leave{Leave: &edgev1.Leave{ConversationId: "room"}}}))
	w.say("group", 1, 3)
	assertRun(t, ann.seqs(3), 1, 3)
	ann.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}})
	close(slow)
	answered := []uint32{}
	ann.until("the answers", func(f *edgev1.ServerFrame) bool {
		if f.GetId() != 0 {
			answered = append(answered, f.GetId())
		}
		return len(answered) == 2
	})
	if answered[0] != 50 || answered[1] != 51 {
		t.Errorf("answered %v", answered)
	}
	w.say("room", 1, 1)
	ann.quiet("a room that was left")
}

func TestSlowReaderIsCutAlone(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{Queue: 16})
			w.chat.set(func() {
				w.chat.conversations["slow"], w.chat.conversations["quick"] = []string{"group"}, []string{"group"}
			})
			w.signInAs(tr.open, w.member("slow")) // and reads no more
			quick := w.signInAs(tr.open, w.member("quick"))
			text := string(make([]byte, 60<<10))
			n := 0
			w.eventually("the slow one is cut", func() bool {
				n++
				tell(w, "chat.conversation_events", "group", &chatv1.ConversationEvents{
					ConversationId: "group", Events: []*chatv1.Event{{
						ConversationId: "group", Kind: &chatv1.Event_Message{Message: &chatv1.Message{
							Epoch: 1, Seq: int64(n), ClientMsgId: text,
						}},
					}},
				})
				assertRun(t, quick.seqs(n), 1, int64(n)) // who reads is never held up
				return w.metric("stoa_edge_slow_total") == 1
			})
			w.eventually("its session is gone", func() bool { return w.metric("stoa_edge_sessions") == 1 })
			quick.quiet("a slow neighbour")
		})
	}
}
