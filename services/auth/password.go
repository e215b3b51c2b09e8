package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// Sizes of a hash, in bytes, and bounds of what a stored one may ask for.
const (
	saltBytes    = 16
	hashBytes    = 32
	maxMemoryKiB = 1 << 20
	maxPasses    = 64
)

// busyRetry is what those are told to wait who find the queue full.
const busyRetry = 2 * time.Second

// passwords hashes by argon2id, a few at a time, so that no number of attempts can take the machine's memory.
type passwords struct {
	cost    Argon2
	slots   chan struct{}
	queue   int64
	waiting atomic.Int64
	// decoy is what the passwords of unknown users are compared with, so that they cost the same.
	decoy string
}

func newPasswords(c Config) *passwords {
	p := &passwords{cost: c.Argon2, slots: make(chan struct{}, c.HashConcurrency), queue: int64(c.HashQueue)}
	p.decoy = p.derive(rand.Text())
	return p
}

// hash returns the PHC string of a password under a fresh salt. Errors: RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS), the
// context's.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return p.derive(password), nil
}

// matches compares a password with a PHC string; the empty one matches nothing, at the same cost. An error means that
// nothing was compared: RESOURCE_EXHAUSTED (TOO_MANY_ATTEMPTS), the context's, or a stored hash that is malformed.
func (p *passwords) matches(ctx context.Context, stored, password string) (bool, error) {
	unknown := stored == ""
	if unknown {
		stored = p.decoy
	}
	cost, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	release, err := p.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Lanes, uint32(len(want))) //nolint:gosec // bounded
	return subtle.ConstantTimeCompare(got, want) == 1 && !unknown, nil
}

// outdated reports whether a stored hash has another cost than new ones.
func (p *passwords) outdated(stored string) bool {
	cost, _, want, err := parsePHC(stored)
	return err != nil || cost != p.cost || len(want) != hashBytes
}

// acquire waits for a slot. Argon2 itself cannot be interrupted, so a context that ends later changes nothing.
func (p *passwords) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-p.slots }
	select {
	case p.slots <- struct{}{}:
		return release, nil
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.queue {
		return nil, errTooManyAttempts(busyRetry)
	}
	select {
	case p.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
}

func (p *passwords) derive(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, p.cost.Passes, p.cost.MemoryKiB, p.cost.Lanes, hashBytes)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.MemoryKiB, p.cost.Passes,
		p.cost.Lanes, encode(salt), encode(key))
}

// parsePHC reads "$argon2id$v=19$m=19456,t=2,p=1$salt$hash".
func parsePHC(stored string) (cost Argon2, salt, hash []byte, err error) {
	malformed := errors.New("a stored password hash is malformed")
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return cost, nil, nil, malformed
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return cost, nil, nil, malformed
	}
	_, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.MemoryKiB, &cost.Passes, &cost.Lanes)
	if err != nil || cost.MemoryKiB > maxMemoryKiB || cost.Passes == 0 || cost.Passes > maxPasses || cost.Lanes == 0 {
		return cost, nil, nil, malformed
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	hash, hashErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || hashErr != nil || len(salt) == 0 || len(hash) < 16 || len(hash) > 64 {
		return cost, nil, nil, malformed
	}
	return cost, salt, hash, nil
}
