package e2e_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/testkit/history"
)

const (
	crashTalkers = 100
	crashTalks   = 10 // seven groups, two rooms, and in place of the last one people talk two by two
	crashes      = 10
)

// crashMessages is how many messages are sent in all, STOA_TEST_CRASH_MESSAGES or a hundred thousand.
func crashMessages(t *testing.T) int {
	t.Helper()
	text := os.Getenv("STOA_TEST_CRASH_MESSAGES")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return max(n, crashTalkers)
}

// TestCrashes kills the server ten times while a hundred people talk in groups, in live rooms and two by two over long
// connections, and starts it again on the same data: nothing that was acknowledged is lost, nothing is doubled, and everybody
// was shown everything, from the first message on, once and in order.
func TestCrashes(t *testing.T) {
	all := crashMessages(t)
	s := chatServer(t)
	s.start("127.0.0.1:0", "127.0.0.1:0")
	log := &history.Log{}
	began := time.Now()
	people := s.talkers(log, crashTalkers)
	t.Logf("%d people signed up in %v", len(people), time.Since(began).Round(time.Millisecond))
	talks := make(map[string][]*talker)
	at := make(map[*talker]string) // where each talks
	meet := func(id string, inIt []*talker) {
		talks[id] = inIt
		for _, p := range inIt {
			at[p] = id
		}
	}
	for i := range crashTalks {
		var inIt []*talker
		for j := i; j < crashTalkers; j += crashTalks {
			inIt = append(inIt, people[j])
		}
		switch {
		case i < crashTalks-3:
			meet(inIt[0].makeGroup(inIt[1:]...), inIt)
		case i < crashTalks-1:
			meet(inIt[0].makeRoom(inIt[1:]...), inIt)
		default:
			for two := range slices.Chunk(inIt, 2) {
				meet(two[0].makeDirect(two[1]), two)
			}
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var acked atomic.Int64
	var wg sync.WaitGroup
	began = time.Now()
	for i, p := range people {
		wg.Go(func() {
			for n := range all / crashTalkers {
				if err := p.say(ctx, at[p], fmt.Sprintf("message %d of talker %d", n, i)); err != nil {
					t.Errorf("message %d of talker %d: %v", n, i, err)
					cancel()
					return
				}
				acked.Add(1)
			}
		})
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for n := range crashes {
		for part := int64((n + 1) * all / (crashes + 1)); acked.Load() < part && ctx.Err() == nil; {
			<-look.C
		}
		if ctx.Err() != nil {
			break
		}
		s.crash()
		s.restart()
	}
	wg.Wait()
	took := time.Since(began)
	if t.Failed() || ctx.Err() != nil {
		t.Fatalf("%d of %d messages were acknowledged in %v", acked.Load(), all, took)
	}
	t.Logf("%d messages acknowledged in %v, %d crashes included: %.0f a second", acked.Load(), took.Round(time.Millisecond),
		crashes, float64(acked.Load())/took.Seconds())
	verdict(t, log, talks)
}
