package gateway

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/netaddr"
)

const (
	limitedAddresses = 100_000 // that are remembered; the one unused for longest is forgotten first
	burstSeconds     = 4
	longestWait      = time.Hour // that anybody is told
)

// limit refuses more requests from one address than allowed. Probes of balancers do not pass it.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := g.limits.take(clientAddress(r)); wait > 0 {
			g.metrics.limited.Inc()
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			writeRPCError(w, r, errs.ResourceExhausted(errs.ReasonRateLimited, "Too many requests from this address.").
				With("retry_after_ms", strconv.FormatInt(max(1, wait.Milliseconds()), 10)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limiter holds one token bucket an address, for a bounded number of addresses.
type limiter struct {
	rate float64 // a second; 0 for no limit

	mu      sync.Mutex
	buckets *simplelru.LRU[netip.Prefix, *rate.Limiter]
}

func newLimiter(perSecond float64) *limiter {
	buckets, err := simplelru.NewLRU[netip.Prefix, *rate.Limiter](limitedAddresses, nil)
	if err != nil {
		panic(err) // only a size below 1 is an error
	}
	return &limiter{rate: perSecond, buckets: buckets}
}

// take returns 0 where the request may pass, or how long until one may. An IPv6 /64 counts as one address: a client has
// all of it to itself.
func (l *limiter) take(address string) time.Duration {
	if l.rate <= 0 {
		return 0
	}
	var key netip.Prefix
	if addr, err := netip.ParseAddr(address); err == nil { // others share the zero key
		key = netaddr.Client(addr)
	}
	if l.bucket(key).Allow() {
		return 0
	}
	return time.Duration(min(float64(time.Second)/l.rate, float64(longestWait)))
}

func (l *limiter) bucket(key netip.Prefix) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.buckets.Get(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(l.rate), int(l.rate*burstSeconds)+1)
		l.buckets.Add(key, bucket)
	}
	return bucket
}
