package auth_test

import (
	"encoding/base64"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
)

func TestReuseOfARefreshTokenEndsTheSession(t *testing.T) {
	w := serve(t)
	up := w.signUp(w.device(), "ada")
	first, err := w.refresh(up.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.refresh(first.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.refresh(up.GetRefreshToken()) // two generations old
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	w.wantRevoked(second.GetAccessToken())
	_, err = w.refresh(second.GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
	_, err = w.refresh(first.GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	wantError(t, w.me(second.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
	if n := w.counter("stoa_auth_revoked_sessions_total", "token_reused"); n != 1 {
		t.Errorf("counted %v revocations", n)
	}
	if n := w.counter("stoa_auth_sign_ins_total", "refresh", "REFRESH_TOKEN_REUSED"); n != 2 {
		t.Errorf("counted %v reused tokens", n)
	}
}

func TestOfConcurrentRefreshesOneWins(t *testing.T) {
	w := serve(t)
	up := w.signUp(w.device(), "ada")
	const callers = 16
	answers := make([]*authv1.RefreshTokenResponse, callers)
	failures := make([]error, callers)
	var calls sync.WaitGroup
	for i := range callers {
		calls.Go(func() { answers[i], failures[i] = w.refresh(up.GetRefreshToken()) })
	}
	calls.Wait()
	var won []*authv1.RefreshTokenResponse
	for i, err := range failures {
		if err == nil {
			won = append(won, answers[i])
			continue
		}
		wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d refreshes won", len(won), callers)
	}
	w.wantRevoked(won[0].GetAccessToken())
	_, err := w.refresh(won[0].GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
}

func TestSessionsSlideAndExpire(t *testing.T) {
	w := serve(t)
	const month = 30 * 24 * time.Hour
	token := w.signUp(w.device(), "ada").GetRefreshToken()
	for range 3 {
		w.clock.move(month - time.Second)
		next, err := w.refresh(token)
		if err != nil {
			t.Fatal(err)
		}
		token = next.GetRefreshToken()
	}
	w.clock.move(month)
	_, err := w.refresh(token)
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
}

func TestRefreshTokensThatNobodyIssued(t *testing.T) {
	w := serve(t)
	good := w.signUp(w.device(), "ada").GetRefreshToken()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] ^= 1 // another family
	for name, token := range map[string]string{
		"random": "x", "other family": base64.RawURLEncoding.EncodeToString(raw), "longer": good + "AAAA",
		"padded": good + "=", "quote": "' OR 1=1 --",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.refresh(token)
			wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
		})
	}
	if _, err := w.refresh(good); err != nil {
		t.Error("made-up tokens ended a session:", err)
	}
}

func TestARevokedSessionsOpenStreamEnds(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w := serve(t)
		in := w.guest(w.device())
		chat := chatv1connect.NewChatServiceClient(w.server.Client(), w.server.URL(),
			append(options, authntest.WithToken(in.GetAccessToken()))...)
		stream, err := chat.Subscribe(t.Context(), &chatv1.SubscribeRequest{ConversationId: "c"})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close() //nolint:errcheck // it has ended
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		if _, err := w.as(in.GetAccessToken()).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		if stream.Receive() {
			t.Error("a message after the end")
		}
		wantError(t, stream.Err(), connect.CodeUnauthenticated, "SESSION_REVOKED")
	})
}

func TestASessionThatEndedIsPrunedAfterADay(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	up := w.signUp(w.device(), "ada")
	if _, err := w.refresh(up.GetRefreshToken()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.as(up.GetAccessToken()).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.refresh(up.GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	w.clock.move(25 * time.Hour)
	again := serveAt(t, p) // prunes when it starts
	deadline := time.Now().Add(10 * time.Second)
	for errs.Reason(err) != "REFRESH_TOKEN_INVALID" && time.Now().Before(deadline) {
		_, err = again.refresh(up.GetRefreshToken())
	}
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
}
