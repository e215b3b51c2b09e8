package history_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stoa-live/stoa/internal/testkit/history"
)

// world is a faultless run that a test may spoil.
type world struct {
	log    *history.Log
	stored map[string][]history.Message
}

func message(sender, id string, seq int64) history.Message {
	return history.Message{Sender: sender, ID: id, Place: history.Place{Epoch: 1, Seq: seq}, Content: says(id)}
}

func says(id string) uint64 { return history.Digest([]byte("the text of " + id)) }

// other is the message with something else in it.
func other(m history.Message, content uint64) history.Message {
	m.Content = content
	return m
}

func (w *world) sent(conversation, sender, id string) {
	w.log.Sent(conversation, message(sender, id, 0))
}

func (w *world) acked(conversation, sender, id string, seq int64) {
	w.log.Acked(conversation, message(sender, id, seq))
}

// clean is a talk of two senders and two devices, of which one came late, with one message that was never acknowledged and
// stored all the same, and one that was not stored.
func clean() *world {
	w := &world{log: &history.Log{}, stored: map[string][]history.Message{"c": {
		message("ann", "a1", 1), message("bob", "b1", 2), message("ann", "a2", 3), message("bob", "b2", 4),
	}}}
	for _, m := range w.stored["c"] {
		w.sent("c", m.Sender, m.ID)
		if m.ID != "a2" {
			w.log.Acked("c", m)
		}
	}
	w.acked("c", "bob", "b1", 2) // it was sent again
	w.sent("c", "ann", "a3")
	w.receive("early", 0)
	w.receive("late", 2)
	return w
}

func (w *world) receive(device string, from int) {
	for _, m := range w.stored["c"][from:] {
		w.log.Received(device, "c", m)
	}
	w.log.Complete(device, "c")
}

func kinds(faults []history.Fault) []history.FaultKind {
	var out []history.FaultKind
	for _, f := range faults {
		out = append(out, f.Kind)
	}
	slices.Sort(out)
	return out
}

