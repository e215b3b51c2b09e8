package chat

import (
	"errors"
	"fmt"
)

// Config is what an operator may set. Zero values mean the defaults.
type Config struct {
	// UserRate is how many messages a second one user may send in the long run, UserBurst how many at once. Default 3,
	// and 10 or, where that is more, three seconds' worth.
	UserRate  float64
	UserBurst int
	// RoomRate is how many messages a second one live room takes in the long run, RoomBurst how many at once. Default
	// 200, and two seconds' worth.
	RoomRate  float64
	RoomBurst int
	// LikeRate is how many likes a second one user may give in the long run, LikeBurst how many at once, at least 50,
	// which one call may bring. Default 30 and 100.
	LikeRate  float64
	LikeBurst int
	// MaxBatch is how many messages one transaction stores at most, or changes that take as long. Default 256.
	MaxBatch int
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
		{"UserBurst", &c.UserBurst, max(10, int(3*c.UserRate)), 1},
		{"RoomBurst", &c.RoomBurst, max(1, int(2*c.RoomRate)), 1},
		{"LikeBurst", &c.LikeBurst, 100, mostLikes},
		{"MaxBatch", &c.MaxBatch, 256, 1},
	} {
		if *number.value == 0 {
			*number.value = number.fallback
		}
		if *number.value < number.from {
			return Config{}, fmt.Errorf("%s is %d, want at least %d", number.name, *number.value, number.from)
		}
	}
	return c, nil
}
