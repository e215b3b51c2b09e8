package admin

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/telemetry"
)

const (
	// defaultSampleInterval is what the contract says.
	defaultSampleInterval = 2 * time.Second
	// keptSamples bounds the memory of the overview: ten minutes of them. The oldest makes room for the newest.
	keptSamples = 300
	// totalsTimeout is how long a sample waits for one neighbour; both fit between two samples.
	totalsTimeout = 900 * time.Millisecond
)

// Sample is how the installation does at one time. Rates are a second, over the time since the sample before. What a
// neighbour did not tell is 0.
type Sample struct {
	At          time.Time
	Broadcasts  int32
	Viewers     int32
	Connections int32
	MessageRate float64
	RequestRate float64
	ErrorRate   float64
	CPUCores    float64
	MemoryBytes int64
}

// Overview is how the installation does.
type Overview struct {
	Samples   []Sample // oldest first
	CPUCount  int
	StartedAt time.Time
	Version   string
}

// Overview returns the samples that are newer than after, or all that are kept for the zero time.
func (s *Service) Overview(after time.Time) Overview {
	return Overview{
		Samples: s.sampler.since(after), CPUCount: runtime.NumCPU(), StartedAt: s.startedAt, Version: s.config.Version,
	}
}

// sampler takes a sample now and then, from run to the end of its context.
type sampler struct {
	every   time.Duration
	now     func() time.Time
	logger  *slog.Logger
	metrics *telemetry.Metrics
	process *telemetry.Process
	live    livev1connect.ControlServiceClient
	talk    chatv1connect.ConversationServiceClient

	// What the goroutine of run knows.
	messages, requests, faults, cpu rate
	silent                          map[string]bool // neighbours that do not answer

	mu      sync.Mutex
	samples []Sample // oldest first
}

// run takes samples until its context ends. The first look only learns where the counters stand.
func (s *sampler) run(ctx context.Context) {
	s.silent = make(map[string]bool)
	s.take(ctx)
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if sample := s.take(ctx); ctx.Err() == nil {
			s.keep(sample)
		}
	}
}

// take looks at everything once.
func (s *sampler) take(ctx context.Context) Sample {
	var sample Sample
	var totals *chatv1.GetTotalsResponse // nil when chat is silent
	s.ask(ctx, "live", func(ctx context.Context) error {
		res, err := s.live.GetTotals(ctx, &livev1.GetTotalsRequest{})
		sample.Broadcasts, sample.Viewers, sample.Connections = res.GetBroadcastCount(), res.GetViewerCount(), res.GetConnectionCount()
		return err
	})
	s.ask(ctx, "chat", func(ctx context.Context) (err error) {
		totals, err = s.talk.GetTotals(ctx, &chatv1.GetTotalsRequest{})
		return err
	})
	calls, faults := s.metrics.Answered()
	cpu, memory := s.process.Usage()
	// One time for all, so that rates and the times between samples add up to the counters.
	sample.At = s.now()
	if totals != nil {
		sample.MessageRate = s.messages.next(sample.At, float64(totals.GetMessageCount()))
	}
	sample.RequestRate = s.requests.next(sample.At, float64(calls))
	sample.ErrorRate = s.faults.next(sample.At, float64(faults))
	sample.CPUCores = s.cpu.next(sample.At, cpu)
	sample.MemoryBytes = memory
	return sample
}

// ask asks a neighbour, and logs when it falls silent and when it is back, not each time in between.
func (s *sampler) ask(ctx context.Context, neighbour string, call func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, totalsTimeout)
	defer cancel()
	err := call(ctx)
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // we stop
	case err != nil && !s.silent[neighbour]:
		s.silent[neighbour] = true
		s.logger.LogAttrs(ctx, slog.LevelWarn, "overview lacks a neighbour", slog.String("neighbour", neighbour), slog.Any("error", err))
	case err == nil && s.silent[neighbour]:
		delete(s.silent, neighbour)
		s.logger.LogAttrs(ctx, slog.LevelInfo, "overview has its neighbour back", slog.String("neighbour", neighbour))
	}
}

func (s *sampler) keep(sample Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == keptSamples {
		s.samples = append(s.samples[:0], s.samples[1:]...)
	}
	s.samples = append(s.samples, sample)
}

// since returns the samples after a time, oldest first.
func (s *sampler) since(after time.Time) []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newer []Sample
	for _, sample := range s.samples {
		if sample.At.After(after) {
			newer = append(newer, sample)
		}
	}
	return newer
}

// rate makes a speed of a counter that only rises. One that begins anew, as a neighbour's does with its process, shows
// nothing once.
type rate struct {
	at    time.Time // zero before the first
	value float64
}

// next returns the rise a second since the time before.
func (r *rate) next(at time.Time, value float64) (perSecond float64) {
	if elapsed := at.Sub(r.at).Seconds(); !r.at.IsZero() && elapsed > 0 && value > r.value {
		perSecond = (value - r.value) / elapsed
	}
	*r = rate{at, value}
	return perSecond
}
