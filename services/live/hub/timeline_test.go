package hub_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// Bounds that the stream's clock keeps, in ms.
const (
	maxStep  = 5000 // between two frames, whatever the encoder says
	rejoined = 40   // between the last frame before a jump or a lost connection and the first after it
)

// clock publishes sound and picture at chosen times and tells where they were put.
type clock struct {
	*encoder

	reader *hub.Reader
}

func newClock(t failer) *clock {
	e := encode(t, hub.Config{})
	return &clock{e, e.stream.Tail()}
}

// place returns where a frame with an encoder's timestamp comes to be.
func (c *clock) place(kind hub.Kind, timestamp uint32) uint32 {
	c.t.Helper()
	c.at = timestamp
	if kind == hub.Video {
		c.key(0)
	} else {
		c.sound()
	}
	blocks, _ := c.reader.Poll(nil)
	if len(blocks) != 1 {
		c.t.Fatalf("the frame came in %d blocks", len(blocks))
	}
	tags, rest, err := hubtest.Tags(blocks[0].FLV())
	if err != nil || len(tags) != 1 || len(rest) > 0 || tags[0].Serial() != c.serial {
		c.t.Fatalf("the frame came as %+v, %v", tags, err)
	}
	return tags[0].At
}

// reconnect makes what follows come from another connection.
func (c *clock) reconnect() {
	c.t.Helper()
	c.Close()
	serial := c.serial
	c.encoder = encodeTo(c.t, c.stream)
	c.serial = serial
}

func TestClock(t *testing.T) {
	t.Parallel()
	type frame struct {
		kind      hub.Kind
		timestamp uint32
		want      uint32
	}
	const v, a, reconnect = hub.Video, hub.Audio, hub.Kind(0)
	for name, frames := range map[string][]frame{
		"starts at 0":              {{v, 123456, 0}, {v, 123496, 40}},
		"starts at 0 with sound":   {{a, 4000, 0}, {v, 4010, 10}, {a, 4023, 23}},
		"wraps":                    {{v, 0xffffffd8, 0}, {v, 0, 40}, {v, 40, 80}},
		"wraps at the signed half": {{v, 0x7fffffd8, 0}, {v, 0x80000000, 40}},
		"a pause of 5 s":           {{v, 0, 0}, {v, 5000, 5000}},
		"a jump forward":           {{v, 0, 0}, {v, 40, 40}, {v, 3600000, 80}, {v, 3600040, 120}},
		"a jump back":              {{v, 3600000, 0}, {v, 3600040, 40}, {v, 0, 80}, {v, 40, 120}},
		"a jump across the wrap":   {{v, 10, 0}, {v, 0xf0000000, 40}, {v, 0xf0000028, 80}},
		"tracks a little apart":    {{v, 1000, 0}, {a, 980, 0}, {v, 1040, 40}, {a, 1003, 3}, {a, 1026, 26}},
		"a track steps back":       {{v, 0, 0}, {v, 100, 100}, {v, 60, 100}, {v, 140, 140}},
		"another connection":       {{v, 5000, 0}, {v, 5040, 40}, {reconnect, 0, 0}, {v, 9, 80}, {v, 49, 120}},
		"another that goes on":     {{v, 5000, 0}, {v, 5040, 40}, {reconnect, 0, 0}, {v, 5080, 80}},
		"sound 2 s behind":         {{v, 10000, 0}, {a, 8000, 0}, {v, 10040, 40}, {a, 8023, 0}, {v, 12100, 2100}, {a, 10083, 83}},
		"sound 2 s ahead":          {{v, 10000, 0}, {a, 12000, 2000}, {v, 10040, 40}, {a, 12023, 2023}, {v, 10080, 80}},
		"sound on another clock":   {{v, 0, 0}, {a, 900000, 40}, {v, 40, 40}, {a, 900023, 63}, {v, 80, 80}},
		"both jump":                {{v, 0, 0}, {a, 0, 0}, {v, 40, 40}, {v, 90080, 80}, {a, 90063, 63}, {v, 90120, 120}, {a, 90086, 86}},
		"another with old sound":   {{v, 0, 0}, {a, 0, 0}, {v, 1000, 1000}, {reconnect, 0, 0}, {a, 77, 1040}, {v, 80, 1043}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock(t)
			for i, f := range frames {
				if f.kind == reconnect {
					c.reconnect()
				} else if got := c.place(f.kind, f.timestamp); got != f.want {
					t.Errorf("frame %d, at %d, was put at %d, want %d", i, f.timestamp, got, f.want)
				}
			}
		})
	}
}

// TestClockWhateverComes holds every sequence of timestamps to the clock's promises.
func TestClockWhateverComes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := newClock(r)
		timestamp := rapid.Uint32().Draw(r, "start")
		latest, last := int64(0), map[hub.Kind]int64{}
		first := true
		for range rapid.IntRange(1, 60).Draw(r, "frames") {
			lost := rapid.IntRange(0, 9).Draw(r, "lost") == 0
			if lost {
				c.reconnect()
			}
			kind := rapid.SampledFrom([]hub.Kind{hub.Video, hub.Audio}).Draw(r, "kind")
			switch rapid.IntRange(0, 9).Draw(r, "move") {
			case 0:
				timestamp = rapid.Uint32().Draw(r, "anywhere")
			case 1:
				timestamp -= rapid.Uint32Range(0, 2000).Draw(r, "back")
			case 2:
				timestamp += rapid.Uint32Range(0, 10000).Draw(r, "far")
			default:
				timestamp += rapid.Uint32Range(0, 50).Draw(r, "on")
			}
			at := int64(c.place(kind, timestamp))
			if at < last[kind] {
				r.Fatalf("kind %d falls from %d to %d", kind, last[kind], at)
			}
			if at > latest+maxStep {
				r.Fatalf("the clock jumps from %d to %d", latest, at)
			}
			if lost && !first && at != latest+rejoined {
				r.Fatalf("the first frame of another connection is at %d, after %d", at, latest)
			}
			first = false
			last[kind], latest = at, max(latest, at)
		}
	})
}

// TestClockKeepsDistances: an encoder whose clock is sound is passed on as it is, wherever it starts.
func TestClockKeepsDistances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := newClock(r)
		timestamp := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0xfffff000, 0xffffffff)).Draw(r, "start")
		kind := rapid.SampledFrom([]hub.Kind{hub.Video, hub.Audio})
		at := c.place(kind.Draw(r, "first"), timestamp)
		for range 40 {
			step := rapid.Uint32Range(0, 1000).Draw(r, "step")
			timestamp += step
			if got := c.place(kind.Draw(r, "kind"), timestamp); got != at+step {
				r.Fatalf("a step of %d from %d leads to %d", step, at, got)
			}
			at += step
		}
	})
}
