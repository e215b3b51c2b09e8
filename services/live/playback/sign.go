package playback

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

// Scopes keep a signature for one use from serving another.
const (
	scopeOpen    = "open"    // opening a stream, minutes
	scopeSession = "session" // polling an HLS playlist, hours
)

// Lifetimes of signatures.
const (
	OpenFor    = 5 * time.Minute
	sessionFor = 12 * time.Hour
)

// Signer signs play URLs: HMAC-SHA-256 over scope, room, session and expiry. No token is ever in a URL.
type Signer struct {
	key []byte
	now func() time.Time
	// process is in what HLS sessions are signed with: they end with the process, as what it knows of revoked sessions
	// does. Players ask GetRoom again.
	process string
}

// NewSigner returns a signer with a secret key of at least 32 bytes.
func NewSigner(key []byte, now func() time.Time) *Signer {
	return &Signer{key: key, now: now, process: rand.Text()}
}

// sign returns the query of an URL that is good until expires.
func (s *Signer) sign(scope, room, session string, expires time.Time) url.Values {
	e := strconv.FormatInt(expires.Unix(), 10)
	return url.Values{"e": {e}, "u": {session}, "s": {s.mac(scope, room, session, e)}}
}

// verify returns the session that the query was signed for. Errors: UNAUTHENTICATED (PLAY_URL_INVALID,
// PLAY_URL_EXPIRED).
func (s *Signer) verify(scope, room string, query url.Values) (string, error) {
	e, session := query.Get("e"), query.Get("u")
	if !hmac.Equal([]byte(query.Get("s")), []byte(s.mac(scope, room, session, e))) {
		return "", errs.Unauthenticated("PLAY_URL_INVALID", "The play URL is not signed for this room. Ask GetRoom for a new one.")
	}
	expires, err := strconv.ParseInt(e, 10, 64)
	if err != nil || s.now().Unix() > expires {
		return "", errs.Unauthenticated("PLAY_URL_EXPIRED", "The play URL has expired. Ask GetRoom for a new one.")
	}
	return session, nil
}

func (s *Signer) mac(scope, room, session, expires string) string {
	h := hmac.New(sha256.New, s.key)
	if scope == scopeSession {
		scope += s.process
	}
	// Lengths keep fields apart.
	for _, field := range []string{scope, room, session, expires} {
		fmt.Fprintf(h, "%d:%s", len(field), field)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
