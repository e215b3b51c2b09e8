package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
)

// grace is the default of Config.RefreshGrace.
const grace = 20 * time.Second

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
	w.clock.move(grace)
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

// exchange is a refresh that has to work.
func (w *world) exchange(token string) *authv1.RefreshTokenResponse {
	w.t.Helper()
	res, err := w.refresh(token)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	w := serve(t)
	up := w.signUp(w.device(), "ada")
	session := w.principal(up.GetAccessToken()).SessionID
	w.clock.move(accessLifetime)
	lost := w.exchange(up.GetRefreshToken())
	w.clock.move(grace - time.Second)
	again := w.exchange(up.GetRefreshToken())
	if again.GetRefreshToken() == lost.GetRefreshToken() || again.GetUser().GetId() != up.GetUser().GetId() {
		t.Errorf("the retry is answered %v", again)
	}
	if w.principal(again.GetAccessToken()).SessionID != session {
		t.Error("the retry began another session")
	}
	next := w.exchange(again.GetRefreshToken())
	if err := w.me(next.GetAccessToken()); err != nil {
		t.Error(err)
	}
	if n := w.counter("stoa_auth_revoked_sessions_total", "token_reused"); n != 0 {
		t.Errorf("counted %v revocations", n)
	}
}

// TestWhatIsNoRetry shows, each in a session of its own, a token that was used before and must end it.
func TestWhatIsNoRetry(t *testing.T) {
	for name, reused := range map[string]func(w *world, token string) string{
		"after the grace": func(w *world, token string) string {
			w.exchange(token)
			w.clock.move(grace)
			return token
		},
		"after retries all along": func(w *world, token string) string {
			for range 4 {
				w.exchange(token)
				w.clock.move(grace / 4)
			}
			return token
		},
		"once its successor was used": func(w *world, token string) string {
			w.exchange(w.exchange(token).GetRefreshToken())
			return token
		},
		"once the successor of a retry was used": func(w *world, token string) string {
			w.exchange(token)
			w.exchange(w.exchange(token).GetRefreshToken())
			return token
		},
		"a successor that a retry made void": func(w *world, token string) string {
			void := w.exchange(token)
			w.exchange(token)
			return void.GetRefreshToken()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			up := w.signUp(w.device(), "ada")
			_, err := w.refresh(reused(w, up.GetRefreshToken()))
			wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
			w.wantRevoked(up.GetAccessToken())
			wantError(t, w.me(up.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
			if n := w.counter("stoa_auth_revoked_sessions_total", "token_reused"); n != 1 {
				t.Errorf("counted %v revocations", n)
			}
		})
	}
}

func TestARetryOpensNoSessionThatHasEnded(t *testing.T) {
	w := serve(t)
	up := w.signUp(w.device(), "ada")
	lost := w.exchange(up.GetRefreshToken())
	if _, err := w.as(lost.GetAccessToken()).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err := w.refresh(up.GetRefreshToken())
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
}

// TestOfConcurrentRefreshesOnePairLives: each is a retry of the first, and the last answer is the one that counts.
func TestOfConcurrentRefreshesOnePairLives(t *testing.T) {
	p := newPlace(t)
	w := serveAt(t, p)
	up := w.signUp(w.device(), "ada")
	const callers = 16
	answers, failures := make([]*authv1.RefreshTokenResponse, callers), make([]error, callers)
	var calls sync.WaitGroup
	for i := range callers {
		calls.Go(func() { answers[i], failures[i] = w.refresh(up.GetRefreshToken()) })
	}
	calls.Wait()
	one := p.tables(t).Session.Query().OnlyX(t.Context())
	var live, void []string
	for i, err := range failures {
		if err != nil {
			t.Fatal(err)
		}
		if err := w.me(answers[i].GetAccessToken()); err != nil {
			t.Error("the session has ended:", err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(answers[i].GetRefreshToken())
		if err != nil {
			t.Fatal(err)
		}
		if hash := sha256.Sum256(raw[len(raw)-32:]); bytes.Equal(hash[:], *one.TokenHash) {
			live = append(live, answers[i].GetRefreshToken())
		} else {
			void = append(void, answers[i].GetRefreshToken())
		}
	}
	if len(live) != 1 {
		t.Fatalf("%d of %d pairs are live", len(live), callers)
	}
	last := w.exchange(live[0])
	_, err := w.refresh(void[0])
	wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED")
	w.wantRevoked(last.GetAccessToken())
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
		edge := edgev1connect.NewEdgeServiceClient(w.server.Client(), w.server.URL(),
			append(options, authntest.WithToken(in.GetAccessToken()))...)
		stream, err := edge.Connect(t.Context(), &edgev1.ConnectRequest{})
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
