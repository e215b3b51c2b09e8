package main

import (
	"context"
	"os"
	"time"

	"github.com/stoa-live/stoa/bench/process"
)

const patience = 20 * time.Second // for a server with many connections to stop

// startFloor runs the floor program in a process of its own.
func startFloor(ctx context.Context, args ...string) (p *process.Process, address string, err error) {
	if address, err = process.FreeAddress(); err != nil {
		return nil, "", err
	}
	if p, err = process.Start(nil, os.Args[0], append([]string{"floor", "-listen", address}, args...)...); err != nil {
		return nil, "", err
	}
	if err = process.Reachable(ctx, address); err != nil {
		p.Stop(patience)
		return nil, "", err
	}
	return p, address, nil
}

func floorArena(merge time.Duration) makeArena {
	return func(ctx context.Context) (*arena, error) {
		p, address, err := startFloor(ctx, "-merge", merge.String())
		if err != nil {
			return nil, err
		}
		receive := func(ctx context.Context, _ int) (*receiver, error) {
			s, err := dialSocket(ctx, address, "/receive", "")
			return &receiver{socket: s}, err
		}
		send := func(ctx context.Context, _ int) (*sender, error) {
			s, err := dialSocket(ctx, address, "/send", "")
			if err != nil {
				return nil, err
			}
			return &sender{
				send:  func(text string) error { return s.write(typicalPush(text)) },
				close: func() error { s.close(); return nil },
			}, nil
		}
		return &arena{server: p, receiver: receive, sender: send, stop: func() { p.Stop(patience) }}, nil
	}
}
