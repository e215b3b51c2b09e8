// Package bustest is the contract of package bus as tests, which every backend runs.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/bus"
)

// patience bounds every wait: a test that reaches it has failed.
const patience = 20 * time.Second

// Options tell the suite about a backend.
type Options struct {
	// Open returns a fresh bus. The suite closes it.
	Open func(t *testing.T) bus.Bus
	// OpenSmall returns a bus whose groups hold at most two events, nil if the backend has no such bound.
	OpenSmall func(t *testing.T) bus.Bus
	// Processes returns what opens a fresh bus once more each time, as another process does; nil if the backend is for one
	// process. The suite closes them.
	Processes func(t *testing.T) func() bus.Bus
	// SlowTakeover says why members may not come and go within a second, "" where they may. What a backend cannot do it has to
	// say in its users' documentation, too.
	SlowTakeover string
}

// Run runs the contract.
func Run(t *testing.T, o Options) {
	t.Run("every group gets every event", func(t *testing.T) { fanOut(t, o.open(t)) })
	t.Run("a group shares its events", func(t *testing.T) { sharing(t, o.open(t)) })
	t.Run("topics are apart", func(t *testing.T) { topics(t, o.open(t)) })
	t.Run("a key keeps its order", func(t *testing.T) { order(t, o.open(t)) })
	t.Run("a key keeps its order while members come and go", func(t *testing.T) {
		if o.SlowTakeover != "" {
			t.Skip(o.SlowTakeover)
		}
		churn(t, o.open(t))
	})
	t.Run("one handler is never called twice at a time", func(t *testing.T) { serial(t, o.open(t)) })
	t.Run("a failing handler gets the event again", func(t *testing.T) { retry(t, o.open(t)) })
	t.Run("a permanent failure is given up", func(t *testing.T) { permanent(t, o.open(t)) })
	t.Run("a panic stops nothing", func(t *testing.T) { panics(t, o.open(t)) })
	t.Run("a closed subscription is silent", func(t *testing.T) { unsubscribe(t, o.open(t)) })
	t.Run("a closed bus refuses and has delivered", func(t *testing.T) { closing(t, o.open(t), "") })
	t.Run("closing ends with its context", func(t *testing.T) { closeTimeout(t, o.open(t)) })
	if o.OpenSmall != nil {
		t.Run("a slow subscriber makes the publisher wait", func(t *testing.T) { slow(t, o.OpenSmall(t)) })
	}
	if o.Processes == nil {
		t.Run("a closed bus has delivered to groups", func(t *testing.T) { closing(t, o.open(t), "group") })
		return
	}
	t.Run("a group outlives its members", func(t *testing.T) { absence(t, o.processes(t)) })
	t.Run("a group keeps what a closed bus held", func(t *testing.T) { inheritance(t, o.processes(t)) })
	t.Run("a group begins with its first member", func(t *testing.T) { latecomers(t, o.processes(t)) })
	t.Run("subscribers of all processes without a group get every event", func(t *testing.T) { everywhere(t, o.processes(t)) })
	t.Run("a key keeps its order across processes", func(t *testing.T) { migration(t, o.processes(t)) })
}

func (o Options) open(t *testing.T) bus.Bus {
	b := o.Open(t)
	closeAfter(t, b)
	return b
}

func (o Options) processes(t *testing.T) func() bus.Bus {
	one := o.Processes(t)
	return func() bus.Bus {
		b := one()
		closeAfter(t, b)
		return b
	}
}

func closeAfter(t *testing.T, b bus.Bus) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// inbox collects what a handler got.
type inbox struct {
	mu      sync.Mutex
	changed *sync.Cond
	events  []bus.Event
}

func newInbox() *inbox {
	i := &inbox{}
	i.changed = sync.NewCond(&i.mu)
	return i
}

func (i *inbox) handle(_ context.Context, e bus.Event) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = append(i.events, e)
	i.changed.Broadcast()
	return nil
}

// wait returns the payloads once there are n of them.
func (i *inbox) wait(t *testing.T, n int) []string {
	t.Helper()
	i.until(func() bool { return len(i.events) >= n })
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) != n {
		t.Fatalf("got %d events, want %d", len(i.events), n)
	}
	return i.payloads()
}

// waitOnce returns the events without repeats once there are n of them.
func (i *inbox) waitOnce(t *testing.T, n int) []bus.Event {
	t.Helper()
	i.until(func() bool { return len(once(i.events)) >= n })
	i.mu.Lock()
	defer i.mu.Unlock()
	got := once(i.events)
	if len(got) != n {
		t.Fatalf("got %d events, want %d", len(got), n)
	}
	return got
}

