//go:build unix

package bus_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/parts/partstest"
)

// BenchmarkPulsar publishes 200-byte events at 1,000 a second by 16 publishers, and measures how long each takes from
// Publish to the handler, and the process's CPU: go test -run '^$' -bench Pulsar -benchtime 10000x
func BenchmarkPulsar(b *testing.B) {
	partstest.URL(b, "pulsar")
	for _, group := range []string{"", "group"} {
		b.Run("group="+group, func(b *testing.B) { atRate(b, group, 1000) })
	}
}

// BenchmarkPulsarInTurn publishes one event after the other, as who keeps an order does.
func BenchmarkPulsarInTurn(b *testing.B) {
	events, err := bus.Open(b.Context(), pulsarURL(b, ""), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 200)
	for i := 0; b.Loop(); i++ {
		if err := events.Publish(b.Context(), "topic", strconv.Itoa(i), payload); err != nil {
			b.Fatal(err)
		}
	}
	if err := events.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func atRate(b *testing.B, group string, rate int) {
	events, err := bus.Open(b.Context(), pulsarURL(b, ""), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	var took []time.Duration
	all := make(chan struct{})
	if _, err := events.Subscribe("topic", group, func(_ context.Context, e bus.Event) error {
		if len(e.Payload) < 200 {
			return nil // warming up
		}
		took = append(took, time.Since(start)-time.Duration(binary.LittleEndian.Uint64(e.Payload))) //nolint:gosec // below 2^63
		if len(took) == b.N {
			close(all)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for i := range 64 { // producers are made
		if err := events.Publish(b.Context(), "topic", strconv.Itoa(i), nil); err != nil {
			b.Fatal(err)
		}
	}
	time.Sleep(2 * time.Second) // the group has its partitions
	runtime.GC()
	before := cpu()
	b.ResetTimer()
	began := time.Now()
	var publishing sync.WaitGroup
	const publishers = 16
	for p := range publishers {
		publishing.Go(func() {
			for i := p; i < b.N; i += publishers {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				payload := binary.LittleEndian.AppendUint64(make([]byte, 0, 200), uint64(time.Since(start))) //nolint:gosec // positive
				if err := events.Publish(b.Context(), "topic", strconv.Itoa(i), payload[:200]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	<-all
	elapsed := time.Since(began)
	used := cpu() - before
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/elapsed.Seconds(), "events/s")
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(used.Seconds()*1e6/float64(b.N), "cpu-µs/event")
	if err := events.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// cpu is what this process has used.
func cpu() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // it does not fail for ourselves
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
