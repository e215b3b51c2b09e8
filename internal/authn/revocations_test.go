package authn_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/authn"
)

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestRevocations(t *testing.T) {
	now := time.Now()
	r := authn.NewRevocations(15*time.Minute, func() time.Time { return now })
	mine, stop := r.Watch("s1")
	defer stop()
	also, stopAlso := r.Watch("s1")
	defer stopAlso()
	other, stopOther := r.Watch("s2")
	defer stopOther()
	dropped, stopDropped := r.Watch("s1")
	stopDropped()
	if r.Check("s1") || closed(mine) {
		t.Fatal("revoked too early")
	}
	r.Add("s1", now)
	r.Add("s1", now)
	if !r.Check("s1") || r.Check("s2") || !closed(mine) || !closed(also) || closed(other) || closed(dropped) {
		t.Error("the revocation did not reach exactly its watchers")
	}
	if late, stop := r.Watch("s1"); !closed(late) {
		t.Error("a late watcher was not told")
	} else {
		stop()
	}
	// Forgotten when the last token has expired, not before.
	now = now.Add(14 * time.Minute)
	r.Add("s3", now)
	if !r.Check("s1") {
		t.Error("forgotten too early")
	}
	now = now.Add(2 * time.Minute)
	r.Add("s4", now)
	if r.Check("s1") || r.Len() != 2 {
		t.Errorf("%d sessions remembered, want 2", r.Len())
	}
	// What is too old for any token still ends a stream.
	r.Add("s2", now.Add(-time.Hour))
	if !closed(other) || r.Check("s2") {
		t.Error("an old revocation: the watcher must be told, the session need not be kept")
	}
}

func TestRevocationsAtOnce(t *testing.T) {
	r := authn.NewRevocations(time.Hour, nil)
	var all sync.WaitGroup
	for i := range 200 {
		id := fmt.Sprint("s", i%20)
		all.Go(func() {
			revoked, stop := r.Watch(id)
			defer stop()
			<-revoked
		})
		all.Go(func() { r.Add(id, time.Now()) })
		all.Go(func() {
			_, stop := r.Watch(id)
			stop()
		})
	}
	all.Wait()
	if r.Len() != 20 {
		t.Errorf("%d sessions", r.Len())
	}
}
