package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"google.golang.org/protobuf/proto"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
)

// wire is a client's end of one connection.
type wire interface {
	// send writes a frame.
	send(f *edgev1.ClientFrame) error
	// receive reads the next frame.
	receive() (*edgev1.ServerFrame, error)
	// cut ends the connection as a network does.
	cut()
}

// transport opens connections of one kind.
type transport struct {
	name string
	open func(w *world) wire
}

func transports() []transport {
	return []transport{
		{"WebSocket", (*world).webSocket},
		{"TCP", func(w *world) wire { return w.plainTCP() }},
		{"TLS", (*world).overTLS},
		{"stream", func(w *world) wire { return &streamWire{w: w} }},
	}
}

// everyTransport runs a test over each transport.
func everyTransport(t *testing.T, run func(t *testing.T, open func(w *world) wire)) {
	t.Helper()
	for _, tr := range transports() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			run(t, tr.open)
		})
	}
}

// port opens a port.
func (w *world) port() net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	return l
}

func (w *world) listen(mux *http.ServeMux) {
	w.t.Helper()
	w.http = httptest.NewServer(mux)
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	certificate := certified.TLS.Certificates[0]
	certified.Close()
	w.tls = tls.NewListener(w.tls, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	var serving sync.WaitGroup
	for _, l := range []net.Listener{w.tcp, w.tls} {
		serving.Go(func() {
			if err := w.edge.Serve(l); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(serving.Wait)
}

// netWire is a connection of bytes.
type netWire struct {
	conn  net.Conn
	in    *bufio.Reader
	write func(b []byte) error
	read  func() ([]byte, error)
}

func (n *netWire) send(f *edgev1.ClientFrame) error {
	b, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	return n.write(b)
}

func (n *netWire) receive() (*edgev1.ServerFrame, error) {
	_ = n.conn.SetReadDeadline(time.Now().Add(patience))
	b, err := n.read()
	if err != nil {
		return nil, err
	}
	f := &edgev1.ServerFrame{}
	return f, proto.Unmarshal(b, f)
}

func (n *netWire) cut() { _ = n.conn.Close() }

func (w *world) webSocket() wire {
	w.t.Helper()
	conn, in, _, err := ws.Dialer{Protocols: []string{"stoa.edge.v1"}}.Dial(w.t.Context(), "ws"+strings.TrimPrefix(w.http.URL, "http")+"/edge/v1")
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close() })
	if in == nil {
		in = bufio.NewReader(conn)
	}
	n := &netWire{conn: conn, in: in}
	n.write = func(b []byte) error { return wsutil.WriteClientBinary(conn, b) }
	n.read = func() ([]byte, error) {
		b, _, err := wsutil.ReadServerData(struct {
			io.Reader
			io.Writer
		}{n.in, conn})
		return b, err
	}
	return n
}

// delimited makes a connection speak delimited frames.
func delimited(conn net.Conn) *netWire {
	n := &netWire{conn: conn, in: bufio.NewReader(conn)}
	n.write = func(b []byte) error {
		_, err := conn.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
		return err
	}
	n.read = func() ([]byte, error) {
		size, err := binary.ReadUvarint(n.in)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size)
		_, err = io.ReadFull(n.in, b)
		return b, err
	}
	return n
}

func (w *world) plainTCP() *netWire {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.tcp.Addr().String())
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "STOA\x01")
	w.must(err)
	return delimited(conn)
}

func (w *world) overTLS() wire {
	w.t.Helper()
	conn, err := tls.Dial("tcp", w.tls.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own
	w.must(err)
	w.t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "STOA\x01")
	w.must(err)
	return delimited(conn)
}

// streamWire is a Connect stream down and calls up. Its first frame opens it.
type streamWire struct {
	w       *world
	enter   []*edgev1.Enter // with which it is opened
	bearer  *tokenClient
	client  edgev1connect.EdgeServiceClient
	stream  *connect.ServerStreamForClient[edgev1.ConnectResponse]
	stop    context.CancelFunc
	session string
	answers chan *edgev1.ServerFrame
	frames  chan *edgev1.ServerFrame
	ended   error
}

func (s *streamWire) send(f *edgev1.ClientFrame) error {
	if in := f.GetSignIn(); in != nil && s.stream == nil {
		return s.connect(in)
	}
	if f.GetCall() != nil {
		return errors.New("calls are requests of their own")
	}
	res, err := s.client.Send(s.w.t.Context(), &edgev1.SendRequest{SessionId: s.session, Frame: f})
	if err != nil {
		return err
	}
	if res.GetFrame().GetDone() != nil && f.GetRenew() != nil {
		s.bearer.token = f.GetRenew().GetAccessToken()
	}
	if res.GetFrame() != nil {
		s.answers <- res.GetFrame()
	}
	return nil
}

func (s *streamWire) connect(in *edgev1.SignIn) error {
	s.bearer = &tokenClient{http.DefaultClient, in.GetAccessToken()}
	s.client = edgev1connect.NewEdgeServiceClient(s.bearer, s.w.http.URL)
	ctx, stop := context.WithCancel(s.w.t.Context())
	s.stop = stop
	s.w.t.Cleanup(s.cut)
	s.answers, s.frames = make(chan *edgev1.ServerFrame, 100), make(chan *edgev1.ServerFrame, 1000)
	var err error
	s.stream, err = s.client.Connect(ctx, &edgev1.ConnectRequest{
		SignIn: &edgev1.SignIn{Resume: in.GetResume(), AcceptGzip: in.GetAcceptGzip()}, Enter: s.enter,
	})
	if err != nil {
		return err
	}
	go func() {
		defer close(s.frames)
		for s.stream.Receive() {
			s.frames <- s.stream.Msg().GetFrame()
		}
		s.ended = s.stream.Err()
	}()
	return nil
}

func (s *streamWire) receive() (*edgev1.ServerFrame, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case f := <-s.answers:
		return f, nil
	case f, ok := <-s.frames:
		if !ok {
			return nil, errors.Join(io.EOF, s.ended)
		}
		if f.GetSignedIn() != nil {
			s.session = f.GetSignedIn().GetSessionId()
		}
		return f, nil
	case <-limit.C:
		return nil, errors.New("nothing came")
	}
}

// end waits until the stream is over, and returns the error of its RPC.
func (s *streamWire) end() error {
	s.w.t.Helper()
	for {
		if _, err := s.receive(); errors.Is(err, io.EOF) {
			return s.ended
		} else if err != nil {
			s.w.t.Fatal(err)
		}
	}
}

func (s *streamWire) cut() {
	if s.stop != nil {
		s.stop()
	}
}

// tokenClient sends a token with each request.
type tokenClient struct {
	*http.Client

	token string
}

func (c tokenClient) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+c.token)
	return c.Client.Do(r)
}
