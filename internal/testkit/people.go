package testkit

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
)

// Password is everybody's.
const Password = "correct horse battery"

// Person is somebody who is signed in.
type Person struct {
	User     *authv1.User
	DeviceID string // empty for the operator
	Token    string // access token
	Refresh  string // refresh token; empty for the operator
}

// auth returns an anonymous client of AuthService.
func (s *Server) auth() authv1connect.AuthServiceClient {
	return authv1connect.NewAuthServiceClient(s.HTTP2, s.URL)
}

// Device registers a device.
func (s *Server) Device(t testing.TB) string {
	t.Helper()
	res, err := s.auth().RegisterDevice(t.Context(), &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI})
	if err != nil {
		t.Fatalf("register device: %v", err)
	}
	return res.GetDeviceId()
}

// Guest signs a new guest in.
func (s *Server) Guest(t testing.TB) Person {
	t.Helper()
	device := s.Device(t)
	res, err := s.auth().SignInAsGuest(t.Context(), &authv1.SignInAsGuestRequest{DeviceId: device})
	if err != nil {
		t.Fatalf("sign in as guest: %v", err)
	}
	return Person{res.GetUser(), device, res.GetAccessToken(), res.GetRefreshToken()}
}

// User signs a new user up, whose name follows from the given one.
func (s *Server) User(t testing.TB, name string) Person {
	t.Helper()
	device := s.Device(t)
	res, err := s.auth().SignUp(t.Context(), &authv1.SignUpRequest{
		DeviceId: device, Username: name + "-" + strings.ToLower(rand.Text()[:8]), Password: Password, Nickname: name,
	})
	if err != nil {
		t.Fatalf("sign up: %v", err)
	}
	return Person{res.GetUser(), device, res.GetAccessToken(), res.GetRefreshToken()}
}

// Operator signs in by the key in the data folder.
func (s *Server) Operator(t testing.TB) Person {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(s.DataDir, "operator.key"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.auth().SignInAsOperator(t.Context(), &authv1.SignInAsOperatorRequest{OperatorKey: string(key)})
	if err != nil {
		t.Fatalf("sign in as operator: %v", err)
	}
	return Person{User: res.GetUser(), Token: res.GetAccessToken()}
}
