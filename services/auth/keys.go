package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/stoa-live/stoa/internal/authn"
)

const (
	keyReload   = time.Minute      // how soon a process sees the keys of the others
	keyMissWait = 10 * time.Second // between looks at the database for key ids that are not known
	keySlack    = time.Minute      // a key is published for longer than its last token lives, for clocks that differ
	jwksMaxAge  = 5 * time.Minute
)

// signingKey signs from activeAt until the next one is active.
type signingKey struct {
	id       string
	serial   int
	private  ed25519.PrivateKey
	created  time.Time
	activeAt time.Time
}

// keyring holds the keys of the database. Each key has a serial number, and a rotation is the insertion of the next
// one: of several processes that rotate at once, all but one fail and take over the key of that one.
type keyring struct {
	config  Config
	storage *storage
	logger  *slog.Logger
	now     func() time.Time

	refreshing sync.Mutex // held while the database is asked

	mu     sync.RWMutex
	keys   []signingKey // by serial
	loaded time.Time
	missed time.Time // last look for an unknown key
}

var _ authn.KeySource = (*keyring)(nil)

// openKeyring loads the keys and makes the first one.
func openKeyring(
	ctx context.Context, c Config, s *storage, logger *slog.Logger, now func() time.Time,
) (*keyring, error) {
	k := &keyring{config: c, storage: s, logger: logger, now: now}
	if err := k.refresh(ctx); err != nil {
		return nil, fmt.Errorf("open signing keys: %w", err)
	}
	return k, nil
}

// signer returns the key that signs now. It rotates by itself when that is due, so that no clock needs to tick for it.
// It must not be called within a transaction.
func (k *keyring) signer(ctx context.Context) (signingKey, error) {
	k.maintain(ctx)
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.keys) == 0 {
		return signingKey{}, errors.New("there is no signing key")
	}
	now := k.now()
	for i := len(k.keys) - 1; i > 0; i-- {
		if !k.keys[i].activeAt.After(now) {
			return k.keys[i], nil
		}
	}
	return k.keys[0], nil
}

// Key implements authn.KeySource.
func (k *keyring) Key(ctx context.Context, keyID string) (ed25519.PublicKey, error) {
	if key, ok := k.published()[keyID]; ok {
		return key, nil
	}
	k.mu.Lock()
	now := k.now()
	look := now.Sub(k.missed) >= keyMissWait || now.Before(k.missed)
	if look {
		k.missed = now
	}
	k.mu.Unlock()
	if look {
		if err := k.load(ctx); err != nil {
			return nil, err
		}
	}
	return k.published().Key(ctx, keyID)
}

// published returns the keys of tokens that may be alive, now or soon.
func (k *keyring) published() authn.Keys {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := k.now()
	keys := make(authn.Keys, len(k.keys))
	for i, key := range k.keys {
		if i+1 == len(k.keys) || now.Before(k.deadAt(k.keys[i+1])) {
			keys[key.id] = key.private.Public().(ed25519.PublicKey) //nolint:forcetypeassert // its documented type
		}
	}
	return keys
}

// deadAt is when the last token has expired that was signed before next became active.
func (k *keyring) deadAt(next signingKey) time.Time {
	return next.activeAt.Add(k.config.AccessLifetime + keySlack)
}

// maintain rotates when it is due and looks for the keys of other processes now and then. It leaves both to whoever is
// at it already, and goes on with the keys it has when the database fails.
func (k *keyring) maintain(ctx context.Context) {
	k.mu.RLock()
	now := k.now()
	age := now.Sub(k.loaded)
	due := age >= keyReload || age < 0 || k.rotationDue(now)
	k.mu.RUnlock()
	if !due || !k.refreshing.TryLock() {
		return
	}
	defer k.refreshing.Unlock()
	if err := k.refreshLocked(ctx); err != nil && ctx.Err() == nil {
		k.logger.ErrorContext(ctx, "signing keys were not refreshed", "error", err)
	}
}

// rotationDue reports whether the next key should be published. The lock is held.
func (k *keyring) rotationDue(now time.Time) bool {
	if len(k.keys) == 0 {
		return true
	}
	last := k.keys[len(k.keys)-1]
	return !now.Before(last.activeAt.Add(k.config.KeyLifetime - k.config.KeyAhead))
}

func (k *keyring) refresh(ctx context.Context) error {
	k.refreshing.Lock()
	defer k.refreshing.Unlock()
	return k.refreshLocked(ctx)
}

// refreshLocked loads the keys, adds the next one if it is due, and removes those that are long dead.
func (k *keyring) refreshLocked(ctx context.Context) error {
	if err := k.load(ctx); err != nil {
		return err
	}
	next, due, err := k.next()
	if err != nil || !due {
		return err
	}
	added, err := k.storage.insertKey(ctx, next)
	if err != nil {
		return err
	}
	if added {
		k.logger.InfoContext(ctx, "signing key published", "key_id", next.id, "active_at", next.activeAt)
		if err := k.storage.deleteKeys(ctx, k.deadSerial()); err != nil {
			return err
		}
	}
	return k.load(ctx)
}

// next makes the key that should be published now.
func (k *keyring) next() (signingKey, bool, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := k.now()
	if !k.rotationDue(now) {
		return signingKey{}, false, nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return signingKey{}, false, fmt.Errorf("make signing key: %w", err)
	}
	key := signingKey{id: authn.KeyID(public), serial: 1, private: private, created: now, activeAt: now}
	if n := len(k.keys); n > 0 {
		last := k.keys[n-1]
		key.serial = last.serial + 1
		key.activeAt = later(last.activeAt.Add(k.config.KeyLifetime), now.Add(k.config.KeyAhead))
	}
	return key, true, nil
}

// deadSerial is the serial of the last key that has not been published for a day, 0 if there is none.
func (k *keyring) deadSerial() (serial int) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := 1; i < len(k.keys); i++ {
		if k.now().After(k.deadAt(k.keys[i]).Add(24 * time.Hour)) {
			serial = k.keys[i-1].serial
		}
	}
	return serial
}

func (k *keyring) load(ctx context.Context) error {
	asked := k.now()
	keys, err := k.storage.keys(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.loaded = keys, asked
	return nil
}

// ServeHTTP serves the published keys as a JSON Web Key Set (RFC 7517).
func (k *keyring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	k.maintain(r.Context())
	body, err := authn.EncodeJWKS(k.published())
	if err != nil {
		k.logger.ErrorContext(r.Context(), "key set was not encoded", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(jwksMaxAge.Seconds())))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the client may have left
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
