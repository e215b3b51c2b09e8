package hub

// Bounds on how an encoder's clock may move, in ms, before it counts as a jump.
const (
	maxForward  = 5000
	maxBackward = 1000
	// maxApart is how far sound and picture may be from each other and still be on one clock.
	maxApart = 5000
	// step is put between the last frame before a jump and the first after it.
	step = 40
)

// timeline turns an encoder's timestamps, which may wrap, jump, or start anew with each connection, into one clock
// that starts at 0 and never jumps, so that players keep playing. Each track is followed by itself, since sound and
// picture may lie apart; a track that jumps follows the other one where that has jumped alike, so that lips and voice
// stay together.
type timeline struct {
	started bool
	latest  int64 // highest time given out, ms on the stream's clock
	video   track
	audio   track
}

// track is how one track's timestamps relate to the stream's clock.
type track struct {
	seen   bool   // in this connection
	lastIn uint32 // as sent
	in     int64  // the same without wraps
	offset int64  // from in to the stream's clock
	out    int64  // last time given out: decoders want it to rise
}

// reconnect makes the next frame follow the last one, whatever it says.
func (t *timeline) reconnect() { t.video.seen, t.audio.seen = false, false }

// place returns the frame's time on the stream's clock, and whether the clock jumped.
func (t *timeline) place(kind Kind, timestamp uint32) (at int64, jumped bool) {
	own, other := &t.audio, &t.video
	if kind == Video {
		own, other = other, own
	}
	switch {
	case own.seen:
		delta := int64(int32(timestamp - own.lastIn))
		own.in += delta
		if delta > maxForward || delta < -maxBackward {
			jumped = !t.follow(own, other)
		}
	case other.seen:
		own.in = other.in + int64(int32(timestamp-other.lastIn))
		jumped = !t.follow(own, other)
	default:
		own.in = int64(timestamp)
		own.offset = -own.in
		if t.started {
			own.offset += t.latest + step
		}
	}
	own.seen, own.lastIn, t.started = true, timestamp, true
	at = max(own.in+own.offset, own.out, 0)
	own.out = at
	t.latest = max(t.latest, at)
	return at, jumped
}

// follow puts a track on the other's clock where it fits there, and otherwise right after everything so far.
func (t *timeline) follow(own, other *track) bool {
	if at := own.in + other.offset; other.seen && at-t.latest <= maxApart && t.latest-at <= maxApart {
		own.offset = other.offset
		return true
	}
	own.offset = t.latest + step - own.in
	return false
}

// last returns where the last frame of a track was placed.
func (t *timeline) last(kind Kind) int64 {
	if kind == Video {
		return t.video.out
	}
	return t.audio.out
}
