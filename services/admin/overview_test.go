package admin_test

import (
	"bytes"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

const sampling = 20 * time.Millisecond

// overview asks as a moderator.
func (w *world) overview(after *timestamppb.Timestamp) *adminv1.GetOverviewResponse {
	w.t.Helper()
	res, err := w.in("moe", authv1.Role_ROLE_MODERATOR).GetOverview(w.t.Context(), &adminv1.GetOverviewRequest{After: after})
	w.must(err)
	return res
}

// sampled waits for a sample that is as wanted.
func (w *world) sampled(what string, wanted func(*adminv1.Sample) bool) (found *adminv1.Sample) {
	w.t.Helper()
	w.eventually(what, func() bool {
		for _, s := range w.overview(nil).GetSamples() {
			if wanted(s) {
				found = s
			}
		}
		return found != nil
	})
	return found
}

func TestOverview(t *testing.T) {
	t.Parallel()
	before := time.Now()
	w := bootSampling(t, storetest.URL(t), sampling, slog.New(slog.DiscardHandler))
	s := w.sampled("the neighbours' numbers", func(s *adminv1.Sample) bool { return s.GetBroadcastCount() == 2 })
	if s.GetViewerCount() != 30 || s.GetConnectionCount() != 40 {
		t.Errorf("got %v", s)
	}
	if runtime.GOOS == "linux" {
		w.sampled("memory", func(s *adminv1.Sample) bool { return s.GetMemoryBytes() > 1<<20 })
		w.sampled("processors at work", func(s *adminv1.Sample) bool { return s.GetCpuCores() > 0 })
	}
	w.talk.messages.Store(1000)
	w.sampled("messages", func(s *adminv1.Sample) bool { return s.GetMessageRate() > 0 })
	var messages float64
	samples := w.overview(nil).GetSamples()
	for i, s := range samples[1:] {
		messages += s.GetMessageRate() * s.GetAt().AsTime().Sub(samples[i].GetAt().AsTime()).Seconds()
	}
	if math.Abs(messages-1000) > 10 { // the clock on the wall may be set meanwhile
		t.Errorf("the samples add up to %v messages", messages)
	}
	for _, s := range w.overview(nil).GetSamples() {
		if s.GetRequestRate() != 0 || s.GetErrorRate() != 0 {
			t.Errorf("calls that came past the gateway are counted: %v", s)
		}
	}
	if err := w.byGateway("bob"); err != nil {
		t.Error(err)
	}
	w.sampled("a request without an error", func(s *adminv1.Sample) bool { return s.GetRequestRate() > 0 && s.GetErrorRate() == 0 })
	w.refused("a fault", w.byGateway("breaks"), connect.CodeInternal, errs.ReasonInternal)
	w.sampled("an error", func(s *adminv1.Sample) bool { return s.GetErrorRate() > 0 })
	o := w.overview(nil)
	if o.GetVersion() != "1.2.3" || int(o.GetCpuCount()) != runtime.NumCPU() ||
		o.GetStartedAt().AsTime().Before(before.Truncate(0)) || o.GetStartedAt().AsTime().After(time.Now()) {
		t.Errorf("got %v, %v, %v", o.GetVersion(), o.GetCpuCount(), o.GetStartedAt())
	}
}

// byGateway lifts a ban by a call that is marked as the gateway does.
func (w *world) byGateway(user string) error {
	ctx, info := connect.NewClientContext(w.t.Context())
	info.RequestHeader().Set("X-Stoa-Client-Address", "192.0.2.1")
	return second(w.as("ann").UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: user}))
}

// TestOverviewKeepsTenMinutes waits until the oldest samples have made room.
func TestOverviewKeepsTenMinutes(t *testing.T) {
	t.Parallel()
	w := bootSampling(t, storetest.URL(t), time.Millisecond, slog.New(slog.DiscardHandler))
	first := w.sampled("a first sample", func(*adminv1.Sample) bool { return true })
	var kept []*adminv1.Sample
	w.eventually("the first sample is gone", func() bool {
		kept = w.overview(nil).GetSamples()
		return kept[0].GetAt().AsTime().After(first.GetAt().AsTime())
	})
	if len(kept) != 300 {
		t.Errorf("%d samples are kept", len(kept))
	}
	if !slices.IsSortedFunc(kept, func(a, b *adminv1.Sample) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) }) {
		t.Error("they are out of order")
	}
	// Page by page, as a client follows: nothing twice, nothing missed.
	last := kept[len(kept)-1].GetAt()
	var newer []*adminv1.Sample
	w.eventually("newer samples", func() bool { newer = w.overview(last).GetSamples(); return len(newer) > 0 })
	for _, s := range newer {
		if !s.GetAt().AsTime().After(last.AsTime()) {
			t.Errorf("%v is not after %v", s.GetAt().AsTime(), last.AsTime())
		}
	}
	if got := w.overview(timestamppb.New(time.Now().Add(time.Hour))).GetSamples(); len(got) != 0 {
		t.Errorf("from the future: %v", got)
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) count(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), part)
}

func TestOverviewWithoutANeighbour(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	w := bootSampling(t, storetest.URL(t), sampling, slog.New(slog.NewTextHandler(log, nil)))
	w.sampled("live's numbers", func(s *adminv1.Sample) bool { return s.GetBroadcastCount() == 2 })
	for outage := 1; outage <= 2; outage++ {
		w.control.silent.Store(true)
		w.eventually("a sample without live's numbers", func() bool {
			samples := w.overview(nil).GetSamples()
			return samples[len(samples)-1].GetBroadcastCount() == 0
		})
		from := w.overview(nil).GetSamples()
		w.talk.messages.Add(1)
		w.eventually("samples go on, with chat's numbers", func() bool {
			more := w.overview(from[len(from)-1].GetAt()).GetSamples()
			return len(more) > 10 && slices.ContainsFunc(more, func(s *adminv1.Sample) bool { return s.GetMessageRate() > 0 })
		})
		w.control.silent.Store(false)
		w.eventually("live's numbers are back", func() bool { return log.count("has its neighbour back") == outage })
		if lacks := log.count("lacks a neighbour"); lacks != outage {
			t.Errorf("it was logged %d times", lacks)
		}
	}
}
