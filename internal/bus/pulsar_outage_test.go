package bus_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/parts"
	"github.com/stoa-live/stoa/internal/parts/partstest"
)

// patience bounds what a broker may take.
const patience = 90 * time.Second

// ledger notes which numbers of each key a subscriber saw, and complains of one that comes before its time: repeats may
// come, gaps not.
type ledger struct {
	name string
	mu   sync.Mutex
	next map[string]int
	all  int // with repeats
	bad  []string
}

func newLedger(name string) *ledger { return &ledger{name: name, next: make(map[string]int)} }

func (l *ledger) handle(_ context.Context, e bus.Event) error {
	l.note(e.Key, string(e.Payload))
	return nil
}

func (l *ledger) note(key, payload string) {
	n, _ := strconv.Atoi(payload) // tests publish numbers
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
	switch {
	case n == l.next[key]:
		l.next[key]++
	case n > l.next[key]:
		l.bad = append(l.bad, fmt.Sprintf("key %s: %d came before %d", key, n, l.next[key]))
		l.next[key] = n + 1
	}
}

// wait waits until every key is at n, and fails for what came out of order.
func (l *ledger) wait(t *testing.T, keys []string, n int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		l.mu.Lock()
		missing := 0
		for _, key := range keys {
			missing += n - l.next[key]
		}
		all, bad := l.all, l.bad
		l.mu.Unlock()
		if len(bad) > 0 {
			t.Fatalf("%s: %d events out of order: %v", l.name, len(bad), bad[:min(5, len(bad))])
		}
		if missing == 0 {
			t.Logf("%s: %d events, %d of them repeats", l.name, all, all-n*len(keys))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d events are missing", l.name, missing)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var keys = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// insist publishes 0 to n-1 for each key, each number until the bus has taken it. It returns how many tries failed.
func insist(t *testing.T, b bus.Bus, topic string, n int, pause time.Duration) *atomic.Int32 {
	t.Helper()
	var failed atomic.Int32
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			for i := range n {
				for start := time.Now(); ; failed.Add(1) {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					began := time.Now()
					err := b.Publish(ctx, topic, key, []byte(strconv.Itoa(i)))
					cancel()
					if err == nil {
						break
					}
					if took := time.Since(began); took > 3*time.Second {
						t.Errorf("Publish took %v with a deadline of 2 s", took)
					}
					if time.Since(start) > patience || t.Context().Err() != nil {
						t.Errorf("key %s, event %d: %v", key, i, err)
						return
					}
					if !errors.Is(err, context.DeadlineExceeded) {
						time.Sleep(100 * time.Millisecond)
					}
				}
				time.Sleep(pause)
			}
		})
	}
	all.Wait()
	return &failed
}

// What a broker does of its own accord needs one that no other test is on.
func TestPulsarBrokerFails(t *testing.T) {
	partstest.URL(t, "pulsar") // it is installed, then
	t.Parallel()
	running, err := parts.Start(t.Context(), t.TempDir(), "pulsar")
	if err != nil {
		t.Fatal(err)
	}
	broker := running[0]
	t.Cleanup(func() { _ = broker.Kill() })
	address := broker.URL
	t.Run("it dies under load", func(t *testing.T) { death(t, broker, address) })
	t.Run("it hangs", func(t *testing.T) { hang(t, broker, address+"?partitions=1") })
}

