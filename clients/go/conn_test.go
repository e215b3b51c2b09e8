package stoa_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	stoa "github.com/stoa-live/stoa/clients/go"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// me answers GetMe, slowly where it is told to, and refuses the rest.
func me(_ context.Context, procedure string, _ []byte) (proto.Message, error) {
	if procedure == authv1connect.AuthServiceGetMeProcedure {
		return &authv1.GetMeResponse{User: &authv1.User{Id: "somebody"}}, nil
	}
	return nil, refusal(connect.CodeResourceExhausted, "RATE_LIMITED", map[string]string{"retry_after_ms": "7"})
}

func refusal(code connect.Code, reason string, metadata map[string]string) error {
	err := connect.NewError(code, errors.New("no"))
	detail, _ := connect.NewErrorDetail(&errdetails.ErrorInfo{Reason: reason, Domain: "stoa", Metadata: metadata})
	err.AddDetail(detail)
	return err
}

// TestCall calls as it is and through a generated client, with answers, refusals and the end of contexts.
func TestCall(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		inFlight, stuck := make(chan struct{}, 3), make(chan struct{})
		defer close(stuck)
		e.maxCalls = 2
		e.handle = func(ctx context.Context, procedure string, request []byte) (proto.Message, error) {
			if procedure == authv1connect.AuthServiceSignOutProcedure {
				inFlight <- struct{}{}
				<-stuck
			}
			return me(ctx, procedure, request)
		}
		conn := dial(t, e.options())
		got := &authv1.GetMeResponse{}
		if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{}, got); err != nil ||
			got.GetUser().GetId() != "somebody" {
			t.Errorf("GetMe answered %v, %v", got, err)
		}
		generated := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge")
		if got, err := generated.GetMe(within(t), &authv1.GetMeRequest{}); err != nil || got.GetUser().GetId() != "somebody" {
			t.Errorf("through a generated client, GetMe answered %v, %v", got, err)
		}
		packing := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge/prefix", connect.WithSendGzip())
		if got, err := packing.GetMe(within(t), &authv1.GetMeRequest{}); err != nil || got.GetUser().GetId() != "somebody" {
			t.Errorf("with a packed request, GetMe answered %v, %v", got, err)
		}
		for name, err := range map[string]error{
			"Call": conn.Call(within(t), authv1connect.AuthServiceListDevicesProcedure, &authv1.ListDevicesRequest{},
				&authv1.ListDevicesResponse{}),
			"generated": func() error { _, err := generated.ListDevices(within(t), &authv1.ListDevicesRequest{}); return err }(),
		} {
			if connect.CodeOf(err) != connect.CodeResourceExhausted || stoa.Reason(err) != "RATE_LIMITED" ||
				stoa.Metadata(err)["retry_after_ms"] != "7" {
				t.Errorf("%s was refused by %v (%s, %v)", name, err, stoa.Reason(err), stoa.Metadata(err))
			}
		}
		_, err := generated.SignUp(within(t), &authv1.SignUpRequest{Nickname: strings.Repeat("x", 2<<20)})
		if connect.CodeOf(err) != connect.CodeResourceExhausted || stoa.Reason(err) != stoa.ReasonRequestTooLarge {
			t.Errorf("a request above the limit was refused by %v", err)
		}
		json := authv1connect.NewAuthServiceClient(conn.HTTPClient(), "http://edge", connect.WithProtoJSON())
		if _, err := json.GetMe(within(t), &authv1.GetMeRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("a call in JSON was answered by %v", err)
		}

		// Two calls are in flight: the third waits for its turn, and what is given up keeps its place until it is answered.
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := generated.SignOut(ctx, &authv1.SignOutRequest{})
				errs <- err
			}()
		}
		<-inFlight
		<-inFlight
		cancel()
		for range 3 {
			if err := <-errs; connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("a call that was given up ended by %v", err)
			}
		}
		short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		if _, err := generated.GetMe(short, &authv1.GetMeRequest{}); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
			t.Errorf("while all places are taken, a call ended by %v", err)
		}
		stuck <- struct{}{}
		stuck <- struct{}{}
		if _, err := generated.GetMe(within(t), &authv1.GetMeRequest{}); err != nil {
			t.Errorf("once there was a place, a call ended by %v", err)
		}
	})
}

// TestTLS connects by TLS to who has the right certificate, and to nobody else.
func TestTLS(t *testing.T) {
	for _, scheme := range []string{"tls", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			e := newEdge(t, scheme)
			e.handle = me
			o := e.options()
			o.TLS = certificate(t).Client().Transport.(*http.Transport).TLSClientConfig
			conn := dial(t, o)
			if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{},
				&authv1.GetMeResponse{}); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(within(t))
			defer cancel()
			o = e.options()
			o.OnStatus = func(stoa.Status) { cancel() } // after the first try
			if _, err := stoa.Dial(ctx, o); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("with the roots of the system, Dial ended by %v", err)
			}
		})
	}
}

