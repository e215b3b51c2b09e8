package hub

// Bounds on how an encoder's clock may move between two frames, in ms, before it counts as a jump.
const (
	maxForward  = 5000
	maxBackward = 1000
	// step is put between the last frame before a jump and the first after it.
	step = 40
)

// timeline turns an encoder's timestamps, which may wrap, jump, or start anew with each connection, into one clock
// that starts at 0 and never jumps, so that players keep playing.
type timeline struct {
	started bool
	rejoin  bool   // the next frame comes from a new connection
	lastIn  uint32 // of the last frame, as sent
	now     int64  // of the last frame, ms on the stream's clock
	latest  int64  // highest yet
	video   int64  // last of each track: decoders want them to rise
	audio   int64
}

// reconnect makes the next frame follow the last one, whatever it says.
func (t *timeline) reconnect() { t.rejoin = t.started }

// place returns the frame's time on the stream's clock, and whether it jumped.
func (t *timeline) place(kind Kind, timestamp uint32) (at int64, jumped bool) {
	switch delta := int64(int32(timestamp - t.lastIn)); {
	case !t.started:
		t.started = true
	case t.rejoin:
		t.rejoin = false
		t.now = t.latest + step
	case delta > maxForward || delta < -maxBackward:
		jumped = true
		t.now = t.latest + step
	default:
		t.now += delta
	}
	t.lastIn = timestamp
	track := &t.audio
	if kind == Video {
		track = &t.video
	}
	at = max(t.now, *track, 0)
	*track = at
	t.latest = max(t.latest, at)
	return at, jumped
}

// last returns where the last frame of a track was placed.
func (t *timeline) last(kind Kind) int64 {
	if kind == Video {
		return t.video
	}
	return t.audio
}
