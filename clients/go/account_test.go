package stoa_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	stoa "github.com/stoa-live/stoa/clients/go"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
)

// house issues numbered tokens, by a clock of its own.
type house struct {
	authv1connect.UnimplementedAuthServiceHandler

	ahead time.Duration // of the clock here
	life  time.Duration

	mu      sync.Mutex
	issued  int
	devices int
	bearers []string
	revoked bool
}

func (h *house) now() time.Time { return time.Now().Add(h.ahead) }

func (h *house) RegisterDevice(
	context.Context, *authv1.RegisterDeviceRequest,
) (*authv1.RegisterDeviceResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.devices++
	return &authv1.RegisterDeviceResponse{DeviceId: "device-" + strconv.Itoa(h.devices)}, nil
}

func (h *house) SignIn(_ context.Context, r *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	if r.GetPassword() != "right" {
		return nil, refusal(connect.CodeUnauthenticated, "WRONG_CREDENTIALS", nil)
	}
	p := h.pair()
	return &authv1.SignInResponse{
		User: p.GetUser(), AccessToken: p.GetAccessToken(), RefreshToken: p.GetRefreshToken(), ExpiresAt: p.GetExpiresAt(),
	}, nil
}

func (h *house) RefreshToken(_ context.Context, r *authv1.RefreshTokenRequest) (*authv1.RefreshTokenResponse, error) {
	h.mu.Lock()
	want := "refresh-" + strconv.Itoa(h.issued)
	revoked := h.revoked
	h.mu.Unlock()
	if revoked || r.GetRefreshToken() != want {
		return nil, refusal(connect.CodeUnauthenticated, "REFRESH_TOKEN_REUSED", nil)
	}
	return h.pair(), nil
}

func (h *house) SignOut(ctx context.Context, _ *authv1.SignOutRequest) (*authv1.SignOutResponse, error) {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return nil, errors.New("no call")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bearers = append(h.bearers, info.RequestHeader().Get("Authorization"))
	return &authv1.SignOutResponse{}, nil
}

func (h *house) pair() *authv1.RefreshTokenResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.issued++
	n := strconv.Itoa(h.issued)
	return &authv1.RefreshTokenResponse{
		User: &authv1.User{Id: "somebody"}, AccessToken: "access-" + n, RefreshToken: "refresh-" + n,
		ExpiresAt: timestamppb.New(h.now().Add(h.life)),
	}
}

// serve returns where the house is to be found; its answers bear its own date.
func (h *house) serve(t *testing.T) string {
	_, handler := authv1connect.NewAuthServiceHandler(h)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", h.now().UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestAccount exchanges tokens when they are old, by the server's clock, each once, and hands them out to be kept.
func TestAccount(t *testing.T) {
	for name, test := range map[string]struct {
		ahead, life time.Duration
		exchanges   bool
	}{
		"fresh":                        {life: time.Hour},
		"fresh, the clock here late":   {life: time.Hour, ahead: -24 * time.Hour},
		"expired":                      {life: -time.Minute, exchanges: true},
		"expired, the clock here late": {life: -time.Minute, ahead: 24 * time.Hour, exchanges: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &house{life: test.life, ahead: test.ahead}
			var kept []stoa.AccountSession
			o := stoa.AccountOptions{URL: h.serve(t), OnSession: func(s stoa.AccountSession) { kept = append(kept, s) }}
			account, err := stoa.SignIn(within(t), o, "somebody", "right")
			if err != nil {
				t.Fatal(err)
			}
			want := "access-1"
			if test.exchanges {
				want = "access-2"
			}
			token, err := account.Token(within(t))
			if err != nil || token.Access != want || token.ExpiresAt.IsZero() {
				t.Errorf("the token is %v, %v, want %s", token, err, want)
			}
			last := kept[len(kept)-1]
			if last.Access != want || last.DeviceID != "device-1" || last.User.GetId() != "somebody" || last != account.Session() {
				t.Errorf("to keep, it told %v", kept)
			}

			// A restart goes on with what was kept.
			before := h.issued
			again := stoa.Continue(o, last)
			if token, err = again.Token(within(t)); err != nil || token.Access != "access-"+strconv.Itoa(before+1) {
				t.Errorf("after a restart, the token is %v, %v", token, err)
			}
		})
	}
}

// TestAccountRefusals tells what the server refuses, and calls beside the connection with the token.
func TestAccountRefusals(t *testing.T) {
	h := &house{life: time.Hour}
	o := stoa.AccountOptions{URL: h.serve(t), DeviceID: "known"}
	if _, err := stoa.SignIn(within(t), o, "somebody", "wrong"); stoa.Reason(err) != "WRONG_CREDENTIALS" {
		t.Errorf("with a wrong password, SignIn ended by %v", err)
	}
	account, err := stoa.SignIn(within(t), o, "somebody", "right")
	if err != nil {
		t.Fatal(err)
	}
	if h.devices != 0 {
		t.Errorf("it registered %d devices", h.devices)
	}
	if err := account.SignOut(within(t)); err != nil || len(h.bearers) != 1 || h.bearers[0] != "Bearer access-1" {
		t.Errorf("it signed out by %v, %v", h.bearers, err)
	}
	h.revoked = true
	stale := stoa.Continue(o, account.Session())
	if _, err := stale.Token(within(t)); connect.CodeOf(err) != connect.CodeUnauthenticated ||
		stoa.Reason(err) != "REFRESH_TOKEN_REUSED" {
		t.Errorf("of a session that is over, the token is refused by %v", err)
	}
}

// TestAccountAtOnce exchanges once however many ask.
func TestAccountAtOnce(t *testing.T) {
	h := &house{life: -time.Second}
	account, err := stoa.SignIn(within(t), stoa.AccountOptions{URL: h.serve(t)}, "somebody", "right")
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.life = time.Hour
	h.mu.Unlock()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if token, err := account.Token(within(t)); err != nil || token.Access != "access-2" {
				t.Errorf("the token is %v, %v", token, err)
			}
		})
	}
	wg.Wait()
}