// TestPlantedFaults plants one fault of each kind, and sees that it is found, and no other.
func TestPlantedFaults(t *testing.T) {
	for name, test := range map[string]struct {
		plant func(w *world)
		want  []history.FaultKind
	}{
		"none": {func(*world) {}, nil},
		"acked, and nowhere": {
			func(w *world) {
				w.sent("c", "ann", "lost")
				w.acked("c", "ann", "lost", 5)
			},
			[]history.FaultKind{history.AckedLost},
		},
		"acked elsewhere": {
			func(w *world) { w.acked("c", "ann", "a2", 4) },
			[]history.FaultKind{history.AckedLost},
		},
		"acked in another epoch": {
			func(w *world) {
				w.log.Acked("c", history.Message{
					Sender: "ann", ID: "a2", Place: history.Place{Epoch: 2, Seq: 3}, Content: says("a2"),
				})
			},
			[]history.FaultKind{history.AckedLost},
		},
		"acked in a conversation of which nothing is stored": {
			func(w *world) {
				w.sent("d", "ann", "a9")
				w.acked("d", "ann", "a9", 1)
			},
			[]history.FaultKind{history.AckedLost},
		},
		"stored twice": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "x", 1), message("ann", "x", 2)}
				w.sent("d", "ann", "x")
			},
			[]history.FaultKind{history.Doubled},
		},
		"acked at two places": {
			func(w *world) {
				w.acked("c", "bob", "b1", 4)
			},
			[]history.FaultKind{history.AckedLost, history.Doubled},
		},
		"a gap": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "x", 1), message("ann", "y", 3)}
				w.sent("d", "ann", "x")
				w.sent("d", "ann", "y")
			},
			[]history.FaultKind{history.Gap},
		},
		"the first is missing": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "x", 2)}
				w.sent("d", "ann", "x")
			},
			[]history.FaultKind{history.Gap},
		},
		"two of one number": {
			func(w *world) {
				w.stored["c"] = append(w.stored["c"], message("ann", "a3", 4))
			},
			[]history.FaultKind{history.SameSeq},
		},
		"never sent": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "ghost", 1)}
			},
			[]history.FaultKind{history.Invented},
		},
		"sender's order": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "second", 1), message("ann", "first", 2)}
				w.sent("d", "ann", "first")
				w.acked("d", "ann", "first", 2)
				w.sent("d", "ann", "second")
			},
			[]history.FaultKind{history.SenderOrder},
		},
		"sent without waiting has no order": {
			func(w *world) {
				w.stored["d"] = []history.Message{message("ann", "second", 1), message("ann", "first", 2)}
				w.sent("d", "ann", "first")
				w.sent("d", "ann", "second")
				w.acked("d", "ann", "first", 2)
			},
			nil,
		},
		"device's order": {
			func(w *world) {
				w.log.Received("odd", "c", message("bob", "b1", 2))
				w.log.Received("odd", "c", message("ann", "a1", 1))
			},
			[]history.FaultKind{history.DeviceOrder},
		},
		"twice on a device": {
			func(w *world) { w.log.Received("early", "c", message("bob", "b1", 2)) },
			[]history.FaultKind{history.DeviceDoubled},
		},
		"missed by a device": {
			func(w *world) {
				w.log.Received("odd", "c", message("ann", "a1", 1))
				w.log.Received("odd", "c", message("ann", "a2", 3))
			},
			[]history.FaultKind{history.DeviceMissed},
		},
		"the last missed by a device": {
			func(w *world) {
				w.log.Received("odd", "c", message("ann", "a1", 1))
				w.log.Complete("odd", "c")
			},
			[]history.FaultKind{history.DeviceMissed},
		},
		"all missed by a device": {
			func(w *world) { w.log.Complete("odd", "c") },
			[]history.FaultKind{history.DeviceMissed},
		},
		"the first missed by a device": {
			func(w *world) { w.log.From("late", "c", history.Place{Epoch: 1, Seq: 1}) },
			[]history.FaultKind{history.DeviceMissed},
		},
		"the first missed by a device, which it is told beforehand": {
			func(w *world) {
				w.log.From("odd", "c", history.Place{Epoch: 1, Seq: 1})
				w.receive("odd", 1)
			},
			[]history.FaultKind{history.DeviceMissed},
		},
		"the epoch before missed by a device": {
			func(w *world) {
				w.stored["d"] = []history.Message{
					message("ann", "x", 1),
					{Sender: "ann", ID: "y", Place: history.Place{Epoch: 2, Seq: 1}, Content: says("y")},
				}
				w.sent("d", "ann", "x")
				w.sent("d", "ann", "y")
				w.log.Received("odd", "d", w.stored["d"][1])
				w.log.From("odd", "d", history.Place{Epoch: 1, Seq: 1})
			},
			[]history.FaultKind{history.DeviceMissed},
		},
		"where a device may begin": {
			func(w *world) {
				w.log.From("late", "c", history.Place{Epoch: 1, Seq: 3})
				w.log.From("early", "c", history.Place{Epoch: 1, Seq: 3})
			},
			nil,
		},
		"stored with nothing in it": {
			func(w *world) {
				w.stored["d"] = []history.Message{other(message("ann", "x", 1), 0)}
				w.sent("d", "ann", "x")
				w.acked("d", "ann", "x", 1)
			},
			[]history.FaultKind{history.OtherContent},
		},
		"stored with the content of another": {
			func(w *world) {
				w.stored["d"] = []history.Message{other(message("ann", "x", 1), says("y")), message("ann", "y", 2)}
				w.sent("d", "ann", "x")
				w.sent("d", "ann", "y")
			},
			[]history.FaultKind{history.OtherContent},
		},
		"acked with the content of another": {
			func(w *world) { w.log.Acked("c", other(message("bob", "b1", 2), says("a1"))) },
			[]history.FaultKind{history.OtherContent},
		},
		"received with nothing in it": {
			func(w *world) { w.log.Received("odd", "c", other(message("ann", "a1", 1), 0)) },
			[]history.FaultKind{history.OtherContent},
		},
		"sent with nothing in it": {
			func(w *world) {
				empty := other(message("ann", "x", 1), 0)
				w.stored["d"] = []history.Message{empty}
				w.log.Sent("d", empty)
			},
			[]history.FaultKind{history.OtherContent},
		},
		"received and nowhere": {
			func(w *world) { w.log.Received("early", "c", message("ann", "a3", 5)) },
			[]history.FaultKind{history.NeverStored},
		},
		"received as another": {
			func(w *world) { w.log.Received("odd", "c", message("ann", "b1", 2)) },
			[]history.FaultKind{history.NeverStored},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := clean()
			test.plant(w)
			if faults := history.Check(w.log, w.stored); !slices.Equal(kinds(faults), test.want) {
				t.Errorf("it found %v, want %v", faults, test.want)
			}
		})
	}
}