// once drops repeats: what a handler has to bear, and may tell by the payload here.
func once(events []bus.Event) []bus.Event {
	seen := make(map[string]bool, len(events))
	var out []bus.Event
	for _, e := range events {
		id := e.Key + " " + string(e.Payload)
		if !seen[id] {
			seen[id] = true
			out = append(out, e)
		}
	}
	return out
}

// until waits for what happened, as long as there is patience. The lock is held while it is asked for.
func (i *inbox) until(happened func() bool) {
	late := false
	timer := time.AfterFunc(patience, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		late = true
		i.changed.Broadcast()
	})
	defer timer.Stop()
	i.mu.Lock()
	defer i.mu.Unlock()
	for !happened() && !late {
		i.changed.Wait()
	}
}

func (i *inbox) payloads() []string {
	var out []string
	for _, e := range i.events {
		out = append(out, string(e.Payload))
	}
	return out
}

func publish(t *testing.T, b bus.Bus, topic, key, payload string) {
	t.Helper()
	if err := b.Publish(t.Context(), topic, key, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t *testing.T, b bus.Bus, topic, group string, h bus.Handler) bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(topic, group, h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fanOut(t *testing.T, b bus.Bus) {
	boxes := []*inbox{newInbox(), newInbox(), newInbox(), newInbox()}
	for i, group := range []string{"", "", "a", "b"} {
		subscribe(t, b, "topic", group, boxes[i].handle)
	}
	for i := range 10 {
		publish(t, b, "topic", "key", fmt.Sprint(i))
	}
	want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	for i, box := range boxes {
		if got := box.wait(t, 10); !slices.Equal(got, want) {
			t.Errorf("subscriber %d got %v", i, got)
		}
	}
	if e := boxes[0].events[0]; e.Topic != "topic" || e.Key != "key" {
		t.Errorf("event is %+v", e)
	}
}

func sharing(t *testing.T, b bus.Bus) {
	all := newInbox()
	for range 3 {
		subscribe(t, b, "topic", "group", all.handle)
	}
	var want []string
	for i := range 300 {
		publish(t, b, "topic", fmt.Sprint("key", i%20), fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	got := all.wait(t, 300)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Error("the group did not get each event once")
	}
}

func topics(t *testing.T, b bus.Bus) {
	one, other := newInbox(), newInbox()
	subscribe(t, b, "one", "group", one.handle)
	subscribe(t, b, "other", "group", other.handle)
	publish(t, b, "nobody", "", "lost")
	publish(t, b, "one", "", "1")
	publish(t, b, "other", "", "2")
	if got := append(one.wait(t, 1), other.wait(t, 1)...); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %v", got)
	}
}

// inOrder fails unless each key's payloads are 0, 1, 2, …
func inOrder(t *testing.T, events []bus.Event) {
	t.Helper()
	next := make(map[string]int)
	for _, e := range events {
		if want := fmt.Sprint(next[e.Key]); string(e.Payload) != want {
			t.Fatalf("key %s got %s, want %s", e.Key, e.Payload, want)
		}
		next[e.Key]++
	}
}

const (
	publishers   = 8
	perPublisher = 200
)

// flood publishes from many goroutines, each with keys of its own.
func flood(t *testing.T, b bus.Bus, between func(i int)) {
	t.Helper()
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range perPublisher {
				if err := b.Publish(t.Context(), "topic", fmt.Sprint("key", p), fmt.Append(nil, i)); err != nil {
					t.Error(err)
					return
				}
				if between != nil && p == 0 {
					between(i)
				}
			}
		})
	}
	all.Wait()
}

func order(t *testing.T, b bus.Bus) {
	own, shared := newInbox(), newInbox()
	subscribe(t, b, "topic", "", own.handle)
	for range 4 {
		subscribe(t, b, "topic", "group", shared.handle)
	}
	flood(t, b, nil)
	for _, box := range []*inbox{own, shared} {
		box.wait(t, publishers*perPublisher)
		inOrder(t, box.events)
	}
}

