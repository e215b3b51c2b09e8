package chat

import (
	"math"
	"strconv"
	"sync"
	"time"

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

// How many positions a user may move in a second in the long run, and at once: a phone that was away for long brings those
// of all its conversations.
const (
	moveRate  = 50
	moveBurst = 1000
)

// usersAnAct is how many users, or messages, one act may be about. More of them count as several acts.
const usersAnAct = 5

// buckets are token buckets by key.
type buckets struct {
	rate    float64 // tokens a second
	burst   float64
	byKey   *lru[*bucket]
	refusal string // what the caller is told
}

// bucket is what is left to one user or conversation.
type bucket struct {
	mu     sync.Mutex
	tokens float64 // at most the burst; below 0 for a debt
	at     time.Time
}

func newBuckets(perSecond float64, burst int, refusal string) *buckets {
	return &buckets{rate: perSecond, burst: float64(burst), byKey: newLRU[*bucket](maxBuckets), refusal: refusal}
}

// take takes n tokens of key, and returns how to give them back. More than a bucket holds is taken of a full one, and the
// rest is a debt. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED, with "retry_after_ms"), in which case nothing was taken.
func (b *buckets) take(key string, n int, now time.Time) (giveBack func(), err error) {
	k := b.byKey.getOrPut(key, func() *bucket { return &bucket{tokens: b.burst, at: now} })
	k.mu.Lock()
	defer k.mu.Unlock()
	if since := now.Sub(k.at); since > 0 { // else the clock was put back
		k.tokens = min(b.burst, k.tokens+b.rate*since.Seconds())
	}
	k.at = now
	if lack := min(float64(n), b.burst) - k.tokens; lack > 0 {
		ms := max(1, int64(math.Ceil(lack/b.rate*1000)))
		return nil, errs.ResourceExhausted(errs.ReasonRateLimited, "%s", b.refusal).
			With("retry_after_ms", strconv.FormatInt(ms, 10))
	}
	k.tokens -= float64(n)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.tokens = min(b.burst, k.tokens+float64(n))
	}, nil
}

// limits are how fast people and rooms may go.
type limits struct {
	now   func() time.Time
	users *buckets
	rooms *buckets
	likes *buckets
	acts  *buckets
	moves *buckets
}

func newLimits(cfg Config, now func() time.Time) *limits {
	return &limits{
		now:   now,
		users: newBuckets(cfg.UserRate, cfg.UserBurst, "you are writing too fast"),
		rooms: newBuckets(cfg.RoomRate, cfg.RoomBurst, "too many people are writing here at once"),
		likes: newBuckets(cfg.LikeRate, cfg.LikeBurst, "you are liking too fast"),
		acts:  newBuckets(actRate, actBurst, "you are doing this too fast"),
		moves: newBuckets(moveRate, moveBurst, "you are reading too fast"),
	}
}

// send takes the place of one message. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) send(userID, conversationID string, room bool) error {
	return l.sendMany(userID, conversationID, room, 1)
}

// sendMany takes the places of n messages, of which more than the burst make the user wait longer afterwards. Only rooms are
// crowded enough to need a limit of their own. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) sendMany(userID, conversationID string, room bool, n int) error {
	now := l.now()
	giveBack, err := l.users.take(userID, n, now)
	if err != nil || !room {
		return err
	}
	if _, err := l.rooms.take(conversationID, n, now); err != nil {
		giveBack() // a full room is not its visitor's fault
		return err
	}
	return nil
}

// act takes the place of something small, such as a reaction. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) act(userID string) error { return l.actOn(userID, 1) }

// actOn takes the places of something that is about n users or messages. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) actOn(userID string, n int) error {
	_, err := l.acts.take(userID, max(1, (n+usersAnAct-1)/usersAnAct), l.now())
	return err
}

// move takes the places of n positions. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) move(userID string, n int) error {
	_, err := l.moves.take(userID, n, l.now())
	return err
}

// like takes the place of n likes. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (l *limits) like(userID string, n int) error {
	_, err := l.likes.take(userID, n, l.now())
	return err
}
