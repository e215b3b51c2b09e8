package playback

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/stoa-live/stoa/internal/errs"
)

// maxRevoked bounds what is remembered of revoked sessions; the oldest are forgotten first.
const maxRevoked = 100_000

// revoked remembers sessions whose signed addresses are dead.
type revoked = lru.Cache[string, struct{}]

func newRevoked() *revoked {
	r, _ := lru.New[string, struct{}](maxRevoked) // which fails for sizes below 1 only
	return r
}

// Revoke ends everything that was opened by addresses signed for a session, and refuses those addresses from now on.
func (s *Server) Revoke(session string) {
	s.revoked.Add(session, struct{}{})
	s.mu.Lock()
	var open []*viewer
	for v := range s.viewers {
		if v.session == session {
			v.cut() // under the lock, as its connection may be about to come
			open = append(open, v)
		}
	}
	s.mu.Unlock()
	for _, v := range open {
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
