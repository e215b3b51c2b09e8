package playback

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/stoa-live/stoa/internal/errs"
)

// maxRevoked bounds what is remembered of revoked sessions; the oldest are forgotten first.
const maxRevoked = 100_000

// revoked remembers sessions whose signed addresses are dead, for as long as one could be good.
type revoked = expirable.LRU[string, struct{}]

func newRevoked() *revoked {
	return expirable.NewLRU[string, struct{}](maxRevoked, nil, max(sessionFor, OpenFor)+time.Minute)
}

// Revoke ends everything that was opened by addresses signed for a session, and refuses those addresses from now on.
func (s *Server) Revoke(session string) {
	s.revoked.Add(session, struct{}{})
	s.mu.Lock()
	var open []*viewer
	for v := range s.viewers {
		if v.session == session {
			open = append(open, v)
		}
	}
	s.mu.Unlock()
	for _, v := range open {
		v.cut()
		s.dropped(v)
	}
}

// admitted returns the session that an address was signed for, unless it has been revoked since. Errors:
// UNAUTHENTICATED (PLAY_URL_INVALID, PLAY_URL_EXPIRED, SESSION_REVOKED).
func (s *Server) admitted(session string, err error) (string, error) {
	if err == nil && s.revoked.Contains(session) {
		err = errs.Unauthenticated("SESSION_REVOKED", "The session that asked for this address has ended. Sign in again.")
	}
	return session, err
}
