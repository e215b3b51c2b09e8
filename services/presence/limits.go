package presence

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/stoa-live/stoa/internal/errs"
)

// maxBuckets is how many users are remembered. A bucket that is forgotten is a full one again; to make another's be
// forgotten takes this many accounts.
const maxBuckets = 20_000

// buckets limit how often each user may do something.
type buckets struct {
	rate  rate.Limit
	burst int

	mu     sync.Mutex
	byUser *simplelru.LRU[string, *rate.Limiter]
}

func newBuckets(perSecond float64, burst int) (*buckets, error) {
	byUser, err := simplelru.NewLRU[string, *rate.Limiter](maxBuckets, nil)
	if err != nil {
		return nil, fmt.Errorf("make limits: %w", err)
	}
	return &buckets{rate: rate.Limit(perSecond), burst: burst, byUser: byUser}, nil
}

// take takes a user's place for one change. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED, with "retry_after_ms").
func (b *buckets) take(userID string, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.byUser.Get(userID)
	if !ok {
		bucket = rate.NewLimiter(b.rate, b.burst)
		b.byUser.Add(userID, bucket)
	}
	place := bucket.ReserveN(now, 1)
	wait := place.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	place.CancelAt(now)
	ms := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
	return errs.ResourceExhausted(errs.ReasonRateLimited, "you are changing this too often").
		With("retry_after_ms", strconv.FormatInt(ms, 10))
}