func churn(t *testing.T, b bus.Bus) {
	box := newInbox()
	subscribe(t, b, "topic", "group", box.handle) // somebody always stays
	var guest bus.Subscription
	flood(t, b, func(i int) {
		switch {
		case i%20 == 0:
			guest = subscribe(t, b, "topic", "group", box.handle)
		case i%20 == 10:
			if err := guest.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	inOrder(t, box.waitOnce(t, publishers*perPublisher)) // who takes a key over may be given again what was not acknowledged
}

func serial(t *testing.T, b bus.Bus) {
	var running, most atomic.Int32
	box := newInbox()
	subscribe(t, b, "topic", "group", func(ctx context.Context, e bus.Event) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return box.handle(ctx, e)
	})
	flood(t, b, nil)
	box.wait(t, publishers*perPublisher)
	if most.Load() != 1 {
		t.Errorf("%d calls ran at the same time", most.Load())
	}
}

func retry(t *testing.T, b bus.Bus) {
	box := newInbox()
	failures := 3
	subscribe(t, b, "topic", "group", func(ctx context.Context, e bus.Event) error {
		if string(e.Payload) == "1" && failures > 0 {
			failures--
			return errors.New("not yet")
		}
		return box.handle(ctx, e)
	})
	for i := range 3 {
		publish(t, b, "topic", "key", fmt.Sprint(i))
	}
	if got := box.wait(t, 3); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("got %v", got)
	}
}

func permanent(t *testing.T, b bus.Bus) {
	box := newInbox()
	var tries atomic.Int32
	subscribe(t, b, "topic", "group", func(ctx context.Context, e bus.Event) error {
		if string(e.Payload) == "bad" {
			tries.Add(1)
			return fmt.Errorf("handle: %w", bus.Permanent(errors.New("bad event")))
		}
		return box.handle(ctx, e)
	})
	publish(t, b, "topic", "key", "bad")
	publish(t, b, "topic", "key", "good")
	if got := box.wait(t, 1); got[0] != "good" || tries.Load() != 1 {
		t.Errorf("got %v after %d tries", got, tries.Load())
	}
}

func panics(t *testing.T, b bus.Bus) {
	box := newInbox()
	first := true
	subscribe(t, b, "topic", "group", func(ctx context.Context, e bus.Event) error {
		if first {
			first = false
			panic("oh no")
		}
		return box.handle(ctx, e)
	})
	publish(t, b, "topic", "key", "event")
	box.wait(t, 1)
}

func unsubscribe(t *testing.T, b bus.Bus) {
	gone, stays := newInbox(), newInbox()
	running, release := make(chan struct{}), make(chan struct{})
	s := subscribe(t, b, "topic", "", func(ctx context.Context, e bus.Event) error {
		close(running)
		<-release
		return gone.handle(ctx, e)
	})
	subscribe(t, b, "topic", "", stays.handle)
	publish(t, b, "topic", "key", "1")
	<-running
	publish(t, b, "topic", "key", "2")
	go close(release)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	had := len(gone.events) // unlocked on purpose: no handler may run any longer, and the race detector watches
	if had == 0 {
		t.Error("Close did not wait for the running handler")
	}
	publish(t, b, "topic", "key", "3")
	stays.wait(t, 3)
	gone.wait(t, had)
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func closing(t *testing.T, b bus.Bus, group string) {
	box := newInbox()
	release := make(chan struct{})
	subscribe(t, b, "topic", group, func(ctx context.Context, e bus.Event) error {
		<-release
		return box.handle(ctx, e)
	})
	for i := range 5 {
		publish(t, b, "topic", "key", fmt.Sprint(i))
	}
	closed := make(chan error, 1)
	go func() { closed <- b.Close(context.Background()) }()
	close(release)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	box.wait(t, 5)
	if err := b.Publish(t.Context(), "topic", "key", nil); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Publish after Close: %v", err)
	}
	if _, err := b.Subscribe("topic", "", box.handle); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func closeTimeout(t *testing.T, b bus.Bus) {
	running := make(chan struct{})
	var calls atomic.Int32
	subscribe(t, b, "topic", "group", func(ctx context.Context, _ bus.Event) error {
		if calls.Add(1) == 1 {
			close(running)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	publish(t, b, "topic", "key", "stuck")
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close of a stuck bus: %v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the handler was called %d times, also after its context had ended", n)
	}
}

func slow(t *testing.T, b bus.Bus) {
	box := newInbox()
	release := make(chan struct{})
	subscribe(t, b, "topic", "group", func(ctx context.Context, e bus.Event) error {
		<-release
		return box.handle(ctx, e)
	})
	publish(t, b, "topic", "a", "1")
	publish(t, b, "topic", "b", "2")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := b.Publish(ctx, "topic", "a", []byte("3"))
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish to a full group: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- b.Publish(t.Context(), "topic", "a", []byte("4")) }()
	close(release)
	if err := <-waiting; err != nil {
		t.Errorf("Publish that waited: %v", err)
	}
	box.wait(t, 3)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
