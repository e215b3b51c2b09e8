package presence

import (
	"errors"
	"fmt"
	"time"
)

// Config is what an operator may set. Zero values mean the defaults.
type Config struct {
	// Grace is how long a user who left counts as online, for those who come right back. Default 10 s, which the contract
	// promises.
	Grace time.Duration
	// Lost is after which silence an edge is taken for gone. Default 30 s; edges report every 10.
	Lost time.Duration
	// Pulse is the least time between two events of a topic. Default 1 s, which the contract promises.
	Pulse time.Duration
	// Remember is after which time it is stored again that somebody is here: what of last seen a kill loses. Default 5 min.
	Remember time.Duration
	// Settle is how long after a start those who were here before are taken to be here still, unless an edge says so. Default
	// 15 s, in which every edge has reported all its people.
	Settle time.Duration
	// Timeout is how long the bus and the store may take for each of the things that a pulse does. Default 5 s.
	Timeout time.Duration
	// ChangeRate is how often a second a user may change their status, and their privacy, in the long run, ChangeBurst how
	// often at once. Default 0.2 and 10.
	ChangeRate  float64
	ChangeBurst int
	// Keep is how long it is remembered when somebody was last seen whom auth does not know any longer. Default 30 days.
	Keep time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Grace", &c.Grace, 10 * time.Second},
		{"Lost", &c.Lost, 30 * time.Second},
		{"Pulse", &c.Pulse, time.Second},
		{"Remember", &c.Remember, 5 * time.Minute},
		{"Settle", &c.Settle, 15 * time.Second},
		{"Timeout", &c.Timeout, 5 * time.Second},
		{"Keep", &c.Keep, 30 * 24 * time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return Config{}, fmt.Errorf("%s is %v, want more than 0", d.name, *d.value)
		}
	}
	if c.ChangeRate == 0 {
		c.ChangeRate = 0.2
	}
	if !(c.ChangeRate > 0) { // nor NaN
		return Config{}, errors.New("ChangeRate must be above 0")
	}
	if c.ChangeBurst == 0 {
		c.ChangeBurst = 10
	}
	if c.ChangeBurst < 1 {
		return Config{}, fmt.Errorf("ChangeBurst is %d, want at least 1", c.ChangeBurst)
	}
	return c, nil
}
