package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/stoa-live/stoa/bench/process"
	client "github.com/stoa-live/stoa/clients/go"
)

const durableSenders = 64

// durableRow is how fast one server makes messages durable.
type durableRow struct {
	Server     string  `json:"server"`
	Mix        string  `json:"mix"`
	Senders    int     `json:"senders"`
	Acked      float64 `json:"acked_per_s"`
	P50        float64 `json:"ack_p50_ms"`
	P99        float64 `json:"ack_p99_ms"`
	Deliveries float64 `json:"deliveries_per_s"`
	ReachP50   float64 `json:"delivery_p50_ms"`
	ReachP99   float64 `json:"delivery_p99_ms"`
	MicrosEach float64 `json:"server_cpu_us_per_ack"`
	OfFloor    float64 `json:"acked_of_floor,omitempty"`
	Usage      usage   `json:"usage"`
}

// desk is a server at which each sender has a seat.
type desk struct {
	server *process.Process
	seat   func(ctx context.Context, i int) (*seat, error)
	stop   func()
}

// seat is a sender's long connection, on which they receive as well.
type seat struct {
	*edge

	// frame builds the n-th send of the sender, which is answered with the id.
	frame func(id uint32, n int, sent time.Time) ([]byte, error)
}

type durableCase struct {
	server, mix string
	desk        func(ctx context.Context) (*desk, error)
}

// The mixes: what the senders send to, and who receives.
const (
	mixRoom   = "one room, nobody receives"
	mixRandom = "the same with random ids (UUID v4) of messages"
	mixGroup  = "one group of the 64, all receive"
	mixPairs  = "half direct, half to groups of 10, half the members online and receiving"
)

func durableCases(o options) []durableCase {
	return []durableCase{
		{"floor", mixRoom, floorDesk(func(int) int { return 0 })},
		{"Stoa", mixRoom, roomDesk(o.stoa, client.NewMessageID)},
		{"Stoa", mixRandom, roomDesk(o.stoa, uuid.NewString)},
		{"floor", mixGroup, floorDesk(func(int) int { return durableSenders })},
		{"Stoa", mixGroup, groupDesk(o.stoa)},
		{"floor", mixPairs, floorDesk(pairsReceivers)},
		{"Stoa", mixPairs, pairsDesk(o.stoa)},
	}
}

// runDurable sends from many long connections at once, each of which waits for the answer before its next send.
func runDurable(ctx context.Context, o options, out *report) error {
	t := out.table("Durable sends",
		fmt.Sprintf("%d senders on WebSocket, each with one send in flight, %d B of text, %v", durableSenders, textSize, o.window),
		"server", "mix", "acked/s", "of floor", "ack p50", "p99", "deliveries/s", "delivery p50", "p99", "CPU-µs an ack", "server cores",
		"load", "other")
	floors := map[string]float64{}
	for _, c := range durableCases(o) {
		if !o.runs(c.server) {
			continue
		}
		out.progress("durable: %s, %s", c.server, c.mix)
		row, err := durable(ctx, c, o)
		if err != nil {
			_ = t.print()
			return fmt.Errorf("%s, %s: %w", c.server, c.mix, err)
		}
		if c.server == "floor" {
			floors[c.mix] = row.Acked
		}
		if f := floors[c.mix]; f > 0 {
			row.OfFloor = row.Acked / f
		}
		out.result("durable", row)
		t.row(row.Server, row.Mix, fmt.Sprintf("%.0f", row.Acked), ratio(row.OfFloor), ms(row.P50), ms(row.P99),
			fmt.Sprintf("%.0f", row.Deliveries), ms(row.ReachP50), ms(row.ReachP99), fmt.Sprintf("%.0f", row.MicrosEach),
			cores(row.Usage.ServerCores), cores(row.Usage.LoadCores), cores(row.Usage.OtherCores))
	}
	return t.print()
}

func durable(ctx context.Context, c durableCase, o options) (durableRow, error) {
	d, err := c.desk(ctx)
	if err != nil {
		return durableRow{}, fmt.Errorf("start server: %w", err)
	}
	defer d.stop()
	row, err := sendFor(ctx, d, o.window)
	row.Server, row.Mix = c.server, c.mix
	return row, err
}

// sendFor has all senders of a desk send for a window, after a few seconds of warming up.
func sendFor(ctx context.Context, d *desk, window time.Duration) (durableRow, error) {
	row := durableRow{Senders: durableSenders}
	var reach, acks histogram
	var delivered, acked atomic.Int64
	seats := make([]*seat, durableSenders)
	for i := range seats {
		var err error
		if seats[i], err = d.seat(ctx, i); err != nil {
			return row, fmt.Errorf("open sender %d: %w", i, err)
		}
		defer seats[i].close()
		seats[i].onPush = func(body []byte) {
			now := time.Now()
			eachText(body, func(sent time.Time) {
				reach.add(now.Sub(sent))
				delivered.Add(1)
			})
		}
	}
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for _, s := range seats {
		wg.Go(func() {
			for n := 0; sending.Err() == nil; n++ {
				sent := time.Now()
				if err := s.sendOne(n, sent); err != nil {
					stop(fmt.Errorf("send: %w", err))
					return
				}
				acks.add(time.Since(sent))
				acked.Add(1)
			}
		})
	}
	sleep(sending, 3*time.Second)
	acks.reset()
	reach.reset()
	ackedBefore, deliveredBefore := acked.Load(), delivered.Load()
	m, err := startMeter(d.server)
	if err == nil {
		sleep(sending, window)
		row.Usage, err = m.stop()
	}
	ackedInWindow, deliveredInWindow := acked.Load()-ackedBefore, delivered.Load()-deliveredBefore
	row.P50, row.P99 = millis(acks.percentile(0.5)), millis(acks.percentile(0.99))
	row.ReachP50, row.ReachP99 = millis(reach.percentile(0.5)), millis(reach.percentile(0.99))
	stop(nil)
	wg.Wait()
	if cause := context.Cause(sending); !errors.Is(cause, context.Canceled) && err == nil {
		err = cause
	}
	row.Acked = float64(ackedInWindow) / row.Usage.Seconds
	row.Deliveries = float64(deliveredInWindow) / row.Usage.Seconds
	row.MicrosEach = row.Usage.ServerCPU * 1e6 / float64(max(ackedInWindow, 1))
	return row, errors.Join(err, ctx.Err())
}

// sendOne sends the n-th message and waits for its answer.
func (s *seat) sendOne(n int, sent time.Time) error {
	s.lastID++
	frame, err := s.frame(s.lastID, n, sent)
	if err != nil {
		return err
	}
	if err := s.write(frame); err != nil {
		return err
	}
	_, err = s.await(s.lastID)
	return err
}

// floorDesk answers after one fdatasync for all that had come; receivers says to how many the n-th send is told.
func floorDesk(receivers func(n int) int) func(context.Context) (*desk, error) {
	return func(ctx context.Context) (*desk, error) {
		p, address, err := startFloor(ctx)
		if err != nil {
			return nil, err
		}
		open := func(ctx context.Context, i int) (*seat, error) {
			s, err := dialSocket(ctx, address, "/durable", "")
			if err != nil {
				return nil, err
			}
			return &seat{edge: &edge{socket: s, noAcks: true}, frame: func(id uint32, n int, sent time.Time) ([]byte, error) {
				b := append(make([]byte, 0, 512), byte(receivers(n)))
				return append(binary.BigEndian.AppendUint32(b, id), typicalCall(newText(sent, n))...), nil
			}}, nil
		}
		return &desk{server: p, seat: open, stop: func() { p.Stop(patience) }}, nil
	}
}
