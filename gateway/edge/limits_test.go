package edge_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// TestFramesBeforeTheSignIn may be as large as a sign-in needs, whatever others may be.
func TestFramesBeforeTheSignIn(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{})
			large := &edgev1.ClientFrame{Id: 1, Kind: &edgev1.ClientFrame_Call{Call: &edgev1.Call{
				Procedure: chatv1connect.ChatServiceGetConversationProcedure, Request: make([]byte, 9<<10),
			}}}
			stranger := tr.open(w)
			w.must(stranger.send(large))
			if g := last(t, stranger); g.GetReason() != badFrame {
				t.Errorf("a stranger's: %v", g)
			}
			ann := w.signInAs(tr.open, w.member("ann"))
			if e := ann.ask(large).GetError(); e.GetReason() != "INVALID_ARGUMENT" { // it is no request, but it arrived
				t.Errorf("a member's: %v", e)
			}
		})
	}
}

// TestADefectIsToldOnce: a frame with very many defects costs one answer of the usual size.
func TestADefectIsToldOnce(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	w.must(ann.send(&edgev1.ClientFrame{Id: 9, Kind: &edgev1.ClientFrame_Watch{Watch: &edgev1.Watch{UserIds: make([]string, 100_000)}}}))
	if g := ann.goodbye(); g.GetReason() != badFrame || proto.Size(g) > 1000 {
		t.Errorf("got %v and %d bytes of it", g.GetReason(), proto.Size(g))
	}
	bob := w.signInAs((*world).webSocket, w.member("bob"))
	have := make([]*chatv1.Have, 50_000)
	for i := range have {
		have[i] = &chatv1.Have{}
	}
	e := bob.ask(call(t, chatv1connect.ChatServicePullMessagesProcedure, &chatv1.PullMessagesRequest{Have: have}))
	if e.GetError().GetReason() != "INVALID_ARGUMENT" || proto.Size(e) > 5000 {
		t.Errorf("got %.200s and %d bytes of it", e.GetError().GetMessage(), proto.Size(e))
	}
}

// TestFloodsOfPings: frames of the transport's own count like others.
func TestFloodsOfPings(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{FrameRate: 10})
	flood := func(n wire) {
		t.Helper()
		raw, ok := n.(*netWire)
		if !ok {
			t.Fatal("no connection of bytes")
		}
		for range 100 {
			if ws.WriteFrame(raw.conn, ws.MaskFrame(ws.NewPingFrame(nil))) != nil {
				return
			}
		}
	}
	stranger := w.webSocket()
	flood(stranger)
	if g := last(t, stranger); g.GetReason() != badFrame {
		t.Errorf("a stranger's: %v", g)
	}
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	flood(ann.wire)
	if g := last(t, ann.wire); g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_FLOOD {
		t.Errorf("a member's: %v", g)
	}
}

// TestOneAddressDoesNotKeepOthersOut with connections that never sign in.
func TestOneAddressDoesNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxPending: 8, MaxPendingAddress: 2})
	from := func(address string) *netWire {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		conn, err := d.Dial("tcp", w.tcp.Addr().String())
		w.must(err)
		t.Cleanup(func() { _ = conn.Close() })
		return delimited(conn)
	}
	from("127.0.0.1")
	from("127.0.0.1")
	w.eventually("one more is turned away", func() bool {
		return last(t, from("127.0.0.1")).GetReason() == edgev1.GoodbyeReason_GOODBYE_REASON_FULL
	})
	other := from("127.0.0.2")
	_, err := other.conn.Write([]byte("STOA\x01"))
	w.must(err)
	w.must(other.send(signIn(w.Token(t, w.member("ann")))))
	if f, err := other.receive(); err != nil || f.GetSignedIn() == nil {
		t.Errorf("another address got %v, %v", f, err)
	}
}

// TestSilenceBeforeTheHandshake: who opens the TLS port and says nothing is let go, and does not hold up the end.
func TestSilenceBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxPending: 2, MaxPendingAddress: 2})
	open := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", w.tls.Addr().String())
		w.must(err)
		t.Cleanup(func() { _ = conn.Close() })
		w.must(conn.SetReadDeadline(time.Now().Add(patience)))
		return conn
	}
	waiting := []net.Conn{open(), open()}
	w.eventually("one more is turned away", func() bool {
		_, err := open().Read(make([]byte, 1))
		return err != nil
	})
	w.clock.advance(11 * time.Second)
	for _, conn := range waiting {
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes came", n)
		}
	}
	w.signInAs((*world).overTLS, w.member("ann"))
	open() // and is there when the edge closes
}

// TestEnteringTwiceAtOnce, as a client does that tries again, makes one of the user.
func TestEnteringTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	stream := func(w *world) wire { return &streamWire{w: w} }
	ann := w.signInAs(stream, w.member("ann"))
	var sending sync.WaitGroup
	for range 20 {
		sending.Go(func() { _ = ann.send(enter("room")) })
	}
	sending.Wait()
	w.must(ann.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Leave{Leave: &edgev1.Leave{ConversationId: "room"}}}))
	bob := w.signInAs((*world).webSocket, w.member("bob"))
	if entered := bob.ask(enter("room")).GetEntered(); entered.GetPeople() != 1 {
		t.Errorf("there are %d in the room", entered.GetPeople())
	}
}

