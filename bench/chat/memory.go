package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// memoryRow is what an idle connection takes of one server's memory.
type memoryRow struct {
	Server      string  `json:"server"`
	Connections int     `json:"connections"`
	Before      float64 `json:"rss_before_mb"`
	Joined      float64 `json:"rss_joined_mb"`
	After       float64 `json:"rss_settled_mb"`
	KBEach      float64 `json:"kb_per_connection"`
	Settled     float64 `json:"settled_after_s"`
	Cut         int64   `json:"cut"`
	Usage       usage   `json:"usage"`
}

// settling is how long a server may take to give back what the coming of so many took: Go collects garbage at least every
// two minutes.
const settling = 150 * time.Second

// runMemory opens many connections that are signed in and do nothing but keep alive.
func runMemory(ctx context.Context, o options, out *report) error {
	t := out.table("Memory of idle connections",
		fmt.Sprintf("%d plain WebSocket connections, signed in (Stoa: guests; Centrifugo: without a token) and silent but for pings",
			o.connections),
		"server", "RSS before", "all in", "settled", "after", "KB each", "cut", "server cores while idle", "other")
	for _, c := range []struct {
		name  string
		arena makeArena
	}{
		{"floor", floorArena(0)},
		{"Centrifugo", centrifugoArena(o.centrifugo, false)},
		{"Stoa", stoaIdleArena(o.stoa, o.connections)},
	} {
		if !o.runs(c.name) {
			continue
		}
		out.progress("memory: %s, %d connections, up to %v to settle", c.name, o.connections, settling)
		row, err := memory(ctx, c.arena, o.connections)
		row.Server = c.name
		if err != nil {
			_ = t.print()
			return fmt.Errorf("%s: %w", c.name, err)
		}
		out.result("memory", row)
		t.row(c.name, mb(row.Before), mb(row.Joined), mb(row.After), fmt.Sprintf("%.0f s", row.Settled), fmt.Sprintf("%.1f", row.KBEach),
			fmt.Sprint(row.Cut), cores(row.Usage.ServerCores), cores(row.Usage.OtherCores))
	}
	return t.print()
}

func memory(ctx context.Context, start makeArena, connections int) (memoryRow, error) {
	row := memoryRow{Connections: connections}
	a, err := start(ctx)
	if err != nil {
		return row, fmt.Errorf("start server: %w", err)
	}
	defer a.stop()
	sleep(ctx, 5*time.Second)
	before, err := a.server.RSS()
	if err != nil {
		return row, err
	}
	people, err := gather(ctx, a, connections)
	if err != nil {
		return row, err
	}
	defer people.close()
	joined, err := a.server.RSS()
	if err != nil {
		return row, err
	}
	m, err := startMeter(a.server)
	if err != nil {
		return row, err
	}
	// Settled means that a collection of garbage lies behind and that nothing changed by 1 % for 20 s.
	var last []int64
	begin := time.Now()
	for time.Since(begin) < settling && ctx.Err() == nil {
		sleep(ctx, 5*time.Second)
		now, err := a.server.RSS()
		if err != nil {
			return row, err
		}
		if last = append(last, now); len(last) > 4 {
			last = last[1:]
		}
		if time.Since(begin) > 125*time.Second && len(last) == 4 && slices.Max(last)-slices.Min(last) < now/100 {
			break
		}
	}
	if row.Usage, err = m.stop(); err != nil {
		return row, err
	}
	row.Settled = row.Usage.Seconds
	after := last[len(last)-1]
	row.Before, row.Joined, row.After = float64(before)/1e6, float64(joined)/1e6, float64(after)/1e6
	row.KBEach = float64(after-before) / 1024 / float64(connections)
	row.Cut, err = people.cut()
	if row.Cut > 0 {
		return row, fmt.Errorf("%d of %d connections were cut, the first with: %w", row.Cut, connections, err)
	}
	return row, ctx.Err()
}

// stoaIdleArena is a process that has done nothing but start: who will come was registered by the one before it on the same
// data, so that the garbage of registering is not there to be filled.
func stoaIdleArena(binary string, connections int) makeArena {
	return func(ctx context.Context) (*arena, error) {
		s, err := startStoa(ctx, binary)
		if err != nil {
			return nil, err
		}
		guests, err := s.guests(ctx, connections)
		if err == nil {
			err = s.restart(ctx)
		}
		if err != nil {
			s.stop()
			return nil, err
		}
		receive := func(ctx context.Context, i int) (*receiver, error) {
			e, err := s.openEdge(ctx, guests[i])
			if err != nil {
				return nil, err
			}
			return e.asReceiver(), nil
		}
		return &arena{server: s.Process, receiver: receive, stop: s.stop}, nil
	}
}

func mb(n float64) string { return fmt.Sprintf("%.0f MB", n) }
