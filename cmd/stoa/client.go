package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// server is a running Stoa, as the tools reach it.
type server struct {
	url    string
	client *http.Client
	token  string
}

func newServer(url string) *server {
	return &server{url: strings.TrimRight(url, "/"), client: &http.Client{Timeout: 15 * time.Second}}
}

// options make clients that send the token.
func (s *server) options() connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if s.token != "" {
				req.Header().Set("Authorization", "Bearer "+s.token)
			}
			resp, err := next(ctx, req)
			return resp, s.explain(err)
		}
	}))
}

// explain says what to do about an error.
func (s *server) explain(err error) error {
	if err == nil {
		return nil
	}
	var wire *connect.Error
	if errors.As(err, &wire) && errs.Reason(err) != "" {
		return fmt.Errorf("%s (%s)", wire.Message(), errs.Reason(err))
	}
	return fmt.Errorf("cannot reach %s: is the server running there? (%w)", s.url, err)
}

// waitReady waits until the server takes requests, for at most a minute.
func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("read the server's address: %w", err)
		}
		resp, err := s.client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-ctx.Done():
			return s.explain(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// signInAsOperator uses the key that the server wrote into its data folder.
func (s *server) signInAsOperator(ctx context.Context, dataDir string) error {
	path := filepath.Join(dataDir, "operator.key")
	key, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the operator key: %w (name the server's data folder with --data-dir)", err)
	}
	auth := authv1connect.NewAuthServiceClient(s.client, s.url, s.options())
	resp, err := auth.SignInAsOperator(ctx, &authv1.SignInAsOperatorRequest{OperatorKey: strings.TrimSpace(string(key))})
	if err != nil {
		return fmt.Errorf("sign in as operator: %w", err)
	}
	s.token = resp.GetAccessToken()
	return nil
}

// signInOrUp signs a user in, and makes the account where there is none.
func (s *server) signInOrUp(ctx context.Context, username, password, nickname string) error {
	auth := authv1connect.NewAuthServiceClient(s.client, s.url, s.options())
	device, err := auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI, Model: "stoa demo", AppVersion: version})
	if err != nil {
		return fmt.Errorf("register device: %w", err)
	}
	up, err := auth.SignUp(ctx, &authv1.SignUpRequest{DeviceId: device.GetDeviceId(), Username: username, Password: password, Nickname: nickname})
	if err == nil {
		s.token = up.GetAccessToken()
		return nil
	}
	in, signInErr := auth.SignIn(ctx, &authv1.SignInRequest{DeviceId: device.GetDeviceId(), Username: username, Password: password})
	if signInErr != nil {
		return fmt.Errorf("sign up: %w; sign in: %w", err, signInErr)
	}
	s.token = in.GetAccessToken()
	return nil
}

func randomPassword() string { return rand.Text() }