// log keeps what a connection told.
type log struct {
	mu    sync.Mutex
	told  []string
	block chan struct{} // OnEvents waits for it where it is set
}

func (l *log) add(what ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, what...)
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

// into has a connection tell a log: numbers of notices, and syncs.
func (l *log) into(o stoa.Options) stoa.Options {
	o.OnSync = func(*edgev1.SignedIn) { l.add("sync") }
	o.OnEvents = func(events []*edgev1.Event) {
		for _, event := range events {
			l.add(string(event.GetNotice().GetData()))
		}
		if l.block != nil {
			<-l.block
		}
	}
	return o
}

// numbers is what a log holds that was told everything once.
func numbers(from, to int) []string {
	var out []string
	for n := from; n <= to; n++ {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// TestResume cuts a connection again and again: each push comes once and in order, with no sync but the first.
func TestResume(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.packs = e.scheme == "tcp"
		l := &log{}
		dial(t, l.into(e.options()))
		const all = 400
		for n := 1; n <= all; n++ {
			e.push(notice(n))
			if n%37 == 0 && n < 300 {
				e.cut()
			}
		}
		want := append([]string{"sync"}, numbers(1, all)...)
		eventually(t, "all was told", func() bool { return len(l.all()) >= len(want) })
		if got := l.all(); !slices.Equal(got, want) {
			t.Errorf("it was told %v", got)
		}
		eventually(t, "the last fifty are acknowledged", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.acks) > 0 && slices.IsSorted(e.acks) && e.acks[len(e.acks)-1] > all-50
		})
	})
}

// TestNewSession restarts the server: the client is told to sync between what it heard before and after.
func TestNewSession(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		l := &log{}
		conn := dial(t, l.into(e.options()))
		for round := range 3 {
			n := round * 10
			for i := 1; i <= 10; i++ {
				e.push(notice(n + i))
			}
			eventually(t, "all was told", func() bool { return len(l.all()) == (round+1)*11 })
			before := conn.Session().GetSessionId()
			e.forget()
			eventually(t, "there is a new session", func() bool {
				s := conn.Session()
				return s != nil && s.GetSessionId() != before
			})
		}
		want := slices.Concat([]string{"sync"}, numbers(1, 10), []string{"sync"}, numbers(11, 20), []string{"sync"},
			numbers(21, 30))
		if got := l.all()[:33]; !slices.Equal(got, want) {
			t.Errorf("it was told %v", got)
		}
	})
}

// TestSlowCallback lets events wait: those above the bound are dropped and a sync stands in their place, and meanwhile calls
// are answered.
func TestSlowCallback(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.handle = me
		l := &log{block: make(chan struct{})}
		o := l.into(e.options())
		o.QueueEvents = 10
		conn := dial(t, o)
		for n := 1; n <= 1000; n++ {
			e.push(notice(n))
		}
		if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{},
			&authv1.GetMeResponse{}); err != nil {
			t.Errorf("a call behind a thousand pushes ended by %v", err)
		}
		close(l.block)
		eventually(t, "a second sync was told", func() bool { return slices.Contains(l.all()[1:], "sync") })
		e.push(notice(1001))
		eventually(t, "what came later was told", func() bool { return slices.Contains(l.all(), "1001") })
		got := l.all()
		again := slices.Index(got[1:], "sync") + 1
		if want := append([]string{"sync"}, numbers(1, again-1)...); !slices.Equal(got[:again], want) {
			t.Errorf("before the second sync it was told %v", got[:again])
		}
		if again > 13 {
			t.Errorf("%d events waited", again)
		}
		if got[len(got)-1] != "1001" {
			t.Errorf("it was told %v", got)
		}
	})
}

// TestGoodbye ends connections by what the server says.
func TestGoodbye(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		var mu sync.Mutex
		var statuses []stoa.Status
		o := e.options()
		o.OnStatus = func(s stoa.Status) {
			mu.Lock()
			defer mu.Unlock()
			statuses = append(statuses, s)
		}
		conn := dial(t, o)
		start := time.Now()
		e.say(goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING, 300*time.Millisecond))
		signedIn := func(n int) {
			eventually(t, "it came back", func() bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return len(e.signIns) == n
			})
		}
		signedIn(2)
		if waited := time.Since(start); waited < 300*time.Millisecond {
			t.Errorf("it came back after %v", waited)
		}
		eventually(t, "it is up", func() bool { return conn.Session() != nil })
		e.say(goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED, -time.Millisecond))
		signedIn(3)
		eventually(t, "it is up", func() bool { return conn.Session() != nil })
		e.say(goodbye(edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE, -time.Millisecond))
		select {
		case <-conn.Done():
		case <-time.After(patience):
			t.Fatal("it does not end")
		}
		bye, ok := errors.AsType[*stoa.GoodbyeError](conn.Err())
		if !ok || bye.Reason != edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE || bye.Reconnect >= 0 {
			t.Errorf("it ended by %v", conn.Err())
		}
		err := conn.Call(within(t), "/a/B", &authv1.GetMeRequest{}, &authv1.GetMeResponse{})
		if connect.CodeOf(err) != connect.CodeUnavailable || stoa.Reason(err) != stoa.ReasonConnectionEnded ||
			!errors.As(err, &bye) {
			t.Errorf("after the end, a call ended by %v", err)
		}
		eventually(t, "the end was told", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(statuses) > 0 && statuses[len(statuses)-1].Final
		})
	})
}

