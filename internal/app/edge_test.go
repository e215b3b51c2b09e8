package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	varint "encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// longConnection is a signed-in device.
type longConnection struct {
	name    string
	receive func() (*edgev1.ServerFrame, error)
	enter   func(conversationID string) error
	send    func(r *chatv1.SendMessageRequest) error
}

// until reads frames up to the first that is wanted.
func (l *longConnection) until(t *testing.T, what string, wanted func(f *edgev1.ServerFrame) bool) *edgev1.ServerFrame {
	t.Helper()
	for {
		f, err := l.receive()
		if err != nil {
			t.Fatalf("%s: waiting for %s: %v", l.name, what, err)
		}
		if wanted(f) {
			return f
		}
		if f.GetError() != nil || f.GetGoodbye() != nil {
			t.Fatalf("%s: waiting for %s: %v", l.name, what, f)
		}
	}
}

// overBytes signs in on a connection of bytes that carries frames by read and write.
func overBytes(t *testing.T, name, token string, conn net.Conn, write func(b []byte) error, read func() ([]byte, error)) *longConnection {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	send := func(f *edgev1.ClientFrame) error {
		b, err := proto.Marshal(f)
		return errors.Join(err, write(b))
	}
	l := &longConnection{name: name}
	l.receive = func() (*edgev1.ServerFrame, error) {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		b, err := read()
		if err != nil {
			return nil, err
		}
		f := &edgev1.ServerFrame{}
		return f, proto.Unmarshal(b, f)
	}
	l.enter = func(id string) error {
		return send(&edgev1.ClientFrame{Id: 2, Kind: &edgev1.ClientFrame_Enter{Enter: &edgev1.Enter{ConversationId: id}}})
	}
	l.send = func(r *chatv1.SendMessageRequest) error {
		b, err := proto.Marshal(r)
		return errors.Join(err, send(&edgev1.ClientFrame{Id: 3, Kind: &edgev1.ClientFrame_Call{Call: &edgev1.Call{
			Procedure: chatv1connect.ChatServiceSendMessageProcedure, Request: b,
		}}}))
	}
	if err := send(&edgev1.ClientFrame{Id: 1, Kind: &edgev1.ClientFrame_SignIn{SignIn: &edgev1.SignIn{AccessToken: token}}}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "the sign-in", func(f *edgev1.ServerFrame) bool { return f.GetSignedIn() != nil })
	return l
}

// overTCP signs in on a connection of TCP, or of TLS.
func overTCP(t *testing.T, name, token string, conn net.Conn, err error) *longConnection {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, err := io.WriteString(conn, "STOA\x01"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	return overBytes(t, name, token, conn, func(b []byte) error {
		_, err := conn.Write(append(varint.AppendUvarint(nil, uint64(len(b))), b...))
		return err
	}, func() ([]byte, error) {
		size, err := varint.ReadUvarint(in)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size)
		_, err = io.ReadFull(in, b)
		return b, err
	})
}

// overWebSocket signs in on a WebSocket, with headers as a proxy adds them.
func overWebSocket(t *testing.T, token, address string, trust *tls.Config, header http.Header) *longConnection {
	t.Helper()
	conn, buffered, _, err := ws.Dialer{
		Protocols: []string{"stoa.edge.v1"}, TLSConfig: trust, Header: ws.HandshakeHeaderHTTP(header),
	}.Dial(t.Context(), address)
	if err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	in := io.Reader(conn)
	if buffered != nil {
		in = buffered
	}
	return overBytes(t, "WebSocket", token, conn, func(b []byte) error { return wsutil.WriteClientBinary(conn, b) },
		func() ([]byte, error) {
			b, _, err := wsutil.ReadServerData(struct {
				io.Reader
				io.Writer
			}{in, conn})
			return b, err
		})
}

// overStream signs in on a Connect stream, and enters a room with it.
func overStream(t *testing.T, c clients, conversationID string) *longConnection {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	stream, err := c.edge.Connect(ctx, &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: conversationID}}})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	l := &longConnection{name: "stream", enter: func(string) error { return nil }}
	l.receive = func() (*edgev1.ServerFrame, error) {
		if !stream.Receive() {
			return nil, errors.Join(io.EOF, stream.Err())
		}
		return stream.Msg().GetFrame(), nil
	}
	l.send = func(r *chatv1.SendMessageRequest) error {
		_, err := c.chat.SendMessage(ctx, r)
		return err
	}
	l.until(t, "the sign-in", func(f *edgev1.ServerFrame) bool { return f.GetSignedIn() != nil })
	return l
}

