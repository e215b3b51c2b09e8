// Package heap says how much room Go's collector leaves itself. Its own rule, as much as there is live, is too little for a
// small process under load, which collects many times a second, and too much for one that holds many idle connections.
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
	// headroom is what may always be allocated between two collections, in bytes.
	headroom = 32 << 20
	// least and most bound the room, in percent of what is live. Below the least, collections would cost a busy process
	// with a large heap too much.
	least, most = 50, 400
	// lookInterval is how often what is live is looked at. It changes as connections come and go.
	lookInterval = time.Second
	// live is what the last collection found, by the name of package runtime/metrics.
	live = "/gc/heap/live:bytes"
)

// Keep holds the collector to this package's rule until ctx ends, unless GOGC is set.
func Keep(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: live}}
	for now := 100; ; {
		metrics.Read(sample)
		// Setting it costs a moment in which the world stops: not for little.
		if want := percent(sample[0].Value.Uint64()); want > now+now/8 || want < now-now/8 {
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

// percent is how much room there is beside so many live bytes.
func percent(live uint64) int {
	return int(min(most, max(least, 100*headroom/max(live, 1)))) //nolint:gosec // at most 400
}
