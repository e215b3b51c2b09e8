package edge

import (
	"sync"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// maxFates is how many ended sessions are remembered.
const maxFates = 10_000

// fates remembers why sessions ended, for clients that come back to resume them and did not hear it: who reads too slowly to
// take what waits does not read a Goodbye either.
type fates struct {
	mu    sync.Mutex
	known map[string]fate // by session
}

type fate struct {
	user   string
	reason edgev1.GoodbyeReason
	until  time.Time
}

func newFates() *fates { return &fates{known: make(map[string]fate)} }

// put remembers a session's end.
func (f *fates) put(sessionID string, end fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) < maxFates {
		f.known[sessionID] = end
	}
}

// of returns why a user's session ended, as far as that is known.
func (f *fates) of(sessionID, user string) edgev1.GoodbyeReason {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := f.known[sessionID]; end.user == user {
		return end.reason
	}
	return edgev1.GoodbyeReason_GOODBYE_REASON_UNSPECIFIED
}

// expire forgets those that nobody may resume any more.
func (f *fates) expire(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, end := range f.known {
		if now.After(end.until) {
			delete(f.known, id)
		}
	}
}

// reasonOf is why a session ended, by the name that metrics have for it.
func reasonOf(why string) edgev1.GoodbyeReason {
	switch why {
	case "drained":
		return edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING
	case "revoked":
		return edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED
	case "expired":
		return edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED
	case "slow", "resume_lost":
		return edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER
	case "elsewhere":
		return edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE
	case "gave_way":
		return edgev1.GoodbyeReason_GOODBYE_REASON_FULL
	case "kicked":
		return edgev1.GoodbyeReason_GOODBYE_REASON_KICKED
	case "flood":
		return edgev1.GoodbyeReason_GOODBYE_REASON_FLOOD
	case "bad_frame":
		return edgev1.GoodbyeReason_GOODBYE_REASON_BAD_FRAME
	default:
		return edgev1.GoodbyeReason_GOODBYE_REASON_UNSPECIFIED
	}
}