// edgeServer is a process with open ports, by TLS if it has a certificate.
func edgeServer(t *testing.T, secure bool, changes ...func(*config.Serve)) (*testkit.Server, *tls.Config) {
	t.Helper()
	changes = append(changes, func(c *config.Serve) { c.EdgeAddr = "127.0.0.1:0" })
	if !secure {
		return testkit.Start(t, changes...), nil
	}
	certificate, key := selfSigned(t)
	s := testkit.Start(t, append(changes, func(c *config.Serve) {
		c.TLSCert, c.TLSKey, c.EdgeTLSAddr = certificate, key, "127.0.0.1:0"
	})...)
	trust := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	chain, err := os.ReadFile(certificate)
	if err != nil || !trust.RootCAs.AppendCertsFromPEM(chain) {
		t.Fatal(err)
	}
	for _, client := range []*http.Client{s.HTTP1, s.HTTP2} {
		transport, ok := client.Transport.(*http.Transport)
		if !ok {
			t.Fatal("another transport")
		}
		transport.TLSClientConfig = trust.Clone()
		transport.Protocols.SetHTTP2(client == s.HTTP2)
	}
	return s, trust
}

// connectAll opens one connection of each kind that a client is told of, each for a person of its own, all in one room.
func connectAll(t *testing.T, s *testkit.Server, trust *tls.Config) (all []*longConnection, conversationID string) {
	t.Helper()
	conversationID = as(s, binary, s.User(t, "owner").Token).openRoom(t, "A room").GetConversationId()
	return connectEach(t, s, trust, conversationID, func(name string) string { return s.User(t, name).Token }), conversationID
}

// connectEach is connectAll with tokens by the names of transports.
func connectEach(
	t *testing.T, s *testkit.Server, trust *tls.Config, conversationID string, token func(name string) string,
) (all []*longConnection) {
	t.Helper()
	res, err := as(s, binary, "").edge.ListAccessPoints(t.Context(), &edgev1.ListAccessPointsRequest{})
	if err != nil || len(res.GetAccessPoints()) != 1 {
		t.Fatalf("access points: %v, %v", res, err)
	}
	point := res.GetAccessPoints()[0]
	conn, err := net.Dial("tcp", point.GetTcpAddress())
	all = append(all, overTCP(t, "TCP", token("tcp"), conn, err),
		overWebSocket(t, token("ws"), point.GetWebsocketUrl(), trust, nil),
		overStream(t, as(s, binary, token("stream")), conversationID))
	if (point.GetTlsAddress() != "") != (trust != nil) {
		t.Fatalf("told %v", point)
	}
	if trust != nil {
		secure, err := tls.Dial("tcp", point.GetTlsAddress(), trust)
		all = append(all, overTCP(t, "TLS", token("tls"), secure, err))
	}
	for _, l := range all {
		if err := l.enter(conversationID); err != nil {
			t.Fatalf("%s: %v", l.name, err)
		}
		l.until(t, "the room", func(f *edgev1.ServerFrame) bool { return f.GetEntered() != nil })
	}
	return all
}

func withAndWithoutTLS(t *testing.T, run func(t *testing.T, s *testkit.Server, trust *tls.Config)) {
	t.Helper()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
			t.Parallel()
			s, trust := edgeServer(t, secure)
			run(t, s, trust)
		})
	}
}

// TestTalkOverEveryConnection: what one says on any kind of connection all others hear on theirs, in the same order.
func TestTalkOverEveryConnection(t *testing.T) {
	t.Parallel()
	withAndWithoutTLS(t, func(t *testing.T, s *testkit.Server, trust *tls.Config) {
		all, room := connectAll(t, s, trust)
		var said []string
		heard := make(map[*longConnection][]string)
		for i, speaker := range all {
			text := fmt.Sprintf("%d over %s", i, speaker.name)
			said = append(said, text)
			if err := speaker.send(message(room, text)); err != nil {
				t.Fatalf("%s: %v", speaker.name, err)
			}
			for _, l := range all {
				l.until(t, text, func(f *edgev1.ServerFrame) bool {
					for _, e := range f.GetPush().GetEvents() {
						if m := e.GetChat().GetMessage(); m != nil {
							heard[l] = append(heard[l], m.GetContent().GetText().GetText())
						}
					}
					return len(heard[l]) == len(said)
				})
			}
		}
		for _, l := range all {
			if fmt.Sprint(heard[l]) != fmt.Sprint(said) {
				t.Errorf("%s heard %q, want %q", l.name, heard[l], said)
			}
		}
	})
}

