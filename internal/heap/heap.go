// Package heap says how much room Go's collector leaves itself. Its own rule, as much as there is live, is too little for a
// small process under load, which collects many times a second, and much too much for one that holds idle connections and
// allocates next to nothing.
//
// What must never happen here: overriding what an operator has set by GOGC.
package heap

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// lookInterval is how often it is looked at what is live and what was allocated.
	lookInterval = 250 * time.Millisecond
	// decay is what is left of a rate of allocation at each look, so that the room shrinks over seconds and grows at once.
	decay = 0.95
	// littleRoom and muchRoom bound the room of a process with a small heap, in bytes.
	littleRoom, muchRoom = 8 << 20, 64 << 20
)

// Keep holds the collector to this package's rule until ctx ends, unless GOGC is set.
func Keep(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	l := newLook()
	for now := 100; ; {
		// Setting it costs a moment in which the world stops: not for little.
		if want := l.percent(); want > now+now/8 || want < now-now/8 {
			debug.SetGCPercent(want)
			now = want
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look reads the figures of package runtime/metrics.
type look struct {
	samples   []metrics.Sample
	allocated uint64  // when it was looked last
	rate      float64 // bytes a second
}

func newLook() *look {
	l := &look{samples: []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}}
	metrics.Read(l.samples)
	l.allocated = l.samples[0].Value.Uint64()
	return l
}

// percent is the collector's percentage for what is found now.
func (l *look) percent() int {
	metrics.Read(l.samples)
	allocated, live := l.samples[0].Value.Uint64(), l.samples[1].Value.Uint64()
	l.rate = max(float64(allocated-l.allocated)/lookInterval.Seconds(), decay*l.rate)
	l.allocated = allocated
	// The collector applies its percentage to what it scans besides the heap, too (https://go.dev/doc/gc-guide#GOGC).
	return percent(l.rate, live, l.samples[2].Value.Uint64()+l.samples[3].Value.Uint64())
}

// percent is how much room there is in percent of live and roots: what is allocated in a second, so that there is about one
// collection a second, but at least an eighth of what is live, and at most as much as is live.
func percent(rate float64, live, roots uint64) int {
	from, to := max(littleRoom, float64(live)/8), max(muchRoom, float64(live))
	room := min(max(rate, from), to)
	return max(1, int(100*room/float64(max(live+roots, 1<<20))))
}
