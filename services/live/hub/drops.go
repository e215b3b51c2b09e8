package hub

import (
	"math"
	"slices"
)

// Bounds of the rule by which missing pictures are counted.
const (
	dropWindow  = 64 // intervals that are looked back on
	dropLearn   = 32 // intervals that must be known before anything is counted
	dropRefresh = 8  // intervals between two looks back
	dropRun     = 3  // gaps that may follow each other
	minInterval = 4  // ms; what is shorter is no frame rate
)

// drops counts the pictures that an encoder left out, by the times of those around them. It would rather miss one than
// see one that was never there, since a variable frame rate is no fault:
//
//   - A rate is known when at least two thirds of the last 64 intervals are ordinary, that is within a quarter (or 2
//     ms) of their median, and make up at least a third of the time. While there is none, because the rate varies, the
//     picture rests most of the time, or too little has come yet, nothing is counted.
//   - An interval of a whole number of frames, two or more, is a gap: as whole as the ordinary ones are regular. It
//     counts once an ordinary interval follows.
//   - More than three gaps that follow each other are a new pace, and any other interval is irregular: both are
//     forgotten.
//   - An interval over a lost connection or a jump of the clock is none.
type drops struct {
	count int64

	started   bool
	last      int64 // ms
	intervals [dropWindow]int64
	seen      int // intervals so far, of this connection

	steady   bool
	mean     float64 // of ordinary intervals, ms: closer than the median, which is rounded to whole ones
	within   float64 // how far from it the ordinary ones are, ms
	pending  int64   // pictures in gaps that no ordinary interval has followed yet
	gapsHeld int
}

// reconnect forgets what the former connection looked like, but not what was counted.
func (d *drops) reconnect() { *d = drops{count: d.count} }

// jump makes the next picture the first after a break.
func (d *drops) jump() { d.started, d.pending, d.gapsHeld = false, 0, 0 }

// picture takes the time of the next picture, in ms.
func (d *drops) picture(at int64) {
	interval := at - d.last
	d.last = at
	if !d.started {
		d.started = true
		return
	}
	d.judge(float64(interval))
	d.intervals[d.seen%dropWindow] = interval
	if d.seen++; d.seen >= dropLearn && d.seen%dropRefresh == 0 {
		d.look()
	}
}

// judge counts what is missing before a picture.
func (d *drops) judge(interval float64) {
	if !d.steady {
		return
	}
	frames := int64(interval/d.mean + 0.5)
	off := math.Abs(interval - float64(frames)*d.mean)
	// The mean is not exact, and a long gap multiplies its error.
	within := max(d.within, min(d.mean/4, d.within+float64(frames)/dropLearn))
	switch {
	case frames < 1 || off > within:
		d.pending, d.gapsHeld = 0, 0
	case frames > 1:
		d.pending += frames - 1
		d.gapsHeld++
	default:
		if d.gapsHeld <= dropRun {
			d.count += d.pending
		}
		d.pending, d.gapsHeld = 0, 0
	}
}

// look finds the rate of the last intervals, if they have one.
func (d *drops) look() {
	n := min(d.seen, dropWindow)
	sorted := d.intervals // a copy
	slices.Sort(sorted[:n])
	median := float64(sorted[n/2])
	within := max(2, median/4)
	ordinary, sum, all, spread := 0, int64(0), int64(0), 0.0
	for _, interval := range sorted[:n] {
		all += interval
		if off := math.Abs(float64(interval) - median); off <= within {
			ordinary++
			sum += interval
			spread = max(spread, off)
		}
	}
	d.steady = median >= minInterval && 3*ordinary >= 2*n && 3*sum >= all
	if !d.steady {
		d.pending, d.gapsHeld = 0, 0
		return
	}
	d.mean, d.within = float64(sum)/float64(ordinary), max(2, spread)
}
