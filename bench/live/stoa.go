package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/bench/process"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
)

// stoaTarget is the whole product in its own process, with everything that is on by default: HLS packaging and covers
// included. Only the rate limit is off, since all viewers come from one address.
func stoaTarget(binary string, env ...string) target {
	return func(ctx context.Context) (*server, error) {
		rtmpAddr, err1 := process.FreeAddress()
		httpAddr, err2 := process.FreeAddress()
		data, err3 := os.MkdirTemp("", "stoa-bench-")
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		env := append([]string{
			"STOA_RTMP_ADDR=" + rtmpAddr, "STOA_HTTP_ADDR=" + httpAddr, "STOA_DATA_DIR=" + data, "STOA_RATE_LIMIT=0", "STOA_EDGE_ADDR=", "STOA_LOG_LEVEL=warn",
		}, env...)
		p, err := process.Start(env, binary, "serve")
		if err != nil {
			return nil, err
		}
		s := &server{Process: p, cleanup: func() { _ = os.RemoveAll(data) }}
		if err := process.Reachable(ctx, httpAddr); err != nil {
			s.stop()
			return nil, err
		}
		if err := s.openRoom(ctx, "http://"+httpAddr); err != nil {
			s.stop()
			return nil, err
		}
		return s, nil
	}
}

// openRoom signs up, opens a room, and learns where to publish and play.
func (s *server) openRoom(ctx context.Context, url string) error {
	client := &http.Client{Timeout: 10 * time.Second}
	auth := authv1connect.NewAuthServiceClient(client, url)
	device, err := auth.RegisterDevice(ctx, &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_CLI})
	if err != nil {
		return fmt.Errorf("register device: %w", err)
	}
	session, err := auth.SignUp(ctx, &authv1.SignUpRequest{DeviceId: device.GetDeviceId(), Username: "bench", Password: rand.Text()})
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	token := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+session.GetAccessToken())
			return next(ctx, req)
		}
	}))
	live := livev1connect.NewLiveServiceClient(client, url, token)
	room, err := live.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "Benchmark", CategoryId: "other", RequestId: rand.Text()})
	if err != nil {
		return fmt.Errorf("create room: %w", err)
	}
	id := room.GetRoom().GetId()
	key, err := live.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: id})
	if err != nil {
		return fmt.Errorf("issue stream key: %w", err)
	}
	s.rtmp = strings.Replace(key.GetRtmpUrl(), "localhost", "127.0.0.1", 1) + "/" + key.GetStreamKey()
	s.play = func(ctx context.Context) (string, error) {
		resp, err := live.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: id})
		if err != nil {
			return "", fmt.Errorf("get room: %w", err)
		}
		return resp.GetPlayback().GetFlvUrl(), nil
	}
	return nil
}
