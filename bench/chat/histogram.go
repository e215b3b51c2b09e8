package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	fineBits = 5 // each power of two is cut in 32, so a value is at most 3 % off
	buckets  = (64 - fineBits) << fineBits
)

// histogram counts durations in a fixed room, however many there are; safe for many goroutines.
type histogram struct{ counts [buckets]atomic.Int64 }

func (h *histogram) add(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

// percentile returns the duration that the given share of all, from 0 to 1, are not above; 0 when there are none.
func (h *histogram) percentile(share float64) time.Duration {
	var total, seen int64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	want := max(int64(share*float64(total)+0.5), 1)
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= want && total > 0 {
			return upperEnd(i)
		}
	}
	return 0
}

// bucketOf puts a duration, in µs, with those that share its highest bits.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	shift := max(bits.Len64(us)-fineBits-1, 0)
	return shift<<fineBits + int(us>>shift)
}

// upperEnd is the longest duration of a bucket.
func upperEnd(bucket int) time.Duration {
	shift := max(bucket>>fineBits-1, 0)
	us := (uint64(bucket-shift<<fineBits)+1)<<shift - 1
	return time.Duration(us) * time.Microsecond
}
