package auth

import (
	"cmp"
	"errors"
	"runtime"
	"time"
)

// Config is what an operator may set. The zero value of each field means its default.
type Config struct {
	// AccessLifetime is how long an access token lives: at most so long does a revoked session go on where the news did
	// not arrive. Default 15 minutes. Verifiers' Revocations must be made with the same.
	AccessLifetime time.Duration
	// RefreshLifetime is how long a session lives without a refresh. Default 30 days.
	RefreshLifetime time.Duration
	// RefreshGrace is how long after its first use a refresh token is taken again from a client that did not get the
	// answer, as long as the answer's token was not used. Default 20 seconds: two calls that time out.
	RefreshGrace time.Duration
	// GuestLifetime is how long a guest who does not come back is kept, with the devices; RefreshLifetime at least.
	// Default 30 days, or RefreshLifetime if that is longer.
	GuestLifetime time.Duration
	// KeyLifetime is how long a key signs. Default 30 days.
	KeyLifetime time.Duration
	// KeyAhead is how long a key is published before it signs. Default 1 hour.
	KeyAhead time.Duration

	// Argon2 is the cost of a password. Hashes of another cost are renewed when their owner signs in.
	Argon2 Argon2
	// HashConcurrency is how many passwords are hashed at once, each taking Argon2.MemoryKiB. Default GOMAXPROCS.
	HashConcurrency int
	// HashQueue is how many more may wait for that; those beyond are refused. Default 64 a slot.
	HashQueue int

	// SignInAttempts is how often a password may be guessed for one username in SignInWindow (and, on their own, by a
	// device where that user signed in before). After it each guess must wait, at first a minute, then twice as long
	// each time, up to an hour. Default 10.
	SignInAttempts int
	// SignInWindow is how long wrong guesses are remembered. Default 15 minutes.
	SignInWindow time.Duration
	// DeviceAttempts and AddressAttempts are the same as SignInAttempts for all usernames together, by one device and
	// from one client address (IPv6: one /64). Defaults 30 and 100.
	DeviceAttempts  int
	AddressAttempts int

	// RegistrationsPerMinute and RegistrationBurst limit what one client address makes: devices, guests and users, each
	// kind on its own. Defaults 120 and 1000.
	RegistrationsPerMinute int
	RegistrationBurst      int
	// TrustClientAddress takes the client's address from the header X-Stoa-Client-Address whoever sends it. Set it
	// where only the gateway can reach this service over a network; calls in memory are trusted without it.
	TrustClientAddress bool
}

// Argon2 is the cost of argon2id. The defaults are OWASP's: 19 MiB, 2 passes, 1 lane.
type Argon2 struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

func (c Config) withDefaults() Config {
	const day = 24 * time.Hour
	c.AccessLifetime = cmp.Or(c.AccessLifetime, 15*time.Minute)
	c.RefreshLifetime = cmp.Or(c.RefreshLifetime, 30*day)
	c.RefreshGrace = cmp.Or(c.RefreshGrace, 20*time.Second)
	c.GuestLifetime = cmp.Or(c.GuestLifetime, max(30*day, c.RefreshLifetime))
	c.KeyLifetime = cmp.Or(c.KeyLifetime, 30*day)
	c.KeyAhead = cmp.Or(c.KeyAhead, time.Hour)
	c.Argon2.MemoryKiB = cmp.Or(c.Argon2.MemoryKiB, 19<<10)
	c.Argon2.Passes = cmp.Or(c.Argon2.Passes, 2)
	c.Argon2.Lanes = cmp.Or(c.Argon2.Lanes, 1)
	c.HashConcurrency = cmp.Or(c.HashConcurrency, runtime.GOMAXPROCS(0))
	c.HashQueue = cmp.Or(c.HashQueue, 64*c.HashConcurrency)
	c.SignInAttempts = cmp.Or(c.SignInAttempts, 10)
	c.SignInWindow = cmp.Or(c.SignInWindow, 15*time.Minute)
	c.DeviceAttempts = cmp.Or(c.DeviceAttempts, 30)
	c.AddressAttempts = cmp.Or(c.AddressAttempts, 100)
	c.RegistrationsPerMinute = cmp.Or(c.RegistrationsPerMinute, 120)
	c.RegistrationBurst = cmp.Or(c.RegistrationBurst, 1000)
	return c
}

// check refuses what would not work, after the defaults.
func (c Config) check() error {
	positive := min(c.AccessLifetime, c.RefreshLifetime, c.RefreshGrace, c.KeyLifetime, c.KeyAhead, c.SignInWindow) > 0 &&
		min(c.HashConcurrency, c.HashQueue, c.SignInAttempts, c.DeviceAttempts, c.AddressAttempts,
			c.RegistrationsPerMinute, c.RegistrationBurst) > 0
	switch {
	case !positive:
		return errors.New("auth config: a length of time or a limit is negative")
	case c.AccessLifetime < time.Second:
		return errors.New("auth config: access tokens must live a second at least")
	case c.RefreshLifetime < c.AccessLifetime:
		return errors.New("auth config: a session must outlive its access tokens")
	case c.RefreshGrace >= c.RefreshLifetime:
		return errors.New("auth config: a refresh token must not be retried for as long as a session lives")
	case c.GuestLifetime < c.RefreshLifetime:
		return errors.New("auth config: a guest must be kept for as long as a session lives")
	case c.KeyLifetime <= c.KeyAhead:
		return errors.New("auth config: a key must sign for longer than it is published ahead")
	case c.Argon2.MemoryKiB > maxMemoryKiB || c.Argon2.Passes > maxPasses:
		return errors.New("auth config: argon2 costs at most 1 GiB and 64 passes")
	}
	return nil
}
