package main

import (
	"context"
	"sync"
	"time"

	"github.com/stoa-live/stoa/bench/process"
)

// arena is a running server with the ways to talk in its one room.
type arena struct {
	server *process.Process
	// receiver opens the connection of the i-th member.
	receiver func(ctx context.Context, i int) (*receiver, error)
	// sender opens the connection of the i-th sender, who receives nothing.
	sender func(ctx context.Context, i int) (*sender, error)
	stop   func()
}

// receiver is a member's connection.
type receiver struct {
	*socket

	// after is called with each frame and the number of texts in it; nil for protocols that want nothing back.
	after func(frame []byte, texts int) error
	// ping, where it is set, is sent within every interval.
	ping     []byte
	interval time.Duration
}

// sender sends messages without waiting for the answers.
type sender struct {
	send func(text string) error
	// close waits for what was sent to be answered, and returns what was refused.
	close func() error
}

// makeArena starts a server.
type makeArena func(ctx context.Context) (*arena, error)

// each calls fn for 0 to n-1, up to width at a time, and returns the first error.
func each(ctx context.Context, n, width int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	gate := make(chan struct{}, width)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			if err := fn(ctx, i); err != nil {
				cancel(err)
			}
			<-gate
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