// TestRandomRuns draws faultless runs, in which it finds nothing, and then spoils what is stored or seen, which it finds.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		if faults := history.Check(w.log, w.stored); len(faults) > 0 {
			t.Fatalf("in a faultless run it found %v", faults)
		}
		var talks []string
		for id, messages := range w.stored {
			if len(messages) >= 2 {
				talks = append(talks, id)
			}
		}
		if len(talks) == 0 {
			return
		}
		slices.Sort(talks)
		id := rapid.SampledFrom(talks).Draw(t, "conversation")
		messages := w.stored[id]
		at := rapid.IntRange(0, len(messages)-2).Draw(t, "at")
		var want history.FaultKind
		switch rapid.IntRange(0, 6).Draw(t, "fault") {
		case 0: // it vanishes
			w.stored[id] = slices.Delete(messages, at, at+1)
			want = history.Gap
		case 1: // two change places
			messages[at].Place, messages[at+1].Place = messages[at+1].Place, messages[at].Place
			want = history.AckedLost
		case 2: // it is stored again, at the end
			again := messages[at]
			again.Place.Seq = int64(len(messages)) + 1
			w.stored[id] = append(messages, again)
			want = history.Doubled
		case 3: // a device sees it again
			w.log.Received("all", id, messages[at])
			want = history.DeviceDoubled
		case 4: // a device misses the beginning
			for _, m := range messages[at+1:] {
				w.log.Received("odd", id, m)
			}
			w.log.From("odd", id, messages[0].Place)
			want = history.DeviceMissed
		case 5: // it is stored with the content of the next one
			messages[at].Content = messages[at+1].Content
			want = history.OtherContent
		case 6: // a device sees nothing in it
			w.log.Received("odd", id, other(messages[at], 0))
			want = history.OtherContent
		}
		if faults := history.Check(w.log, w.stored); !slices.Contains(kinds(faults), want) {
			t.Fatalf("it found %v, want %q among them", faults, want)
		}
	})
}

// draw makes a run of senders who wait for each acknowledgement, at their own paces, and devices that lag behind.
func draw(t *rapid.T) *world {
	w := &world{log: &history.Log{}, stored: make(map[string][]history.Message)}
	type pending struct {
		conversation string
		m            history.Message
		placed       bool
	}
	waiting := make(map[string]*pending)
	type reader struct{ device, conversation string }
	read := make(map[reader]int)
	sent := 0
	steps := rapid.IntRange(0, 120).Draw(t, "steps")
	catchUp := func(r reader, n int) {
		for range n {
			if at := read[r]; at < len(w.stored[r.conversation]) {
				w.log.Received(r.device, r.conversation, w.stored[r.conversation][at])
				read[r]++
			}
		}
	}
	for range steps {
		sender := rapid.SampledFrom([]string{"ann", "bob", "cid"}).Draw(t, "sender")
		p := waiting[sender]
		switch {
		case p == nil:
			sent++
			p = &pending{
				conversation: rapid.SampledFrom([]string{"c", "d"}).Draw(t, "conversation"),
				m:            message(sender, fmt.Sprint(sent), 0),
			}
			w.log.Sent(p.conversation, p.m)
			waiting[sender] = p
		case !p.placed:
			p.m.Place = history.Place{Epoch: 1, Seq: int64(len(w.stored[p.conversation])) + 1}
			w.stored[p.conversation] = append(w.stored[p.conversation], p.m)
			p.placed = true
		default:
			w.log.Acked(p.conversation, p.m)
			delete(waiting, sender)
		}
		device := rapid.SampledFrom([]string{"one", "two"}).Draw(t, "device")
		catchUp(reader{device, rapid.SampledFrom([]string{"c", "d"}).Draw(t, "reads")}, rapid.IntRange(0, 3).Draw(t, "reads"))
	}
	for _, p := range waiting {
		if p.placed {
			w.log.Acked(p.conversation, p.m)
		}
	}
	for id := range w.stored {
		catchUp(reader{"all", id}, len(w.stored[id]))
		w.log.From("all", id, history.Place{Epoch: 1, Seq: 1})
		w.log.Complete("all", id)
	}
	return w
}
