package live

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stoa-live/stoa/internal/errs"
)

// How often one owner may upload a cover: decoding a picture is the dearest thing that a call can ask of us.
const (
	uploadEvery = 10 * time.Second
	uploadBurst = 6
	// maxUploaders is how many owners are remembered. One that is forgotten has a full reserve again, which costs nothing
	// where it was full; to make others be forgotten takes this many accounts.
	maxUploaders = 10_000
)

// uploads limits what owners upload.
type uploads struct {
	mu      sync.Mutex
	byOwner map[string]*rate.Limiter
}

func newUploads() *uploads { return &uploads{byOwner: make(map[string]*rate.Limiter)} }

// take uses up one upload. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED, with "retry_after_ms").
func (u *uploads) take(ownerID string, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	limiter := u.byOwner[ownerID]
	if limiter == nil {
		u.makeRoom(now)
		limiter = rate.NewLimiter(rate.Every(uploadEvery), uploadBurst)
		u.byOwner[ownerID] = limiter
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
func (u *uploads) makeRoom(now time.Time) {
	if len(u.byOwner) < maxUploaders {
		return
	}
	for id, limiter := range u.byOwner {
		if limiter.TokensAt(now) >= uploadBurst {
			delete(u.byOwner, id)
		}
	}
	if len(u.byOwner) >= maxUploaders {
		clear(u.byOwner)
	}
}
