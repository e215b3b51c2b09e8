package auth_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/auth"
)

const another = "staple battery horse"

func (w *world) changePassword(token, current, next string, options ...connect.ClientOption) error {
	_, err := w.as(token, options...).ChangePassword(w.t.Context(), &authv1.ChangePasswordRequest{
		CurrentPassword: current, NewPassword: next,
	})
	return err
}

func TestANewPasswordSignsAllOtherDevicesOut(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w := serve(t)
		phone, laptop, tv := w.device(), w.device(), w.device()
		onPhone, onLaptop, onTV := w.signUp(phone, "ada"), w.signIn(laptop, "ada"), w.signIn(tv, "ada")
		stranger := w.signUp(w.device(), "bob")

		wantError(t, w.changePassword(onPhone.GetAccessToken(), "a guess", another, options...), connect.CodePermissionDenied, "WRONG_PASSWORD")
		wantError(t, w.changePassword(onPhone.GetAccessToken(), password, "short", options...), connect.CodeInvalidArgument, "INVALID_ARGUMENT")
		if err := w.me(onLaptop.GetAccessToken()); err != nil {
			t.Error("a wrong password signed a device out:", err)
		}
		if err := w.changePassword(onPhone.GetAccessToken(), password, another, options...); err != nil {
			t.Fatal(err)
		}
		w.wantRevoked(onLaptop.GetAccessToken(), onTV.GetAccessToken())
		wantError(t, w.me(onLaptop.GetAccessToken()), connect.CodeUnauthenticated, "SESSION_REVOKED")
		_, err := w.refresh(onTV.GetRefreshToken())
		wantError(t, err, connect.CodeUnauthenticated, "REFRESH_TOKEN_INVALID")
		for _, token := range []string{onPhone.GetAccessToken(), stranger.GetAccessToken()} {
			if err := w.me(token); err != nil {
				t.Error("the wrong session ended:", err)
			}
		}
		w.exchange(onPhone.GetRefreshToken())
		_, err = w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: laptop, Username: "ada", Password: password})
		wantError(t, err, connect.CodeUnauthenticated, "WRONG_CREDENTIALS")
		_, err = w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: laptop, Username: "ada", Password: another})
		if err != nil {
			t.Error(err)
		}
		if n := w.counter("stoa_auth_revoked_sessions_total", "password_changed"); n != 2 {
			t.Errorf("counted %v", n)
		}
	})
}

func TestGuessesAtTheCurrentPasswordAreLimited(t *testing.T) {
	w := serve(t)
	device := w.device()
	token := w.signUp(device, "ada").GetAccessToken()
	for range 10 {
		wantError(t, w.changePassword(token, "a guess", another), connect.CodePermissionDenied, "WRONG_PASSWORD")
	}
	err := w.changePassword(token, password, another)
	wantError(t, err, connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	if m := errs.Metadata(err); m["retry_after_ms"] != "60000" {
		t.Errorf("metadata %v", m)
	}
	// Nor is there another try for each by signing in on that device.
	_, err = w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: "ada", Password: "a guess"})
	wantError(t, err, connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	w.clock.move(time.Minute)
	if err := w.changePassword(token, password, another); err != nil {
		t.Error("the owner is locked out:", err)
	}
}

func TestOneAddressMayNotGuessManyCurrentPasswords(t *testing.T) {
	w := serve(t, func(c *auth.Config) { c.AddressAttempts = 5 })
	guess := func(i int, address string) error {
		me := w.as(w.signUp(w.device(), fmt.Sprintf("name%d", i)).GetAccessToken())
		_, err := me.ChangePassword(from(t, address), &authv1.ChangePasswordRequest{CurrentPassword: "a guess", NewPassword: another})
		return err
	}
	for i := range 5 {
		wantError(t, guess(i, "192.0.2.1"), connect.CodePermissionDenied, "WRONG_PASSWORD")
	}
	wantError(t, guess(5, "192.0.2.1"), connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS")
	wantError(t, guess(6, "192.0.2.2"), connect.CodePermissionDenied, "WRONG_PASSWORD")
}

func TestWhoHasNoPasswordChangesNone(t *testing.T) {
	w := serve(t)
	wantError(t, w.changePassword(w.guest(w.device()).GetAccessToken(), password, another), connect.CodePermissionDenied, "FORBIDDEN")
	wantError(t, w.changePassword(operatorToken(t, w), password, another), connect.CodePermissionDenied, "WRONG_PASSWORD")
}

// TestNoSessionOutlivesItsPassword: sign-ins with the former password that are under way while it changes either end
// with the change or are refused.
func TestNoSessionOutlivesItsPassword(t *testing.T) {
	w := serve(t)
	owner := w.signUp(w.device(), "ada").GetAccessToken()
	devices := make([]string, 16)
	for i := range devices {
		devices[i] = w.device()
	}
	var (
		calls  sync.WaitGroup
		mu     sync.Mutex
		opened []string
	)
	for _, device := range devices {
		calls.Go(func() {
			res, err := w.client().SignIn(t.Context(), &authv1.SignInRequest{DeviceId: device, Username: "ada", Password: password})
			if err != nil {
				if !errs.Is(err, connect.CodeUnauthenticated, "WRONG_CREDENTIALS") && !errs.Is(err, connect.CodeUnavailable, "") &&
					!errs.Is(err, connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS") {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			opened = append(opened, res.GetRefreshToken())
		})
	}
	var changed error
	calls.Go(func() { changed = w.changePassword(owner, password, another) })
	calls.Wait()
	if changed != nil {
		t.Fatal(changed)
	}
	for _, token := range opened {
		if _, err := w.refresh(token); err == nil {
			t.Error("a session with the former password goes on")
		}
	}
}

func TestOfTwoPasswordChangesAtOnceOneWins(t *testing.T) {
	w := serve(t)
	tokens := []string{w.signUp(w.device(), "ada").GetAccessToken(), w.signIn(w.device(), "ada").GetAccessToken()}
	failures := make([]error, len(tokens))
	var calls sync.WaitGroup
	for i, token := range tokens {
		calls.Go(func() { failures[i] = w.changePassword(token, password, another) })
	}
	calls.Wait()
	if (failures[0] == nil) == (failures[1] == nil) {
		t.Error(errors.Join(failures...))
	}
}
