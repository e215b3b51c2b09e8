package stoa_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	stoa "github.com/stoa-live/stoa/clients/go"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

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
