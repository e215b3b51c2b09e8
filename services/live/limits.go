package live

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stoa-live/stoa/internal/errs"
)

const (
	// How often one owner may upload a cover: decoding a picture is the dearest thing that a call can ask of us.
	uploadEvery = 10 * time.Second
	uploadBurst = 6
	// How often one owner may choose among snapshots: that writes a file and wakes ffmpeg.
	snapshotEvery = 3 * time.Second
	snapshotBurst = 10
	// maxOwners is how many owners are remembered. One that is forgotten has a full reserve again, which costs nothing
	// where it was full; to make others be forgotten takes this many accounts.
	maxOwners = 10_000
)

// limits bounds how often owners change their covers in one way.
type limits struct {
	every time.Duration
	burst int

	mu      sync.Mutex
	byOwner map[string]*rate.Limiter
}

func newLimits(every time.Duration, burst int) *limits {
	return &limits{every: every, burst: burst, byOwner: make(map[string]*rate.Limiter)}
}

// take uses up one change. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED, with "retry_after_ms").
func (l *limits) take(ownerID string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.byOwner[ownerID]
	if limiter == nil {
		l.makeRoom(now)
		limiter = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.byOwner[ownerID] = limiter
	}
	taken := limiter.ReserveN(now, 1)
	if wait := taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
		ms := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
		return errs.ResourceExhausted(errs.ReasonRateLimited, "You are changing covers too fast.").
			With("retry_after_ms", strconv.FormatInt(ms, 10))
	}
	return nil
}

// makeRoom forgets owners when there are too many: those with a full reserve, or all.
func (l *limits) makeRoom(now time.Time) {
	if len(l.byOwner) < maxOwners {
		return
	}
	for id, limiter := range l.byOwner {
		if limiter.TokensAt(now) >= float64(l.burst) {
			delete(l.byOwner, id)
		}
	}
	if len(l.byOwner) >= maxOwners {
		clear(l.byOwner)
	}
}
