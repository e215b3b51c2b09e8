package hub_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// at returns the times of n pictures at a frame rate, rounded to ms as FLV has them.
func at(rate float64, n int) []float64 {
	times := make([]float64, n)
	for i := range times {
		times[i] = float64(i) * 1000 / rate
	}
	return times
}

// without leaves pictures out.
func without(times []float64, missing func(i int) bool) []float64 {
	var out []float64
	for i, t := range times {
		if !missing(i) {
			out = append(out, t)
		}
	}
	return out
}

// then lets pictures follow, after a time in ms.
func then(times []float64, pause float64, more ...float64) []float64 {
	from := times[len(times)-1] + pause
	for _, t := range more {
		times = append(times, from+t)
	}
	return times
}

// jittered moves each picture by up to so many ms.
func jittered(times []float64, by float64) []float64 {
	random := rand.New(rand.NewPCG(1, 2))
	out := slices.Clone(times)
	for i := range out {
		out[i] = max(0, out[i]+by*(2*random.Float64()-1))
	}
	return out
}

// scattered is a picture every so many ms, chosen at random between the bounds.
func scattered(n int, least, most float64) []float64 {
	random := rand.New(rand.NewPCG(3, 4))
	times := make([]float64, n)
	for i := 1; i < n; i++ {
		times[i] = times[i-1] + least + (most-least)*random.Float64()
	}
	return times
}

// show publishes pictures at their times.
func (e *encoder) show(times []float64) {
	e.t.Helper()
	for i, t := range times {
		e.at = uint32(math.Round(t))
		e.serial++
		if i == 0 {
			e.write(hub.Video, hubtest.Key(e.serial, 0))
		} else {
			e.write(hub.Video, hubtest.Inter(e.serial, 0))
		}
	}
}

func TestDroppedFrames(t *testing.T) {
	t.Parallel()
	every := func(n int) func(int) bool { return func(i int) bool { return i > 100 && i%n == 0 } }
	between := func(from, to int) func(int) bool { return func(i int) bool { return i >= from && i < to } }
	chance := rand.New(rand.NewPCG(5, 6))
	for name, c := range map[string]struct {
		times []float64
		want  int64
	}{
		"24 a second":                       {at(24, 500), 0},
		"25 a second":                       {at(25, 500), 0},
		"29.97 a second":                    {at(30000.0/1001, 500), 0},
		"30 a second":                       {at(30, 500), 0},
		"59.94 a second":                    {at(60000.0/1001, 500), 0},
		"120 a second":                      {at(120, 500), 0},
		"2 a second":                        {at(2, 100), 0},
		"one missing":                       {without(at(30, 300), between(200, 201)), 1},
		"one missing at 60":                 {without(at(60, 300), between(200, 201)), 1},
		"every tenth missing":               {without(at(30, 300), every(10)), 19},
		"every fifth missing":               {without(at(30, 300), every(5)), 39},
		"up to the next keyframe":           {without(at(30, 300), between(200, 259)), 59},
		"up to the next keyframe at 60":     {without(at(60, 600), between(300, 419)), 119},
		"two bursts":                        {without(at(25, 400), func(i int) bool { return between(150, 160)(i) || between(300, 345)(i) }), 55},
		"three gaps in a row":               {without(at(25, 300), func(i int) bool { return i > 200 && i < 207 && i%2 == 0 }), 3},
		"one missing among jitter":          {without(jittered(at(30, 300), 3), between(200, 201)), 1},
		"jitter":                            {jittered(at(30, 600), 6), 0},
		"much jitter":                       {jittered(at(30, 600), 15), 0},
		"missing before a rate is known":    {without(at(30, 300), between(10, 20)), 0},
		"missing at the end":                {without(at(30, 300), between(250, 299)), 0}, // nothing ordinary follows
		"a variable rate":                   {scattered(600, 20, 120), 0},
		"one that varies little":            {scattered(600, 30, 45), 0},
		"from 30 to 15 and back":            {then(then(at(30, 200), 1000.0/15, at(15, 200)...), 1000.0/30, at(30, 200)...), 0},
		"from 60 to 30":                     {then(at(60, 300), 1000.0/30, at(30, 300)...), 0},
		"from 30 to 60":                     {then(at(30, 300), 1000.0/60, at(60, 300)...), 0},
		"from 30 to 10":                     {then(at(30, 300), 100, at(10, 300)...), 0},
		"half of the pictures, at random":   {without(at(30, 600), func(int) bool { return chance.IntN(2) == 0 }), 0},
		"half of the time missing":          {without(at(30, 900), func(i int) bool { return i >= 100 && i%30 < 15 }), 395},
		"ten pictures of sixty":             {without(at(30, 900), func(i int) bool { return i%60 >= 10 }), 0},
		"a screen that moves now and then":  {without(at(30, 900), func(i int) bool { return i%30 > 4 && i%30 < 29 }), 0},
		"all at the same time":              {make([]float64, 300), 0},
		"a pause that is no whole number":   {then(at(25, 200), 500, at(25, 200)...), 0},
		"a jump of the clock":               {then(at(25, 200), 60_000, at(25, 200)...), 0},
		"a jump back":                       {then(at(25, 200), -4000, at(25, 200)...), 0},
		"one missing before and one behind": {without(then(at(25, 200), 60_000, at(25, 200)...), func(i int) bool { return i == 150 || i == 350 }), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := encode(t, hub.Config{})
			e.show(c.times)
			if got := e.stream.Stats().DroppedFrames; got != c.want {
				t.Errorf("%d pictures of %d are missing, want %d", got, len(c.times), c.want)
			}
		})
	}
}

// TestDroppedFramesAcrossConnections: what was lost with a connection is a gap, not dropped pictures; what was dropped
// before stays counted, and the next encoder has a rate of its own.
func TestDroppedFramesAcrossConnections(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{})
	e.show(without(at(30, 200), func(i int) bool { return i == 100 }))
	e.Close()
	e = encodeTo(t, e.stream)
	e.show(at(15, 200))
	if got := e.stream.Stats(); got.DroppedFrames != 1 || got.Gaps != 1 {
		t.Errorf("after a reconnection %d pictures are missing and %d gaps counted, want one of each", got.DroppedFrames, got.Gaps)
	}
	e.Close()
	e = encodeTo(t, e.stream)
	e.show(without(at(60, 200), func(i int) bool { return i == 150 }))
	if got := e.stream.Stats().DroppedFrames; got != 2 {
		t.Errorf("%d pictures are missing, want 2", got)
	}
}

// TestSoundIsNoPicture: the packets of sound between pictures do not count, nor does a stream without pictures.
func TestSoundIsNoPicture(t *testing.T) {
	t.Parallel()
	e := encode(t, hub.Config{})
	for range 300 {
		e.sound()
		e.at += 23
	}
	if got := e.stream.Stats().DroppedFrames; got != 0 {
		t.Errorf("%d pictures are missing where there are none", got)
	}
}
