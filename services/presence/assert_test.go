package presence_test

import (
	"fmt"
	"slices"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
)

// privacyTold returns whose privacy was told of, in order.
func (w *world) privacyTold() (users []string) {
	for _, e := range w.toldAll() {
		users = append(users, e.GetPrivacyChanged()...)
	}
	return users
}

// countsTold returns what was told of a conversation so far.
func (w *world) countsTold(room string) (counts []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.counts {
		for _, c := range e.GetCounts() {
			if c.GetConversationId() == room {
				counts = append(counts, int(c.GetCount()))
			}
		}
	}
	return counts
}

// assertTold fails the test unless exactly so many things were told of a user.
func (w *world) assertTold(user string, want int) {
	w.t.Helper()
	if got := w.told(user); len(got) != want {
		w.t.Errorf("of %s %d things were told, want %d: %v", user, len(got), want, got)
	}
}

// assertLooks fails the test unless a presence is as wanted.
func (w *world) assertLooks(p *presencev1.Presence, online bool, platforms []authv1.Platform, lastSeen time.Time) {
	w.t.Helper()
	if p.GetHidden() || p.GetOnline() != online || !slices.Equal(p.GetPlatforms(), platforms) {
		w.t.Errorf("got %v, want online %v at %v", p, online, platforms)
	}
	if got := p.GetLastSeenAt(); (got == nil) != lastSeen.IsZero() || (got != nil && !got.AsTime().Equal(lastSeen)) {
		w.t.Errorf("%s was last seen at %v, want %v", p.GetUserId(), got.AsTime(), lastSeen)
	}
}

// metric returns the value of a metric without labels.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	families, err := w.rpc.Metrics.Registry.Gather()
	w.must(err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

func (w *world) untilMetric(name string, want float64) {
	w.t.Helper()
	w.eventually(fmt.Sprint(name, " is ", want), func() bool { return w.metric(name) == want })
}

// eventually waits for a condition that nothing announces.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("waited too long until %s", what)
		}
	}
}
