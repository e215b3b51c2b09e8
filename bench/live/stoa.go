package main

import (
	"context"
)

func stoaTarget(binary string, env ...string) target {
	return func(ctx context.Context) (*server, error) {
		rtmpAddr, _ := freePort()
		httpAddr, _ := freePort()
		cmd, err := start(append(env, "MINI_RTMP="+rtmpAddr, "MINI_HTTP="+httpAddr), binary)
		if err != nil {
			return nil, err
		}
		play := func(context.Context) (string, error) { return "http://" + httpAddr + "/live/room.flv", nil }
		return &server{process: cmd, rtmp: "rtmp://" + rtmpAddr + "/live/room", play: play}, reachable(ctx, rtmpAddr)
	}
}
