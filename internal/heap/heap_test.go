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
	for bytes, want := range map[uint64]int{
		0: most, 1: most, 8 << 20: 400, 16 << 20: 200, 32 << 20: 100, 48 << 20: 66, 64 << 20: 50, 1 << 40: least,
	} {
		if got := percent(bytes); got != want {
			t.Errorf("beside %d live bytes there is %d %% of room, want %d", bytes, got, want)
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
	reaches(t, least)
	runtime.KeepAlive(held)
	held = nil
	runtime.GC()
	reaches(t, most)
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

func reaches(t *testing.T, want uint64) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if metrics.Read(sample); sample[0].Value.Uint64() == want {
			return
		}
	}
	t.Fatalf("the collector leaves itself %d %%, want %d", sample[0].Value.Uint64(), want)
}
