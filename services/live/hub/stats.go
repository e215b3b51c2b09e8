package hub

import "time"

// Stats describes a stream as it arrives.
type Stats struct {
	Info
	FrameRate     float64 // video frames a second over the last seconds
	VideoBitrate  int64   // bits a second over the last seconds
	AudioBitrate  int64   // bits a second over the last seconds
	GOPLength     time.Duration
	Gaps          int64 // jumps of the clock, and reconnections
	DroppedFrames int64 // pictures missing by the times of those around them; see drops
	ReceivedBytes int64
	Viewers       int   // open playback connections
	Skips         int64 // times that a slow viewer was moved to a newer keyframe
}

// window is how far back rates look.
const window = 5

// rates counts by wall-clock second.
type rates struct {
	second  int64
	buckets [window + 1]bucket // the last one is the running second
}

type bucket struct{ frames, video, audio int64 }

func (r *rates) roll(now time.Time) {
	second := now.Unix()
	if steps := second - r.second; steps > 0 {
		if steps > window {
			r.buckets = [window + 1]bucket{}
		} else {
			copy(r.buckets[:], r.buckets[steps:])
			clear(r.buckets[window+1-steps:])
		}
		r.second = second
	}
}

func (r *rates) add(now time.Time, kind Kind, bytes int) {
	r.roll(now)
	b := &r.buckets[window]
	if kind == Audio {
		b.audio += int64(bytes)
		return
	}
	b.video += int64(bytes)
	b.frames++
}

// read averages over the whole seconds that have data.
func (r *rates) read(now time.Time) (frameRate float64, videoBits, audioBits int64) {
	r.roll(now)
	var sum bucket
	seconds := int64(0)
	for _, b := range r.buckets[:window] {
		if b != (bucket{}) {
			seconds++
		}
		sum.frames += b.frames
		sum.video += b.video
		sum.audio += b.audio
	}
	if seconds == 0 {
		return 0, 0, 0
	}
	return float64(sum.frames) / float64(seconds), sum.video * 8 / seconds, sum.audio * 8 / seconds
}
