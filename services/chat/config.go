package chat

import (
	"errors"
	"fmt"
	"time"
)

// Config is what an operator may set. Zero values mean the defaults.
type Config struct {
	// UserRate is how many messages a second one user may send in the long run, UserBurst how many at once. Default 3
	// and 10.
	UserRate  float64
	UserBurst int
	// RoomRate is how many messages a second one conversation takes in the long run, RoomBurst how many at once. Default
	// 200 and 400.
	RoomRate  float64
	RoomBurst int
	// LikeRate is how many likes a second one user may give in the long run, LikeBurst how many at once, at least 50,
	// which one call may bring. Default 30 and 100.
	LikeRate  float64
	LikeBurst int
	// MaxSubscriptions is how many streams one user may have open. Default 20.
	MaxSubscriptions int
	// Queue is how many events a subscriber may be behind before it is cut. Default 256.
	Queue int
	// MaxBatch is how many messages one transaction stores at most. Default 256.
	MaxBatch int
	// Heartbeat is the silence after which a subscriber is told that all is well. Default 15 s, which the contract
	// promises.
	Heartbeat time.Duration
	// Patience is how long a subscriber may take for one message of history before it is cut. Default 30 s.
	Patience time.Duration
}

// mostLikes is how many likes one call may bring, by the contract.
const mostLikes = 50

func (c Config) withDefaults() (Config, error) {
	for _, rate := range []struct {
		value    *float64
		fallback float64
	}{{&c.UserRate, 3}, {&c.RoomRate, 200}, {&c.LikeRate, 30}} {
		if *rate.value == 0 {
			*rate.value = rate.fallback
		}
		if !(*rate.value > 0) { // nor NaN
			return Config{}, errors.New("a rate must be above 0")
		}
	}
	for _, number := range []struct {
		name           string
		value          *int
		fallback, from int
	}{
		{"UserBurst", &c.UserBurst, 10, 1},
		{"RoomBurst", &c.RoomBurst, 400, 1},
		{"LikeBurst", &c.LikeBurst, 100, mostLikes},
		{"MaxSubscriptions", &c.MaxSubscriptions, 20, 1},
		{"Queue", &c.Queue, 256, 1},
		{"MaxBatch", &c.MaxBatch, 256, 1},
	} {
		if *number.value == 0 {
			*number.value = number.fallback
		}
		if *number.value < number.from {
			return Config{}, fmt.Errorf("%s is %d, want at least %d", number.name, *number.value, number.from)
		}
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	if c.Heartbeat < 0 || c.Patience < 0 {
		return Config{}, errors.New("a heartbeat and a patience must be above 0")
	}
	return c, nil
}
