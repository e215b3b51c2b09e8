package edge_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gobwas/ws"
	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/edge"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// last reads to the end of a connection and returns its Goodbye.
func last(t *testing.T, n wire) *edgev1.Goodbye {
	t.Helper()
	var g *edgev1.Goodbye
	for {
		f, err := n.receive()
		if err != nil {
			return g
		}
		if f.GetGoodbye() != nil {
			g = f.GetGoodbye()
		}
	}
}

func TestFramesThatLie(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxFrame: 1 << 16})
	healthy := w.signInAs((*world).webSocket, w.member("healthy"))
	token := w.Token(t, w.member("ann"))
	first, err := proto.Marshal(signIn(token))
	w.must(err)
	long := func(n uint64) []byte { return binary.AppendUvarint([]byte("STOA\x01"), n) }
	for name, raw := range map[string][]byte{
		"another protocol": []byte("GET / HTTP/1.1\r\n\r\n"),
		"another version":  []byte("STOA\x02"),
		"too long":         long(1<<16 + 1),
		"far too long":     long(1 << 40),
		"endless length":   append([]byte("STOA\x01"), bytes.Repeat([]byte{0xff}, 20)...),
		"garbage":          append(long(4), 0xff, 0xff, 0xff, 0xff),
		"empty":            long(0),
		"invalid UTF-8":    append(long(6), 0x12, 0x04, 0x0a, 0x02, 0xc3, 0x28),
		"no sign-in":       append(long(2), 0x22, 0x00),
		"a bad token":      append(append(long(9), 0x12, 0x07, 0x0a, 0x05), "token"...),
		"two at once":      append(append(append(long(uint64(len(first))), first...), byte(len(first)&0x7f|0x80), byte(len(first)>>7)), first...),
	} {
		conn, err := net.Dial("tcp", w.tcp.Addr().String())
		w.must(err)
		_, err = conn.Write(raw)
		w.must(err)
		g := last(t, delimited(conn))
		want := badFrame
		if name == "a bad token" {
			want = edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED
			if g.GetError().GetReason() != "TOKEN_INVALID" {
				t.Errorf("%s: %v", name, g)
			}
		}
		if g.GetReason() != want {
			t.Errorf("%s: %v", name, g)
		}
		_ = conn.Close()
	}
	for name, f := range map[string]ws.Frame{
		"not masked":   ws.NewBinaryFrame(first),
		"text":         ws.MaskFrame(ws.NewTextFrame([]byte("hello"))),
		"reserved":     ws.MaskFrame(ws.Frame{Header: ws.Header{Fin: true, Rsv: 4, OpCode: ws.OpBinary, Length: int64(len(first))}, Payload: bytes.Clone(first)}),
		"continuation": ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, bytes.Clone(first))),
		"too large":    ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 1<<16+1))),
		"large ping":   ws.MaskFrame(ws.NewPingFrame(make([]byte, 126))),
	} {
		n, ok := w.webSocket().(*netWire)
		if !ok {
			t.Fatal("no connection of bytes")
		}
		_ = ws.WriteFrame(n.conn, f) // the server may close before all is written
		if g := last(t, n); g.GetReason() != badFrame {
			t.Errorf("%s: %v", name, g)
		}
	}
	healthy.quiet("hostile neighbours")
	w.eventually("they are all gone", func() bool { return w.metric("stoa_edge_sessions") == 1 })
}

func TestFragmentsAndPings(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	n, ok := w.webSocket().(*netWire)
	if !ok {
		t.Fatal("no connection of bytes")
	}
	first, err := proto.Marshal(signIn(w.Token(t, w.member("ann"))))
	w.must(err)
	w.must(ws.WriteFrame(n.conn, ws.MaskFrame(ws.NewFrame(ws.OpBinary, false, bytes.Clone(first[:10])))))
	w.must(ws.WriteFrame(n.conn, ws.MaskFrame(ws.NewPingFrame([]byte("between")))))
	var rest bytes.Buffer
	w.must(ws.WriteFrame(&rest, ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, bytes.Clone(first[10:])))))
	for _, b := range rest.Bytes() { // one by one
		_, err := n.conn.Write([]byte{b})
		w.must(err)
	}
	pong, err := ws.ReadHeader(n.in)
	w.must(err)
	body := make([]byte, pong.Length)
	if _, err := io.ReadFull(n.in, body); err != nil || pong.OpCode != ws.OpPong || string(body) != "between" {
		t.Errorf("got %v %q, %v", pong, body, err)
	}
	if f, err := n.receive(); err != nil || f.GetSignedIn() == nil {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestOtherPagesMayNotConnect(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{Origins: []string{"https://*.example.org"}})
	for origin, fine := range map[string]bool{
		"https://evil.example": false, "https://chat.example.org": true, w.http.URL: true, "null": false, "https://example.org.evil": false,
	} {
		_, _, _, err := ws.Dialer{
			Protocols: []string{"stoa.edge.v1"}, Header: ws.HandshakeHeaderString("Origin: " + origin + "\r\n"),
		}.Dial(t.Context(), "ws"+strings.TrimPrefix(w.http.URL, "http")+"/edge/v1")
		if (err == nil) != fine {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestWhatWasNeverSentIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		ann := w.signInAs(open, w.member("ann"))
		err := ann.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ack{Ack: &edgev1.Ack{Received: 1}}})
		if _, ok := ann.wire.(*streamWire); ok { // it is told in the answer, and goes on
			if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
				t.Errorf("got %v", err)
			}
			ann.quiet("a refused ack")
			return
		}
		w.must(err)
		if g := ann.goodbye(); g.GetReason() != badFrame {
			t.Errorf("got %v", g)
		}
	})
}

