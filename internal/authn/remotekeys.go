package authn

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	maxJWKS        = 64 << 10 // bytes
	fetchTimeout   = 5 * time.Second
	refetchAfter   = 10 * time.Second // between fetches for key ids that are not known
	retryAfter     = time.Second      // after a fetch that failed
	maxKeyAge      = 10 * time.Minute // after it a key that was withdrawn is no longer trusted
	maxStaleKeyAge = time.Hour        // while the document cannot be fetched
)

// RemoteKeys is a KeySource that fetches a JWKS document: when it is first asked, when a token names a key that it does
// not know (a rotation), and every ten minutes (a withdrawal). However many tokens name made-up keys, it fetches no more
// than once in ten seconds. While the document cannot be had it trusts what it knows, for an hour.
type RemoteKeys struct {
	client *http.Client
	url    string
	now    func() time.Time

	fetching chan struct{} // holds a token while somebody fetches

	mu      sync.RWMutex
	keys    Keys
	fetched time.Time // last success
	tried   time.Time // last attempt
	failed  error     // of the last attempt
}

var _ KeySource = (*RemoteKeys)(nil)

// NewRemoteKeys returns a source that fetches url through client. It fetches nothing yet. now is time.Now when nil.
func NewRemoteKeys(client *http.Client, url string, now func() time.Time) *RemoteKeys {
	if now == nil {
		now = time.Now
	}
	return &RemoteKeys{client: client, url: url, now: now, fetching: make(chan struct{}, 1)}
}

// Key implements KeySource.
func (r *RemoteKeys) Key(ctx context.Context, keyID string) (ed25519.PublicKey, error) {
	key, due := r.cached(keyID)
	if !due {
		return r.answer(keyID, key)
	}
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errKeysUnavailable, context.Cause(ctx))
	}
	if key, due = r.cached(keyID); due { // nobody else fetched while we waited
		r.refresh(ctx)
		key, _ = r.cached(keyID)
	}
	return r.answer(keyID, key)
}

// cached returns the key if it may still be trusted, and whether the document should be fetched again for it.
func (r *RemoteKeys) cached(keyID string) (key ed25519.PublicKey, due bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := r.now()
	age := now.Sub(r.fetched)
	if age < maxStaleKeyAge {
		key = r.keys[keyID]
	}
	pause := refetchAfter
	if r.failed != nil {
		pause = retryAfter
	}
	rested := r.tried.IsZero() || now.Sub(r.tried) >= pause
	return key, rested && (key == nil || age >= maxKeyAge)
}

func (r *RemoteKeys) answer(keyID string, key ed25519.PublicKey) (ed25519.PublicKey, error) {
	if key != nil {
		return key, nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.failed != nil {
		return nil, fmt.Errorf("%w: %w", errKeysUnavailable, r.failed)
	}
	return nil, fmt.Errorf("key %q: %w", keyID, ErrUnknownKey)
}

// refresh fetches the document. A caller that goes away does not fail the fetch, which serves all.
func (r *RemoteKeys) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, err := r.fetch(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.failed = r.now(), err
	if err == nil {
		r.keys, r.fetched = keys, r.tried
	}
}

func (r *RemoteKeys) fetch(ctx context.Context) (Keys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read only
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch key set: status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	if len(raw) > maxJWKS {
		return nil, errors.New("fetch key set: document is too large")
	}
	return DecodeJWKS(raw)
}