// TestNewcomersLearnWhereARoomStands: who enters knows the last message and the last change, as the conversation has them.
func TestNewcomersLearnWhereARoomStands(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	owner := as(s, binary, s.User(t, "owner").Token)
	room := owner.openRoom(t, "A room").GetConversationId()
	for _, text := range []string{"one", "two", "three"} {
		m := owner.say(t, room, text)
		if text == "three" {
			continue
		}
		if _, err := owner.chat.RecallMessage(t.Context(), &chatv1.RecallMessageRequest{ConversationId: room, Seq: m.GetSeq()}); err != nil {
			t.Fatal(err)
		}
	}
	newcomer := overStream(t, as(s, binary, s.Guest(t).Token), room)
	entered := newcomer.until(t, "the room", func(f *edgev1.ServerFrame) bool { return f.GetEntered() != nil }).GetEntered()
	res, err := owner.chat.GetConversation(t.Context(), &chatv1.GetConversationRequest{ConversationId: room})
	if err != nil {
		t.Fatal(err)
	}
	c := res.GetState().GetConversation()
	if c.GetLastSeq() != 3 || c.GetLastChange() != 2 || c.GetEpoch() == 0 {
		t.Errorf("the conversation is at %v", c)
	}
	if entered.GetPosition().GetEpoch() != c.GetEpoch() || entered.GetPosition().GetSeq() != c.GetLastSeq() || entered.GetLastChange() != c.GetLastChange() {
		t.Errorf("a newcomer is told %v", entered)
	}
}

// TestGoodbyeOnEveryConnection: who is connected when the process stops is told to come back.
func TestGoodbyeOnEveryConnection(t *testing.T) {
	t.Parallel()
	withAndWithoutTLS(t, func(t *testing.T, s *testkit.Server, trust *tls.Config) {
		all, _ := connectAll(t, s, trust)
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		for _, l := range all {
			g := l.until(t, "a goodbye", func(f *edgev1.ServerFrame) bool { return f.GetGoodbye() != nil }).GetGoodbye()
			if g.GetReason() != edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING || g.GetReconnectMs() < 1 {
				t.Errorf("%s: %v", l.name, g)
			}
			f, err := l.receive()
			if err == nil {
				t.Errorf("%s: %v came after the goodbye", l.name, f)
			}
			if l.name == "stream" {
				refused(t, l.name, err, connect.CodeUnavailable, "DRAINING")
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		for _, addr := range []net.Addr{s.EdgeAddr(), s.EdgeTLSAddr()} {
			if addr == nil {
				continue
			}
			if conn, err := net.Dial("tcp", addr.String()); err == nil {
				_ = conn.Close()
				t.Errorf("%s is still open", addr)
			}
		}
	})
}

func TestPortsAreClosedUnlessTheyAreConfigured(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	if s.EdgeAddr() != nil || s.EdgeTLSAddr() != nil {
		t.Errorf("open are %v and %v", s.EdgeAddr(), s.EdgeTLSAddr())
	}
	res, err := as(s, binary, "").edge.ListAccessPoints(t.Context(), &edgev1.ListAccessPointsRequest{})
	if err != nil || len(res.GetAccessPoints()) != 1 {
		t.Fatalf("got %v, %v", res, err)
	}
	want := fmt.Sprintf("ws://%s/edge/v1", s.HTTPAddr())
	if p := res.GetAccessPoints()[0]; p.GetWebsocketUrl() != want || p.GetTcpAddress() != "" || p.GetTlsAddress() != "" {
		t.Errorf("told %v", p)
	}
}

// TestAllPortsFailAtOnce: the process says so, once, and can still be closed.
func TestAllPortsFailAtOnce(t *testing.T) {
	cfg := testkit.Config(t)
	certificate, key := selfSigned(t)
	cfg.EdgeAddr, cfg.EdgeTLSAddr, cfg.TLSCert, cfg.TLSKey = "127.0.0.1:0", "127.0.0.1:0", certificate, key
	a, err := app.Start(t.Context(), cfg, testkit.Web(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []net.Addr{a.EdgeAddr(), a.EdgeTLSAddr(), a.HTTPAddr()} {
		breakListener(t, addr)
	}
	select {
	case err := <-a.Failed():
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(patience):
		t.Error("nobody is told")
	}
	closed := make(chan error, 1)
	go func() { closed <- a.Close(context.WithoutCancel(t.Context())) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it cannot be closed")
	}
}