// death: the broker is killed in the middle of all that and comes back: what Publish took is handled, in order, by everybody.
func death(t *testing.T, broker *parts.Running, address string) {
	var ledgers []*ledger
	var open []bus.Bus
	group := newLedger("the group") // its members share what they see
	for i := range 2 {
		b := openLogged(t, address)
		own := newLedger(fmt.Sprintf("process %d", i))
		for name, handle := range map[string]bus.Handler{"": own.handle, "group": group.handle} {
			if _, err := b.Subscribe("outage", name, handle); err != nil {
				t.Fatal(err)
			}
		}
		ledgers, open = append(ledgers, own), append(open, b)
	}
	ledgers = append(ledgers, group)
	publisher := openLogged(t, address)
	open = append(open, publisher)
	killed := make(chan error, 1)
	go func() {
		time.Sleep(time.Second)
		if err := broker.Kill(); err != nil {
			killed <- err
			return
		}
		time.Sleep(2 * time.Second)
		start := time.Now()
		err := broker.Restart(t.Context())
		t.Logf("it is back after %v", time.Since(start).Round(time.Millisecond))
		killed <- err
	}()
	const events = 400
	failed := insist(t, publisher, "outage", events, 10*time.Millisecond)
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, l := range ledgers {
		l.wait(t, keys, events)
	}
	t.Logf("all had it %v after the last Publish", time.Since(start).Round(time.Millisecond))
	if failed.Load() == 0 {
		t.Error("no Publish failed: the broker was not away")
	}
	t.Logf("%d tries failed", failed.Load())
	for _, b := range open {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// hang: a broker that does not answer makes Publish fail by its deadline, and Close end by its own.
func hang(t *testing.T, broker *parts.Running, address string) {
	b := openLogged(t, address)
	seen := newLedger("the subscriber")
	if _, err := b.Subscribe("hang", "", seen.handle); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "hang", "a", []byte("0")); err != nil {
		t.Fatal(err)
	}
	seen.wait(t, []string{"a"}, 1)
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	publish := func(n int, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return b.Publish(ctx, "hang", "a", []byte(strconv.Itoa(n)))
	}
	if err := publish(1, 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bus.ErrFull) {
		t.Errorf("Publish to a broker that hangs: %v", err)
	}
	// More than may wait: there is no room.
	var full atomic.Int32
	var all sync.WaitGroup
	for range 1500 {
		all.Go(func() {
			if err := publish(1, time.Second); errors.Is(err, bus.ErrFull) && errors.Is(err, context.DeadlineExceeded) {
				full.Add(1)
			}
		})
	}
	all.Wait()
	if full.Load() == 0 {
		t.Error("1500 events found room for 1000")
	}
	if err := broker.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := publish(2, patience); err != nil {
		t.Fatal(err)
	}
	seen.wait(t, []string{"a"}, 3)
	if err := broker.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	start := time.Now()
	_ = b.Close(ctx) // whether something is left does not matter here
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v with a deadline of 1 s", took)
	}
}

// memberVariable makes this test binary a process that is a member of a group, and prints what it handles.
const memberVariable = "STOA_TEST_PULSAR_MEMBER"

func TestPulsarMember(t *testing.T) {
	address := os.Getenv(memberVariable)
	if address == "" {
		t.Skip("is run by TestPulsarMemberDies")
	}
	b := openLogged(t, address)
	if _, err := b.Subscribe("takeover", "group", func(_ context.Context, e bus.Event) error {
		fmt.Printf("handled %s %s %d\n", e.Key, e.Payload, time.Now().UnixNano())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("here")
	time.Sleep(patience)
}

// sighting is an event that one of several processes handled.
type sighting struct {
	key, payload string
	at           int64 // ns, by the machine's clock: what a pipe brings, it brings late
}

// sightings are those of all processes of a group.
type sightings struct {
	mu   sync.Mutex
	all  []sighting
	seen map[string]map[string]bool
}

func (s *sightings) add(one sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
	if s.seen[one.key] == nil {
		s.seen[one.key] = make(map[string]bool)
	}
	s.seen[one.key][one.payload] = true
}

// whole reports whether each key was seen with so many payloads.
func (s *sightings) whole(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(keys, func(key string) bool { return len(s.seen[key]) < n })
}

// inOrder notes them in the order in which they were handled.
func (s *sightings) inOrder(l *ledger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.all, func(a, b sighting) int { return cmp.Compare(a.at, b.at) })
	for _, one := range s.all {
		l.note(one.key, one.payload)
	}
}

// One of two processes of a group dies at once: the other one takes over, nothing is lost, and keys keep their order.
func TestPulsarMemberDies(t *testing.T) {
	address := pulsarURL(t, "")
	t.Parallel()
	b := openLogged(t, address)
	group := &sightings{seen: make(map[string]map[string]bool)}
	if _, err := b.Subscribe("takeover", "group", func(_ context.Context, e bus.Event) error {
		group.add(sighting{e.Key, string(e.Payload), time.Now().UnixNano()})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	other := exec.Command(os.Args[0], "-test.run=^TestPulsarMember$")
	other.Env = append(os.Environ(), memberVariable+"="+address)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "here" {
	}
	var handled atomic.Int32
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			word := strings.Fields(lines.Text())
			if len(word) != 4 || word[0] != "handled" {
				continue
			}
			if at, err := strconv.ParseInt(word[3], 10, 64); err == nil {
				handled.Add(1)
				group.add(sighting{word[1], word[2], at})
			}
		}
	}()
	died := make(chan error, 1)
	go func() {
		time.Sleep(3 * time.Second)
		died <- other.Process.Kill()
	}()
	const events = 400
	insist(t, b, "takeover", events, 10*time.Millisecond)
	if err := <-died; err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // it was killed
	<-read
	for deadline := time.Now().Add(patience); !group.whole(events); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("events are missing")
		}
	}
	order := newLedger("the group")
	group.inOrder(order)
	order.wait(t, keys, events)
	if handled.Load() == 0 {
		t.Error("the other process had no share")
	}
	t.Logf("the other process handled %d", handled.Load())
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
