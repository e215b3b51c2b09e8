package main

import (
	"slices"
	"testing"
	"time"
)

func TestHistogramIsThreePercentOff(t *testing.T) {
	var h histogram
	if got := h.percentile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	var all []time.Duration
	for d := time.Microsecond; d < time.Minute; d += d/7 + time.Microsecond {
		h.add(d)
		all = append(all, d)
	}
	h.add(-time.Second) // clocks of two processors may differ
	all = append(all, 0)
	slices.Sort(all)
	for _, share := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := all[max(int(share*float64(len(all))+0.5), 1)-1].Truncate(time.Microsecond)
		if got := h.percentile(share); got < want || got > want+want/32+time.Microsecond {
			t.Errorf("percentile %v is %v, want %v", share, got, want)
		}
	}
}

func TestBucketsHaveNoGaps(t *testing.T) {
	last := -1
	for us := range int64(1 << 16) {
		bucket := bucketOf(time.Duration(us) * time.Microsecond)
		if bucket != last && bucket != last+1 {
			t.Fatalf("%d µs is in bucket %d, the one before in %d", us, bucket, last)
		}
		if end := upperEnd(bucket); end.Microseconds() < us {
			t.Fatalf("%d µs is in a bucket that ends at %v", us, end)
		}
		last = bucket
	}
}
