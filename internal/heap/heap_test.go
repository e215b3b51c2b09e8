package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		what        string
		rate        float64
		live, roots uint64
		want        int
	}{
		{"nothing yet", 0, 0, 0, 800},
		{"small and idle", 0, 16 * mb, 4 * mb, 40},
		{"small and busy", 500 * mb, 16 * mb, 4 * mb, 320},
		{"many idle connections", 1 * mb, 64 * mb, 36 * mb, 8},
		{"many busy connections", 30 * mb, 64 * mb, 36 * mb, 30},
		{"large and idle", 0, 1024 * mb, 0, 12},
		{"large and busy", 1e12, 1024 * mb, 0, 100},
	} {
		if got := percent(c.rate, c.live, c.roots); got != c.want {
			t.Errorf("%s: %d %%, want %d", c.what, got, c.want)
		}
	}
}

// TestKeep follows what is live, as long as it is asked to.
func TestKeep(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "100")
	Keep(t.Context()) // returns: the operator has decided
	unset(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Keep(ctx)
	}()
	held := make([]byte, 256<<20)
	runtime.GC()
	reaches(t, func(percent uint64) bool { return percent < 20 }) // an eighth, and nothing is allocated
	runtime.KeepAlive(held)
	held = nil
	runtime.GC()
	reaches(t, func(percent uint64) bool { return percent > 50 }) // little beside next to nothing
	stop()
	<-done
}

func unset(t *testing.T) {
	t.Helper()
	t.Setenv("GOGC", "")
	if err := os.Unsetenv("GOGC"); err != nil { // until Setenv's clean-up
		t.Fatal(err)
	}
}

func reaches(t *testing.T, right func(percent uint64) bool) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if metrics.Read(sample); right(sample[0].Value.Uint64()) {
			return
		}
	}
	t.Fatalf("the collector leaves itself %d %%", sample[0].Value.Uint64())
}
