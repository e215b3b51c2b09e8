package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/stoa-live/stoa/bench/process"
)

// target starts a server.
type target func(ctx context.Context) (*server, error)

// server is a measured process.
type server struct {
	*process.Process

	rtmp    string // where to publish; empty where the server makes its own bytes
	play    func(ctx context.Context) (string, error)
	cleanup func()
}

func (s *server) stop() {
	s.Stop(5 * time.Second)
	if s.cleanup != nil {
		s.cleanup()
	}
}

func floorTarget(shape streamShape) target {
	return func(ctx context.Context) (*server, error) {
		address, err := process.FreeAddress()
		if err != nil {
			return nil, err
		}
		p, err := process.Start(nil, os.Args[0], "floor", "-listen", address, "-bitrate", strconv.Itoa(shape.bitrate))
		if err != nil {
			return nil, err
		}
		play := func(context.Context) (string, error) { return "http://" + address + "/", nil }
		return &server{Process: p, play: play}, process.Reachable(ctx, address)
	}
}

func lalTarget() target {
	return func(ctx context.Context) (*server, error) {
		rtmpAddr, err1 := process.FreeAddress()
		httpAddr, err2 := process.FreeAddress()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		p, err := process.Start(nil, os.Args[0], "lal", "-rtmp", rtmpAddr, "-http", httpAddr)
		if err != nil {
			return nil, err
		}
		play := func(context.Context) (string, error) { return "http://" + httpAddr + "/live/bench.flv", nil }
		return &server{Process: p, rtmp: "rtmp://" + rtmpAddr + "/live/bench", play: play}, process.Reachable(ctx, rtmpAddr)
	}
}
