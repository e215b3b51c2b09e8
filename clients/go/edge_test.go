package stoa_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	stoa "github.com/stoa-live/stoa/clients/go"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// edge is a small edge on real sockets, which does what a test tells it to.
type edge struct {
	t        *testing.T
	listener net.Listener
	scheme   string
	wg       sync.WaitGroup

	// Set before the first connection.
	silence  time.Duration
	resume   time.Duration
	maxCalls int32
	maxFrame int32
	packs    bool // every push
	handle   func(ctx context.Context, procedure string, request []byte) (proto.Message, error)
	greet    func(*edgev1.SignIn) *edgev1.Goodbye // refuses a sign-in; nil admits it
	// enter answers with the lock held; nil for no answer.
	enter func(*edgev1.Enter) (*edgev1.Entered, error)
	leave func(*edgev1.Leave) // with the lock held

	mu       sync.Mutex
	closed   bool
	lines    map[*line]bool
	sessions map[string]*edgeSession
	signIns  []*edgev1.SignIn
	renewed  []string
	acks     []int64
	pings    int
	mute     bool // answers nothing
}

// edgeSession is what an edge keeps of a session.
type edgeSession struct {
	id     string
	pushes []*edgev1.ServerFrame
	line   *line // nil while it is cut
}

func newEdge(t *testing.T, scheme string) *edge {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "tls" || scheme == "wss" {
		listener = tls.NewListener(listener, certificate(t).TLS)
	}
	e := &edge{
		t: t, listener: listener, scheme: scheme, silence: 2 * time.Second, resume: time.Minute, maxCalls: 16,
		maxFrame: 1 << 20, lines: make(map[*line]bool), sessions: make(map[string]*edgeSession),
	}
	e.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.wg.Go(func() { e.serve(conn) })
		}
	})
	t.Cleanup(e.close)
	return e
}

// close ends the edge and waits for it; again does nothing.
func (e *edge) close() {
	_ = e.listener.Close()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.cut()
	e.wg.Wait()
}

func (e *edge) url() string {
	return e.scheme + "://" + e.listener.Addr().String() + map[string]string{"ws": "/edge/v1", "wss": "/edge/v1"}[e.scheme]
}

// options are those of a client that tries again soon.
func (e *edge) options() stoa.Options {
	return stoa.Options{
		URL: e.url(), Token: token("token"), BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
		DialTimeout: 5 * time.Second,
	}
}

func token(access string) func(context.Context) (stoa.Token, error) {
	return func(context.Context) (stoa.Token, error) { return stoa.Token{Access: access}, nil }
}

// serve speaks with one client until its end.
func (e *edge) serve(conn net.Conn) {
	l := &line{conn: conn, out: make(chan *edgev1.ServerFrame, 1<<16), done: make(chan struct{})}
	defer l.close()
	read, write, err := e.transport(conn)
	if err != nil {
		return
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.lines[l] = true
	e.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() {
		defer l.close()
		for {
			select {
			case frame := <-l.out:
				data, err := proto.Marshal(frame)
				if err != nil || write(data) != nil || frame.GetGoodbye() != nil {
					return
				}
			case <-l.done:
				return
			}
		}
	})
	var calls sync.WaitGroup
	session := e.speak(l, read, &calls)
	l.close()
	e.mu.Lock()
	delete(e.lines, l)
	if session != nil && session.line == l {
		session.line = nil
	}
	e.mu.Unlock()
	writer.Wait()
	calls.Wait()
}

// speak answers frames.
func (e *edge) speak(l *line, read func() ([]byte, error), calls *sync.WaitGroup) (session *edgeSession) {
	for {
		data, err := read()
		if err != nil {
			return session
		}
		frame := &edgev1.ClientFrame{}
		if err := proto.Unmarshal(data, frame); err != nil {
			e.t.Errorf("the client sent what is no frame: %v", err)
			return session
		}
		if (session == nil) != (frame.GetSignIn() != nil) {
			e.t.Errorf("the client sent %v out of place", frame)
			return session
		}
		e.mu.Lock()
		if e.mute {
			e.mu.Unlock()
			continue
		}
		if l.closed() { // its session may be gone
			e.mu.Unlock()
			return session
		}
		switch kind := frame.GetKind().(type) {
		case *edgev1.ClientFrame_SignIn:
			session = e.signIn(l, frame.GetId(), kind.SignIn)
		case *edgev1.ClientFrame_Ping:
			e.pings++
			l.out <- &edgev1.ServerFrame{Id: frame.GetId(), Kind: &edgev1.ServerFrame_Pong{Pong: &edgev1.Pong{}}}
		case *edgev1.ClientFrame_Ack:
			e.acks = append(e.acks, kind.Ack.GetReceived())
			if kind.Ack.GetReceived() > int64(len(session.pushes)) {
				e.t.Errorf("the client acknowledged %d of %d pushes", kind.Ack.GetReceived(), len(session.pushes))
			}
		case *edgev1.ClientFrame_Renew:
			e.renewed = append(e.renewed, kind.Renew.GetAccessToken())
			l.out <- done(frame.GetId())
		case *edgev1.ClientFrame_Leave:
			if e.leave != nil {
				e.leave(kind.Leave)
			}
			l.out <- done(frame.GetId())
		case *edgev1.ClientFrame_Watch:
			l.out <- &edgev1.ServerFrame{Id: frame.GetId(), Kind: &edgev1.ServerFrame_Watching{Watching: &edgev1.Watching{}}}
		case *edgev1.ClientFrame_Enter:
			switch entered, err := e.enter(kind.Enter); {
			case err != nil:
				l.out <- refused(frame.GetId(), err)
			case entered != nil:
				l.out <- &edgev1.ServerFrame{Id: frame.GetId(), Kind: &edgev1.ServerFrame_Entered{Entered: entered}}
			}
		case *edgev1.ClientFrame_Call:
			calls.Go(func() { e.call(l, frame.GetId(), kind.Call) })
		default:
		}
		e.mu.Unlock()
	}
}

