package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/bench/process"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
)

// stoa is the whole product in a process of its own, with everything that is on by default. Only what keeps one address or
// person from doing what a benchmark does is off: the limits of requests and new users an address, of messages a user and
// room, and of frames a connection.
type stoa struct {
	*process.Process

	binary  string
	address string
	data    string
	client  *http.Client
}

// startStoa starts on an empty data folder.
func startStoa(ctx context.Context, binary string) (*stoa, error) {
	data, err := os.MkdirTemp("", "stoa-bench-")
	if err != nil {
		return nil, err
	}
	s, err := startStoaOn(ctx, binary, data)
	if err != nil {
		_ = os.RemoveAll(data)
	}
	return s, err
}

// startStoaOn starts on a data folder that is kept.
func startStoaOn(ctx context.Context, binary, data string) (*stoa, error) {
	s := &stoa{binary: binary, data: data, client: &http.Client{
		Timeout: 30 * time.Second, Transport: &fromAnywhere{under: http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}},
	}}
	return s, s.start(ctx)
}

func (s *stoa) start(ctx context.Context) error {
	httpAddr, err1 := process.FreeAddress()
	rtmpAddr, err2 := process.FreeAddress()
	edgeAddr, err3 := process.FreeAddress()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	p, err := process.Start([]string{
		"STOA_RTMP_ADDR=" + rtmpAddr, "STOA_HTTP_ADDR=" + httpAddr, "STOA_EDGE_ADDR=" + edgeAddr, "STOA_DATA_DIR=" + s.data,
		"STOA_LOG_LEVEL=warn", "STOA_RATE_LIMIT=0",
		"STOA_CHAT_USER_RATE=100000", "STOA_CHAT_ROOM_RATE=100000", "STOA_EDGE_FRAME_RATE=100000", "STOA_MAX_CONNECTIONS=19500",
		"STOA_TRUSTED_PROXIES=127.0.0.0/8",
	}, s.binary, "serve")
	if err != nil {
		return err
	}
	s.Process, s.address = p, httpAddr
	if err := process.Reachable(ctx, httpAddr); err != nil {
		p.Stop(patience)
		return err
	}
	return nil
}

// restart ends the process and starts a fresh one on the same data.
func (s *stoa) restart(ctx context.Context) error {
	s.client.CloseIdleConnections()
	s.Stop(patience)
	return s.start(ctx)
}

func (s *stoa) stop() {
	s.Stop(patience)
	_ = os.RemoveAll(s.data)
}

func (s *stoa) url() string { return "http://" + s.address }

// fromAnywhere gives each request an address of its own, as a proxy that the server trusts would: an address may not make
// as many devices and users as are needed here.
type fromAnywhere struct {
	under http.Transport
	n     atomic.Uint32
}

func (f *fromAnywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	n := f.n.Add(1)
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}).String())
	return f.under.RoundTrip(r)
}

func (f *fromAnywhere) CloseIdleConnections() { f.under.CloseIdleConnections() }

// person is a signed-in user or guest on a device of their own.
type person struct{ id, token, device, username, password string }

// guest registers a device and signs in without a name, which costs no password.
func (s *stoa) guest(ctx context.Context) (person, error) {
	auth := authv1connect.NewAuthServiceClient(s.client, s.url())
	device, err := auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_ANDROID})
	if err != nil {
		return person{}, fmt.Errorf("register device: %w", err)
	}
	session, err := auth.SignInAsGuest(ctx, &authv1.SignInAsGuestRequest{DeviceId: device.GetDeviceId()})
	if err != nil {
		return person{}, fmt.Errorf("sign in as guest: %w", err)
	}
	return person{id: session.GetUser().GetId(), token: session.GetAccessToken(), device: device.GetDeviceId()}, nil
}

// guests signs in n of them.
func (s *stoa) guests(ctx context.Context, n int) ([]person, error) {
	people := make([]person, n)
	return people, each(ctx, n, 32, func(ctx context.Context, i int) (err error) {
		people[i], err = s.guest(ctx)
		return err
	})
}

// users signs n of them up.
func (s *stoa) users(ctx context.Context, n int) ([]person, error) {
	people := make([]person, n)
	return people, each(ctx, n, 4, func(ctx context.Context, i int) error {
		auth := authv1connect.NewAuthServiceClient(s.client, s.url())
		device, err := auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_ANDROID})
		if err != nil {
			return fmt.Errorf("register device: %w", err)
		}
		p := person{
			device: device.GetDeviceId(), username: fmt.Sprintf("bench-%04d-%s", i, strings.ToLower(rand.Text()[:8])), password: rand.Text(),
		}
		session, err := auth.SignUp(ctx, &authv1.SignUpRequest{
			DeviceId: p.device, Username: p.username, Password: p.password, Nickname: fmt.Sprintf("sender-%04d", i),
		})
		if err != nil {
			return fmt.Errorf("sign up: %w", err)
		}
		p.id, p.token = session.GetUser().GetId(), session.GetAccessToken()
		people[i] = p
		return nil
	})
}

// signInAgain gets users new tokens.
func (s *stoa) signInAgain(ctx context.Context, users []person) error {
	return each(ctx, len(users), 4, func(ctx context.Context, i int) error {
		p := &users[i]
		auth := authv1connect.NewAuthServiceClient(s.client, s.url())
		session, err := auth.SignIn(ctx, &authv1.SignInRequest{DeviceId: p.device, Username: p.username, Password: p.password})
		if err != nil {
			return fmt.Errorf("sign in again: %w", err)
		}
		p.token = session.GetAccessToken()
		return nil
	})
}

// signed is the option of a client that calls as the person.
func (p person) signed() connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+p.token)
			return next(ctx, req)
		}
	}))
}

// room opens a live room of the person's and returns its conversation.
func (s *stoa) room(ctx context.Context, owner person) (conversationID string, err error) {
	live := livev1connect.NewLiveServiceClient(s.client, s.url(), owner.signed())
	resp, err := live.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "Benchmark", CategoryId: "other", RequestId: rand.Text()})
	if err != nil {
		return "", fmt.Errorf("create room: %w", err)
	}
	return resp.GetRoom().GetConversationId(), nil
}

// patiently repeats what is refused for being done too often.
func patiently(ctx context.Context, act func() error) error {
	for {
		err := act()
		if connect.CodeOf(err) != connect.CodeResourceExhausted {
			return err
		}
		sleep(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return err
		}
	}
}
