package bustest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stoa-live/stoa/internal/bus"
)

// absence: a group whose members are all away gets later what was published meanwhile.
func absence(t *testing.T, open func() bus.Bus) {
	publisher, first, second := open(), open(), open()
	box := newInbox()
	s := subscribe(t, first, "topic", "group", box.handle)
	publish(t, publisher, "topic", "key", "0")
	box.waitOnce(t, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		publish(t, publisher, "topic", "key", fmt.Sprint(i+1))
	}
	subscribe(t, second, "topic", "group", box.handle)
	inOrder(t, box.waitOnce(t, 4))
}

// inheritance: what a bus leaves behind when it is closed is the next member's.
func inheritance(t *testing.T, open func() bus.Bus) {
	first, second := open(), open()
	box := newInbox()
	running, release := make(chan struct{}), make(chan struct{})
	subscribe(t, first, "topic", "group", func(ctx context.Context, e bus.Event) error {
		if string(e.Payload) == "0" {
			close(running)
		}
		<-release
		return box.handle(ctx, e)
	})
	for i := range 20 {
		publish(t, first, "topic", "key", fmt.Sprint(i))
	}
	<-running
	go close(release)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(box.events) == 0 { // unlocked on purpose, see unsubscribe
		t.Error("Close did not wait for the running handler")
	}
	subscribe(t, second, "topic", "group", box.handle)
	inOrder(t, box.waitOnce(t, 20))
}

// latecomers: a group begins when its first member comes, not with what others still hold.
func latecomers(t *testing.T, open func() bus.Bus) {
	first, second := open(), open()
	held := newInbox()
	s := subscribe(t, first, "topic", "slow", held.handle)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	publish(t, first, "topic", "key", "before")
	late, own := newInbox(), newInbox()
	subscribe(t, second, "topic", "late", late.handle)
	subscribe(t, second, "topic", "", own.handle)
	publish(t, first, "topic", "key", "after")
	for _, box := range []*inbox{late, own} {
		if got := box.wait(t, 1); got[0] != "after" {
			t.Errorf("got %v", got)
		}
	}
}

// everywhere: without a group, each subscriber of each process gets every event of each process.
func everywhere(t *testing.T, open func() bus.Bus) {
	processes := []bus.Bus{open(), open(), open()}
	var boxes []*inbox
	for _, b := range processes {
		box := newInbox()
		subscribe(t, b, "topic", "", box.handle)
		boxes = append(boxes, box)
	}
	var want []string
	for i := range 30 {
		publish(t, processes[i%3], "topic", fmt.Sprint("key", i%7), fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	slices.Sort(want)
	for i, box := range boxes {
		got := box.wait(t, 30)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("process %d got %v", i, got)
		}
	}
}

// migration: keys keep their order while members of several processes come and go.
func migration(t *testing.T, open func() bus.Bus) {
	stays, goes := open(), open()
	box := newInbox()
	subscribe(t, stays, "topic", "group", box.handle)
	var guest bus.Subscription
	flood(t, stays, func(i int) {
		switch i % 100 {
		case 0:
			guest = subscribe(t, goes, "topic", "group", box.handle)
		case 50:
			if err := guest.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	inOrder(t, box.waitOnce(t, publishers*perPublisher))
}