func done(id uint32) *edgev1.ServerFrame {
	return &edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Done{Done: &edgev1.Done{}}}
}

func refused(id uint32, err error) *edgev1.ServerFrame {
	return &edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Error{Error: &edgev1.Error{
		Code: int32(connect.CodeOf(err)), Reason: stoa.Reason(err), Message: err.Error(), Metadata: stoa.Metadata(err),
	}}}
}

// signIn opens or resumes a session. The lock is held.
func (e *edge) signIn(l *line, id uint32, in *edgev1.SignIn) *edgeSession {
	e.signIns = append(e.signIns, in)
	if e.greet != nil {
		if bye := e.greet(in); bye != nil {
			l.out <- &edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Goodbye{Goodbye: bye}}
			return &edgeSession{}
		}
	}
	session := e.sessions[in.GetResume().GetSessionId()]
	resumed := session != nil
	if !resumed {
		session = &edgeSession{id: fmt.Sprintf("node.%d", len(e.signIns))}
		e.sessions[session.id] = session
	}
	session.line = l
	l.out <- &edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_SignedIn{SignedIn: &edgev1.SignedIn{
		SessionId: session.id, Resumed: resumed, SilenceMs: int32(e.silence.Milliseconds()),
		ResumeMs: int32(e.resume.Milliseconds()), MaxFrameBytes: e.maxFrame, MaxCalls: e.maxCalls,
		UserId: in.GetAccessToken(), DeviceId: "device", ServerTime: timestamppb.Now(),
	}}}
	if resumed {
		for _, push := range session.pushes[in.GetResume().GetReceived():] {
			l.out <- push
		}
	}
	return session
}

func (e *edge) call(l *line, id uint32, call *edgev1.Call) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if ms := call.GetTimeoutMs(); ms > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	frame := &edgev1.ServerFrame{Id: id}
	response, err := e.handle(ctx, call.GetProcedure(), call.GetRequest())
	if err == nil {
		data, failed := proto.Marshal(response)
		frame.Kind, err = &edgev1.ServerFrame_Reply{Reply: &edgev1.Reply{Response: data}}, failed
	}
	if err != nil {
		frame = refused(id, err)
	}
	select {
	case l.out <- frame:
	case <-l.done:
	}
}

// push tells all sessions what happened.
func (e *edge) push(events ...*edgev1.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pushLocked(events...)
}

func (e *edge) pushLocked(events ...*edgev1.Event) {
	frame := &edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Push{Push: &edgev1.Push{Events: events}}}
	if e.packs {
		data, err := proto.Marshal(frame)
		if err != nil {
			e.t.Error(err)
		}
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		_, _ = zip.Write(data)
		_ = zip.Close()
		frame = &edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Packed{
			Packed: &edgev1.Packed{Gzip: packed.Bytes(), Size: int32(len(data))},
		}}
	}
	for _, session := range e.sessions {
		session.pushes = append(session.pushes, frame)
		if session.line != nil {
			session.line.out <- frame
		}
	}
}

// say sends a frame to all that are connected.
func (e *edge) say(frame *edgev1.ServerFrame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.lines {
		l.out <- frame
	}
}

// cut ends all sockets; sessions can be resumed.
func (e *edge) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cutLocked()
}

func (e *edge) cutLocked() {
	for l := range e.lines {
		l.close()
	}
	for _, session := range e.sessions {
		session.line = nil
	}
}

// forget ends all sockets and sessions, as a restart does.
func (e *edge) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetLocked()
}

// forgetLocked is forget with the lock held. Who signs in afterwards has a session of the edge's next life.
func (e *edge) forgetLocked() {
	e.cutLocked()
	clear(e.sessions)
}

// dial opens a connection and closes it after the test.
func dial(t *testing.T, o stoa.Options) *stoa.Conn {
	t.Helper()
	conn, err := stoa.Dial(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// notice is an event with a number.
func notice(n int) *edgev1.Event {
	return &edgev1.Event{Kind: &edgev1.Event_Notice{Notice: &edgev1.Notice{Topic: "n", Data: fmt.Append(nil, n)}}}
}

// goodbye is the last frame of a connection.
func goodbye(reason edgev1.GoodbyeReason, after time.Duration) *edgev1.ServerFrame {
	return &edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Goodbye{Goodbye: &edgev1.Goodbye{
		Reason: reason, ReconnectMs: int32(after.Milliseconds()),
	}}}
}