// TestRefusedSignIn ends Dial at once where the token is no good, and after ctx where nobody listens.
func TestRefusedSignIn(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.greet = func(in *edgev1.SignIn) *edgev1.Goodbye {
			return &edgev1.Goodbye{
				Reason: edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED, ReconnectMs: -1,
				Error: &edgev1.Error{Code: int32(connect.CodeUnauthenticated), Reason: "SESSION_REVOKED"},
			}
		}
		_, err := stoa.Dial(within(t), e.options())
		if bye, ok := errors.AsType[*stoa.GoodbyeError](err); !ok ||
			bye.Reason != edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED || stoa.Reason(bye.Cause) != "SESSION_REVOKED" {
			t.Errorf("Dial ended by %v", err)
		}
		e.greet = func(in *edgev1.SignIn) *edgev1.Goodbye {
			if in.GetAccessToken() == "third" {
				return nil
			}
			return &edgev1.Goodbye{
				Reason: edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_REFUSED, ReconnectMs: 1,
				Error: &edgev1.Error{Code: int32(connect.CodeUnauthenticated), Reason: "TOKEN_EXPIRED"},
			}
		}
		if _, err := stoa.Dial(within(t), e.options()); err == nil || !strings.Contains(err.Error(), "no good token") {
			t.Errorf("with the same token again, Dial ended by %v", err)
		}
		o := e.options()
		tokens := []string{"first", "second", "third"}
		o.Token = func(context.Context) (stoa.Token, error) {
			next := tokens[0]
			tokens = tokens[1:]
			return stoa.Token{Access: next}, nil
		}
		dial(t, o)
		o.Token = func(context.Context) (stoa.Token, error) {
			return stoa.Token{}, connect.NewError(connect.CodeUnauthenticated, errors.New("sign in again"))
		}
		if _, err := stoa.Dial(within(t), o); err == nil || !strings.Contains(err.Error(), "sign in again") {
			t.Errorf("without a token, Dial ended by %v", err)
		}
	})
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	o := stoa.Options{URL: "tcp://" + nobody.Addr().String(), Token: token("t"), BackoffMin: time.Millisecond}
	if _, err := stoa.Dial(ctx, o); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("where nobody listens, Dial ended by %v", err)
	}
	for _, address := range []string{"http://x", "ws:", "::", ""} {
		if _, err := stoa.Dial(ctx, stoa.Options{URL: address, Token: token("t")}); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}

// TestRenew brings a fresh token before the one at hand ends.
func TestRenew(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		issued := 0
		o := e.options()
		o.Token = func(context.Context) (stoa.Token, error) {
			issued++
			if issued == 2 {
				return stoa.Token{}, errors.New("no answer")
			}
			// The clock here may be wrong; what counts is how far the server's is from the token's end.
			return stoa.Token{Access: strconv.Itoa(issued), ExpiresAt: time.Now().Add(time.Duration(issued) * 300 * time.Millisecond)}, nil
		}
		dial(t, o)
		eventually(t, "the token was renewed", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.renewed) >= 1
		})
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.renewed[0] != "3" || len(e.signIns) != 1 || e.signIns[0].GetAccessToken() != "1" {
			t.Errorf("it signed in by %v and renewed by %v", e.signIns, e.renewed)
		}
	})
}

// TestSilence keeps a quiet connection by pings, and gives one up whose server says nothing.
func TestSilence(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.silence = 400 * time.Millisecond
		conn := dial(t, e.options())
		eventually(t, "it pinged", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.pings >= 5
		})
		if conn.Err() != nil {
			t.Errorf("a quiet connection broke: %v", conn.Err())
		}
		e.mu.Lock()
		e.mute = true
		e.mu.Unlock()
		eventually(t, "it is given up", func() bool { return conn.Err() != nil })
		e.mu.Lock()
		e.mute = false
		e.mu.Unlock()
		eventually(t, "it is up again", func() bool { return conn.Session() != nil })
	})
}

// TestClose ends what waits.
func TestClose(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.handle = func(ctx context.Context, _ string, _ []byte) (proto.Message, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		conn, err := stoa.Dial(within(t), e.options())
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			failed <- conn.Call(ctx, "/a/B", &authv1.GetMeRequest{}, &authv1.GetMeResponse{})
		}()
		conn.Close()
		conn.Close()
		if err := <-failed; connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("a call that waited ended by %v", err)
		}
		if conn.Session() != nil {
			t.Error("a closed connection has a session")
		}
	})
}