func TestFlood(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{FrameRate: 0.5}) // no machine is slower than that
		ann := w.signInAs(open, w.member("ann"))
		for range 100 {
			if ann.send(ping()) != nil {
				break
			}
		}
		if s, ok := ann.wire.(*streamWire); ok { // it is told in the answer, and goes on
			if err := s.send(ping()); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
				t.Errorf("one more got %v", err)
			}
			w.clock.advance(10 * time.Second)
			ann.quiet("a while later")
			return
		}
		if g := last(t, ann.wire); g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_FLOOD || g.GetReconnectMs() < 1000 {
			t.Errorf("got %v", g)
		}
	})
}

// TestWhoIsTurnedAwayIsClosed: a client that does not close its connection does not keep one of the server's, either.
func TestWhoIsTurnedAwayIsClosed(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxPending: 1})
	waiting := w.plainTCP()
	ping := &edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Ping{Ping: &edgev1.Ping{}}}
	conn, err := net.Dial("tcp", w.tcp.Addr().String())
	w.must(err)
	defer conn.Close() //nolint:errcheck // a test
	n := delimited(conn)
	if g := last(t, n); g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_FULL {
		t.Fatalf("got %v", g)
	}
	w.eventually("the server has closed it", func() bool { return n.send(ping) != nil })
	w.must(waiting.send(signIn(w.Token(t, w.member("ann")))))
	if f, err := waiting.receive(); err != nil || f.GetSignedIn() == nil {
		t.Errorf("who waited got %v, %v", f, err)
	}
}

func TestUsersHaveABoundedNumberOfConnections(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{MaxUserSessions: 3})
	for i := range 4 {
		p := w.member("ann")
		p.DeviceID = fmt.Sprint("device-", i)
		n := w.webSocket()
		w.must(n.send(signIn(w.Token(t, p))))
		f, err := n.receive()
		w.must(err)
		if full := f.GetGoodbye().GetReason() == edgev1.GoodbyeReason_GOODBYE_REASON_FULL; full != (i == 3) {
			t.Errorf("connection %d: %v", i, f)
		}
	}
}

func TestChatIsAway(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() { w.chat.down = true })
		n := open(w)
		w.must(n.send(signIn(w.Token(t, w.member("ann")))))
		if s, ok := n.(*streamWire); ok {
			if err := s.end(); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
				t.Errorf("the RPC ended with %v", err)
			}
		} else if g := last(t, n); g.GetError().GetReason() != "UNAVAILABLE" || g.GetReconnectMs() < 1 {
			t.Errorf("got %v", g)
		}
		w.eventually("nothing is left of it", func() bool { return w.metric("stoa_edge_sessions") == 0 })
	})
}

