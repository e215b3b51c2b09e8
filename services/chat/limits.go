package chat

import (
	"math"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/stoa-live/stoa/internal/errs"
)

// maxBuckets is how many users, or conversations, are remembered. A bucket that is forgotten is a full one again, which
// costs nothing where it was full; to make another's be forgotten takes this many accounts.
const maxBuckets = 50_000

// How many small acts, such as reactions, changes of groups and new conversations, a user may do in a second in the long
// run, and at once.
const (
	actRate  = 10
	actBurst = 100
)

// buckets are token buckets by key.
type buckets struct {
	rate    rate.Limit
	burst   int
	byKey   *lru[*rate.Limiter]
	refusal string // what the caller is told
}

func newBuckets(perSecond float64, burst int, refusal string) *buckets {
	return &buckets{
		rate: rate.Limit(perSecond), burst: burst, byKey: newLRU[*rate.Limiter](maxBuckets), refusal: refusal,
	}
}

// take takes n tokens of key, and returns how to give them back. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED, with
// "retry_after_ms"), in which case nothing was taken.
func (b *buckets) take(key string, n int, now time.Time) (giveBack func(), err error) {
	bucket := b.byKey.getOrPut(key, func() *rate.Limiter { return rate.NewLimiter(b.rate, b.burst) })
	taken := bucket.ReserveN(now, n)
	if !taken.OK() { // more than a full bucket; the configuration forbids it
		return nil, errs.ResourceExhausted(errs.ReasonRateLimited, "%s", b.refusal)
	}
	if wait := taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
		ms := int64(math.Ceil(float64(wait) / float64(time.Millisecond)))
		return nil, errs.ResourceExhausted(errs.ReasonRateLimited, "%s", b.refusal).
			With("retry_after_ms", strconv.FormatInt(ms, 10))
	}
	return func() { taken.CancelAt(now) }, nil
}

// limits are how fast people and rooms may go.
type limits struct {
	now   func() time.Time
	users *buckets
	rooms *buckets
	likes *buckets
	acts  *buckets
}

func newLimits(cfg Config, now func() time.Time) *limits {
	return &limits{
		now:   now,
		users: newBuckets(cfg.UserRate, cfg.UserBurst, "you are writing too fast"),
		rooms: newBuckets(cfg.RoomRate, cfg.RoomBurst, "too many people are writing here at once"),
		likes: newBuckets(cfg.LikeRate, cfg.LikeBurst, "you are liking too fast"),
		acts:  newBuckets(actRate, actBurst, "you are doing this too fast"),
	}
}

// send takes the place of one message. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) send(userID, conversationID string, room bool) error {
	return l.sendMany(userID, conversationID, room, 1)
}

// sendMany takes the places of n messages. Only rooms are crowded enough to need a limit of their own. Errors:
// RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) sendMany(userID, conversationID string, room bool, n int) error {
	now := l.now()
	giveBack, err := l.users.take(userID, min(n, l.users.burst), now)
	if err != nil || !room {
		return err
	}
	if _, err := l.rooms.take(conversationID, min(n, l.rooms.burst), now); err != nil {
		giveBack() // a full room is not its visitor's fault
		return err
	}
	return nil
}

// act takes the place of something small, such as a reaction. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) act(userID string) error {
	_, err := l.acts.take(userID, 1, l.now())
	return err
}

// like takes the place of n likes. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) like(userID string, n int) error {
	_, err := l.likes.take(userID, n, l.now())
	return err
}
