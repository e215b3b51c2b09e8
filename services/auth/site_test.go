package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/registry"
)

// site is the neighbour that has the settings. Its zero value lets everybody sign up.
type site struct {
	mu     sync.Mutex
	closed bool
	err    error
}

func (s *site) set(closed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.err = closed, err
}

func (s *site) GetSite(context.Context, *sitev1.GetSiteRequest) (*sitev1.GetSiteResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	return &sitev1.GetSiteResponse{Site: &sitev1.Site{Name: "Stoa", SignUpEnabled: !s.closed}}, nil
}

func TestNobodySignsUpWhereTheSiteSaysNo(t *testing.T) {
	everyProtocol(t, func(t *testing.T, options ...connect.ClientOption) {
		w, ctx := serve(t), t.Context()
		client, device := w.client(options...), w.device()
		w.signUp(device, "ada")
		signUp := func(username string) error {
			_, err := client.SignUp(ctx, &authv1.SignUpRequest{DeviceId: device, Username: username, Password: password})
			return err
		}
		w.site.set(true, nil)
		wantError(t, signUp("bob"), connect.CodeFailedPrecondition, "SIGN_UP_DISABLED")
		wantError(t, signUp("ada"), connect.CodeFailedPrecondition, "SIGN_UP_DISABLED") // nor is told who is there
		w.guest(w.device())
		w.signIn(device, "ada")
		w.firstAdmin(w.service.SetupToken(), w.device(), "root1")

		for name, err := range map[string]error{
			"away": errs.Unavailable("UNAVAILABLE", "away"), "refusing": errs.PermissionDenied("NO", "no"),
			"older": connect.NewError(connect.CodeUnimplemented, errors.New("no such method")),
		} {
			w.site.set(false, err)
			if err := signUp("bob"); !errs.Is(err, connect.CodeUnavailable, "UNAVAILABLE") {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.signIn(device, "ada")
		w.site.set(false, nil)
		if err := signUp("bob"); err != nil {
			t.Error(err)
		}
	})
}

func TestNobodySignsUpBeforeTheStart(t *testing.T) {
	w := mountAt(t, newPlace(t))
	if err := w.service.Start(t.Context()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("started without the settings: %v", err)
	}
	device := w.device()
	w.guest(device)
	_, err := w.client().SignUp(t.Context(), &authv1.SignUpRequest{DeviceId: device, Username: "ada", Password: password})
	wantError(t, err, connect.CodeUnavailable, "UNAVAILABLE")
	w.start()
	w.signUp(device, "ada")
}