// TestMembersComeAndGo holds who hears a conversation to who is in it, also while a session opens.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	w := serve(t, edge.Config{})
	members := func(user string, role chatv1.MemberRole) {
		t.Helper()
		m := &chatv1.Member{Role: role}
		m.User = w.user(user)
		tell(w, "chat.conversation_events", "group", &chatv1.ConversationEvents{ConversationId: "group", Events: []*chatv1.Event{{
			ConversationId: "group", Kind: &chatv1.Event_Members{Members: &chatv1.MembersChanged{Members: []*chatv1.Member{m}}},
		}}})
	}
	w.chat.set(func() { w.chat.conversations["bob"] = []string{"group"} })
	ann, bob := w.signInAs((*world).webSocket, w.member("ann")), w.signInAs((*world).webSocket, w.member("bob"))
	w.say("group", 1, 3)
	members("ann", chatv1.MemberRole_MEMBER_ROLE_MEMBER)
	w.say("group", 4, 6)
	members("ann", chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED)
	w.say("group", 7, 9)
	assertRun(t, bob.seqs(9), 1, 9)
	assertRun(t, ann.seqs(3), 4, 6)
	ann.quiet("after she left")

	// Somebody is taken out while the list of their conversations is on its way.
	reading := make(chan struct{})
	w.chat.set(func() { w.chat.conversations["cid"], w.chat.reading = []string{"group"}, reading })
	n := w.webSocket()
	w.must(n.send(signIn(w.Token(t, w.member("cid")))))
	w.eventually("the session is known", func() bool { return w.metric("stoa_edge_sessions") == 3 })
	members("cid", chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED)
	w.say("group", 10, 10)
	assertRun(t, bob.seqs(10), 1, 10)
	close(reading)
	w.chat.set(func() { w.chat.reading = nil })
	cid := &device{wire: n, t: t}
	cid.until("the sign-in", func(f *edgev1.ServerFrame) bool { return f.GetSignedIn() != nil })
	w.say("group", 11, 12)
	bob.seqs(12)
	cid.quiet("who was taken out")
}

func TestTyping(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() {
			w.chat.conversations["ann"], w.chat.conversations["bob"] = []string{"group"}, []string{"group"}
		})
		ann, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.member("bob"))
		typing := func(d *device, conversation string) {
			t.Helper()
			w.must(d.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Typing{Typing: &edgev1.Typing{ConversationId: conversation}}}))
		}
		typing(ann, "group")
		typing(ann, "group")      // too soon
		typing(ann, "bob's only") // not hers
		bob.until("ann types", func(*edgev1.ServerFrame) bool {
			return len(bob.events) > 0 && bob.events[0].GetTyping().GetUserId() == "ann"
		})
		for range 2 {
			w.must(ann.send(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Typing{Typing: &edgev1.Typing{ConversationId: "group", Stopped: true}}}))
		}
		bob.until("ann stopped", func(*edgev1.ServerFrame) bool {
			return bob.events[len(bob.events)-1].GetTyping().GetStopped()
		})
		bob.quiet("once is enough")
		if len(bob.events) != 2 {
			t.Errorf("got %v", bob.events)
		}
		ann.quiet("her own typing")
	})
}

func TestBackEndsPush(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, open func(w *world) wire) {
		w := serve(t, edge.Config{})
		w.chat.set(func() { w.chat.conversations["ann"] = []string{"group"} })
		ann, bob := w.signInAs(open, w.member("ann")), w.signInAs(open, w.member("bob"))
		notice := &edgev1.Notice{Topic: "order.paid", Data: []byte("42")}
		ctx := t.Context()
		_, err := w.push.PushToUsers(ctx, &edgev1.PushToUsersRequest{UserIds: []string{"ann"}, Notice: notice})
		w.must(err)
		_, err = w.push.PushToDevices(ctx, &edgev1.PushToDevicesRequest{DeviceIds: []string{"device-bob"}, Notice: notice})
		w.must(err)
		_, err = w.push.PushToConversation(ctx, &edgev1.PushToConversationRequest{ConversationId: "group", Notice: notice})
		w.must(err)
		_, err = w.push.PushToEveryone(ctx, &edgev1.PushToEveryoneRequest{Notice: notice})
		w.must(err)
		for d, want := range map[*device]int{ann: 3, bob: 2} {
			d.until("all notices", func(*edgev1.ServerFrame) bool { return len(d.events) == want })
			for _, e := range d.events {
				if e.GetNotice().GetTopic() != "order.paid" || string(e.GetNotice().GetData()) != "42" {
					t.Errorf("got %v", e)
				}
			}
		}
		if _, err := w.push.PushToUsers(ctx, &edgev1.PushToUsersRequest{
			UserIds: []string{"ann"}, Notice: &edgev1.Notice{Data: make([]byte, 64<<10+1)},
		}); err == nil {
			t.Error("a notice of any size is taken")
		}
		_, err = w.push.KickUsers(ctx, &edgev1.KickUsersRequest{UserIds: []string{"bob"}, Message: "bye"})
		w.must(err)
		if g := bob.endsBy(kicked); g.GetMessage() != "bye" || g.GetReconnectMs() != -1 {
			t.Errorf("got %v", g)
		}
		ann.quiet("another's end")
	})
}
