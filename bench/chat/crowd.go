package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is the members of a room, each on a connection and a goroutine of its own, which do no more with a frame than find
// the texts in it.
type crowd struct {
	members   []*receiver
	wg        sync.WaitGroup
	closing   atomic.Bool
	texts     atomic.Int64 // received so far
	frames    atomic.Int64
	bytes     atomic.Int64
	latency   histogram
	lost      atomic.Int64 // members whose connections ended
	firstLoss atomic.Pointer[error]
	stopPings context.CancelFunc
}

// gather opens the connections of n members.
func gather(ctx context.Context, a *arena, n int) (*crowd, error) {
	c := &crowd{members: make([]*receiver, n)}
	pinging, stop := context.WithCancel(ctx)
	c.stopPings = stop
	err := each(ctx, n, 64, func(ctx context.Context, i int) error {
		r, err := a.receiver(ctx, i)
		if err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		c.members[i] = r
		c.wg.Go(func() { c.listen(r) })
		return nil
	})
	if err != nil {
		c.close()
		return nil, err
	}
	if n > 0 && c.members[0].ping != nil {
		c.wg.Go(func() { c.keep(pinging) })
	}
	return c, nil
}

func (c *crowd) listen(r *receiver) {
	err := func() error {
		for {
			frame, err := r.next()
			if err != nil {
				return err
			}
			now, texts := time.Now(), 0
			eachText(frame, func(sent time.Time) {
				c.latency.add(now.Sub(sent))
				texts++
			})
			if texts > 0 {
				c.texts.Add(int64(texts))
				c.frames.Add(1)
				c.bytes.Add(int64(len(frame)))
			}
			if r.after != nil {
				if err := r.after(frame, texts); err != nil {
					return err
				}
			}
		}
	}()
	if !c.closing.Load() {
		c.lost.Add(1)
		c.firstLoss.CompareAndSwap(nil, &err)
	}
}

// keep sends every member's ping once an interval, spread over it.
func (c *crowd) keep(ctx context.Context) {
	const steps = 100
	tick := time.NewTicker(c.members[0].interval / steps)
	defer tick.Stop()
	for step := 0; ; step = (step + 1) % steps {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := step; i < len(c.members); i += steps {
			_ = c.members[i].write(c.members[i].ping)
		}
	}
}

func (c *crowd) reset() {
	c.latency.reset()
	c.frames.Store(0)
	c.bytes.Store(0)
}

// cut returns how many members were, and why the first was.
func (c *crowd) cut() (int64, error) {
	if why := c.firstLoss.Load(); why != nil {
		return c.lost.Load(), *why
	}
	return 0, nil
}

func (c *crowd) close() {
	c.closing.Store(true)
	c.stopPings()
	for _, r := range c.members {
		if r != nil {
			r.close()
		}
	}
	c.wg.Wait()
}

// speak sends rate messages a second, spread over the senders, until ctx ends, and returns how many were sent. Each text
// bears the time at which it was due, so that a sender who is late is seen.
func speak(ctx context.Context, senders []*sender, rate float64) (int, error) {
	start := time.Now().Add(50 * time.Millisecond)
	var total atomic.Int64
	errs := make([]error, len(senders))
	var wg sync.WaitGroup
	for k, s := range senders {
		wg.Go(func() {
			for i := k; ; i += len(senders) {
				due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(due)):
				}
				if err := s.send(newText(due, i)); err != nil {
					errs[k] = err
					return
				}
				total.Add(1)
			}
		})
	}
	wg.Wait()
	return int(total.Load()), errors.Join(errs...)
}