// TestNoticesComeOnce to who is named twice, and slowly where the back end wishes.
func TestNoticesComeOnce(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	ann := w.signInAs((*world).webSocket, w.member("ann"))
	_, err := w.push.PushToUsers(t.Context(), &edgev1.PushToUsersRequest{
		UserIds: []string{"ann", "ann"}, Notice: &edgev1.Notice{Topic: "once"},
	})
	w.must(err)
	_, err = w.push.PushToDevices(t.Context(), &edgev1.PushToDevicesRequest{
		DeviceIds: []string{"device-ann", "device-nobody"}, Notice: &edgev1.Notice{Topic: "end"},
	})
	w.must(err)
	ann.until("the end", func(*edgev1.ServerFrame) bool {
		return len(ann.events) > 0 && ann.events[len(ann.events)-1].GetNotice().GetTopic() == "end"
	})
	if len(ann.events) != 2 {
		t.Errorf("got %v", ann.events)
	}
}

// TestComingBackWhileTheListIsRead: who is taken out and brought back while their list of conversations is on its way hears
// the conversation.
func TestComingBackWhileTheListIsRead(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	w.chat.set(func() { w.chat.conversations["bob"] = []string{"group"} })
	bob := w.signInAs((*world).webSocket, w.member("bob"))
	reading := make(chan struct{})
	w.chat.set(func() { w.chat.conversations["cid"], w.chat.reading = []string{"group"}, reading })
	n := w.webSocket()
	w.must(n.send(signIn(w.Token(t, w.member("cid")))))
	w.eventually("the session is known", func() bool { return w.metric("stoa_edge_sessions") == 2 })
	for i, role := range []chatv1.MemberRole{chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED, chatv1.MemberRole_MEMBER_ROLE_MEMBER} {
		tell(w, "chat.conversation_events", "group", &chatv1.ConversationEvents{ConversationId: "group", Events: []*chatv1.Event{{
			ConversationId: "group", Kind: &chatv1.Event_Members{Members: &chatv1.MembersChanged{
				MemberVersion: int64(i + 1), Members: []*chatv1.Member{{User: w.user("cid"), Role: role}},
			}},
		}}})
	}
	w.say("group", 1, 1)
	assertRun(t, bob.seqs(1), 1, 1)
	close(reading)
	w.chat.set(func() { w.chat.reading = nil })
	cid := &device{wire: n, t: t}
	cid.until("the sign-in", func(f *edgev1.ServerFrame) bool { return f.GetSignedIn() != nil })
	w.say("group", 2, 3)
	cid.until("what is said afterwards", func(*edgev1.ServerFrame) bool {
		return len(cid.events) > 0 && cid.events[len(cid.events)-1].GetChat().GetMessage().GetSeq() == 3
	})
}

// TestWhyASessionEnded is told to who comes back for it, also where the Goodbye did not arrive.
func TestWhyASessionEnded(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Queue: 4})
	w.chat.set(func() { w.chat.conversations["ann"] = []string{"group"} })
	p := w.member("ann")
	ann := w.signInAs((*world).webSocket, p)
	ann.cut()
	said := int64(0)
	w.eventually("its session is gone", func() bool {
		w.say("group", said+1, said+1)
		said++
		return w.metric("stoa_edge_sessions") == 0
	})
	back := w.resumeAs((*world).webSocket, p, &edgev1.Resume{SessionId: ann.session.GetSessionId()})
	if s := back.session; s.GetResumed() || s.GetEnded() != edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER {
		t.Errorf("who came back was told %v", s)
	}
	bob := w.member("bob")
	if s := w.resumeAs((*world).webSocket, bob, &edgev1.Resume{SessionId: ann.session.GetSessionId()}).session; s.GetEnded() != 0 {
		t.Errorf("another user was told %v", s.GetEnded())
	}
}

// TestResumeIsOneSignIns: the same device after a new sign-in has a session of its own, which its old one's end does not end.
func TestResumeIsOneSignIns(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	p := w.member("ann")
	ann := w.signInAs((*world).webSocket, p)
	ann.cut()
	again := p
	again.SessionID = "another sign-in"
	back := w.resumeAs((*world).webSocket, again, &edgev1.Resume{SessionId: ann.session.GetSessionId()})
	if back.session.GetResumed() {
		t.Error("it was resumed")
	}
	w.Revocations.Add(p.SessionID, time.Now())
	back.quiet("the end of the sign-in before")
}

// TestSilenceIsSaid to a client that is there after all and may resume.
func TestSilenceIsSaid(t *testing.T) {
	t.Parallel()
	for _, tr := range transports()[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, edge.Config{Silence: time.Minute, TokenGrace: time.Hour})
			p := w.member("ann")
			ann := w.signInAs(tr.open, p)
			w.clock.advance(70 * time.Second)
			if g := ann.goodbye(); g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_SILENT {
				t.Errorf("got %v", g)
			}
			back := w.resumeAs(tr.open, p, &edgev1.Resume{SessionId: ann.session.GetSessionId()})
			if !back.session.GetResumed() {
				t.Errorf("it was not resumed: %v", back.session)
			}
		})
	}
}
