package main

import (
	"context"
	"fmt"
	"time"
)

// broadcastRow is what it costs one server to tell a room of each message.
type broadcastRow struct {
	Server      string  `json:"server"`
	Members     int     `json:"members"`
	Rate        float64 `json:"messages_per_s"`
	Deliveries  float64 `json:"deliveries_per_s"`
	BytesEach   float64 `json:"bytes_per_delivery"`
	TextsAFrame float64 `json:"messages_per_frame"`
	MicrosEach  float64 `json:"server_cpu_us_per_delivery"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	Missing     int64   `json:"missing"`
	Cut         int64   `json:"members_cut"`
	Usage       usage   `json:"usage"`
	TimesFloor  float64 `json:"times_floor,omitempty"`
}

type broadcastCase struct {
	name  string
	arena makeArena
	rate  float64
	floor bool // the cost to compare with, at this rate
}

func broadcastCases(o options) []broadcastCase {
	return []broadcastCase{
		{"floor", floorArena(0), 20, true},
		{"Centrifugo", centrifugoArena(o.centrifugo, true), 20, false},
		{"Stoa", stoaArena(o.stoa), 20, false},
		{"floor, 100 ms merged", floorArena(100 * time.Millisecond), 200, true},
		{"Centrifugo", centrifugoArena(o.centrifugo, true), 200, false},
		{"Stoa", stoaArena(o.stoa), 200, false},
	}
}

// runBroadcast tells a room of many members of short texts, at a low and at a high rate.
func runBroadcast(ctx context.Context, o options, out *report) error {
	t := out.table("Room broadcast",
		fmt.Sprintf("%d members on WebSocket, %d B of text, 8 senders (Stoa and the floor: WebSocket; Centrifugo: HTTP API), %v",
			o.members, textSize, o.window),
		"server", "msg/s", "deliveries/s", "B each", "msg/frame", "CPU-µs each", "× floor", "p50", "p99", "missing", "cut",
		"server cores",
		"load", "other")
	floors := map[float64]float64{}
	for _, c := range broadcastCases(o) {
		if !o.runs(c.name) {
			continue
		}
		out.progress("broadcast: %s, %d members, %g msg/s", c.name, o.members, c.rate)
		row, err := broadcast(ctx, c, o, out)
		if err != nil {
			_ = t.print()
			return fmt.Errorf("%s at %g msg/s: %w", c.name, c.rate, err)
		}
		if c.floor {
			floors[c.rate] = row.MicrosEach
		}
		if f := floors[c.rate]; f > 0 {
			row.TimesFloor = row.MicrosEach / f
		}
		out.result("broadcast", row)
		t.row(c.name, fmt.Sprintf("%.0f", row.Rate), fmt.Sprintf("%.0f", row.Deliveries), fmt.Sprintf("%.0f", row.BytesEach),
			fmt.Sprintf("%.1f", row.TextsAFrame), fmt.Sprintf("%.2f", row.MicrosEach), ratio(row.TimesFloor), ms(row.P50), ms(row.P99),
			fmt.Sprint(row.Missing), fmt.Sprint(row.Cut), cores(row.Usage.ServerCores), cores(row.Usage.LoadCores), cores(row.Usage.OtherCores))
	}
	return t.print()
}

func broadcast(ctx context.Context, c broadcastCase, o options, out *report) (broadcastRow, error) {
	row := broadcastRow{Server: c.name, Members: o.members}
	a, err := c.arena(ctx)
	if err != nil {
		return row, fmt.Errorf("start server: %w", err)
	}
	defer a.stop()
	people, err := gather(ctx, a, o.members)
	if err != nil {
		return row, fmt.Errorf("gather members: %w", err)
	}
	defer people.close()
	senders := make([]*sender, 8)
	for i := range senders {
		if senders[i], err = a.sender(ctx, i); err != nil {
			return row, fmt.Errorf("open sender: %w", err)
		}
	}
	sleep(ctx, 3*time.Second) // what the coming of so many caused is over

	speaking, stop := context.WithCancel(ctx)
	defer stop()
	type spoken struct {
		n   int
		err error
	}
	done := make(chan spoken, 1)
	go func() {
		n, err := speak(speaking, senders, c.rate)
		done <- spoken{n, err}
	}()
	sleep(ctx, 3*time.Second)
	people.reset()
	before := people.texts.Load()
	m, err := startMeter(a.server)
	if err != nil {
		return row, err
	}
	sleep(ctx, o.window)
	if row.Usage, err = m.stop(); err != nil {
		return row, err
	}
	delivered := people.texts.Load() - before
	frames, bytes := people.frames.Load(), people.bytes.Load()
	row.P50, row.P99 = millis(people.latency.percentile(0.5)), millis(people.latency.percentile(0.99))
	stop()
	sent := <-done
	for _, s := range senders {
		if err := s.close(); err != nil && sent.err == nil {
			sent.err = err
		}
	}
	if sent.err != nil {
		return row, fmt.Errorf("send: %w", sent.err)
	}
	expected := int64(sent.n) * int64(o.members)
	for end := time.Now().Add(10 * time.Second); people.texts.Load() < expected && time.Now().Before(end) && ctx.Err() == nil; {
		sleep(ctx, 50*time.Millisecond)
	}
	var why error
	if row.Cut, why = people.cut(); why != nil {
		out.progress("broadcast: %s cut %d members, the first with: %v", c.name, row.Cut, why)
	}
	row.Missing = expected - people.texts.Load()
	row.Rate = float64(delivered) / float64(o.members) / row.Usage.Seconds
	row.Deliveries = float64(delivered) / row.Usage.Seconds
	row.BytesEach = float64(bytes) / float64(max(delivered, 1))
	row.TextsAFrame = float64(delivered) / float64(max(frames, 1))
	row.MicrosEach = row.Usage.ServerCPU * 1e6 / float64(max(delivered, 1))
	return row, ctx.Err()
}
