package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/testkit/history"
)

// TestDurability counts what SIGKILL does not show: the system calls that bring data to the disk. Of sends that wait for
// each other, each is acknowledged after a sync of its own; of sends at once, each transaction has one.
func TestDurability(t *testing.T) {
	s := chatServer(t)
	trace := filepath.Join(t.TempDir(), "trace")
	// The tracer is the server's child in name only (-D): signals reach the server itself.
	s.program = append([]string{
		"strace", "-D", "-f", "-qq", "-y", "-ttt", "-T", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", trace,
	}, s.program...)
	s.start("127.0.0.1:0", "127.0.0.1:0")
	log := &history.Log{}
	people := s.talkers(log, 16)
	group := people[0].makeGroup(people[1:]...)

	const sends = 100
	times := []time.Time{time.Now()} // of the acknowledgements, after that of the beginning
	for n := range sends {
		must(t, people[0].say(within(t), group, fmt.Sprintf("one after the other, %d", n)))
		times = append(times, time.Now())
	}
	var syncs []time.Time
	done := func(at time.Time) int {
		n, _ := slices.BinarySearchFunc(syncs, at, time.Time.Compare)
		return n
	}
	eventually(t, "the tracer has written down a sync for each send", func() error {
		syncs = syncsOf(t, trace, "chat.db-wal")
		for n := range sends {
			if done(times[n]) == done(times[n+1]) {
				return fmt.Errorf("send %d was acknowledged and nothing was synced since the one before", n+1)
			}
		}
		return nil
	})
	t.Logf("%d sends one after the other: %d syncs", sends, done(times[sends])-done(times[0]))

	before := time.Now()
	batches := s.metric("stoa_chat_batch_seconds_count")
	began := time.Now()
	var wg sync.WaitGroup
	for i, p := range people {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for n := range 30 {
				if err := p.say(ctx, group, fmt.Sprintf("all at once, %d of %d", n, i)); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	batches = s.metric("stoa_chat_batch_seconds_count") - batches
	eventually(t, "the tracer has written down the syncs of all transactions", func() error {
		syncs = syncsOf(t, trace, "chat.db-wal")
		if n := len(syncs) - done(before); n < batches {
			return fmt.Errorf("%d syncs of %d transactions", n, batches)
		}
		return nil
	})
	t.Logf("%d sends at once in %v: %d transactions, %d syncs", 30*len(people), time.Since(began).Round(time.Millisecond),
		batches, len(syncs)-done(before))
	if batches == 0 || batches > 30*len(people) {
		t.Errorf("%d sends made %d transactions", 30*len(people), batches)
	}
	verdict(t, log, map[string][]*talker{group: people})
}

// A line of strace: a call that was not interrupted, its beginning, or its end.
var (
	syncWhole = regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) f(?:data)?sync\(\d+<([^>]*)>\) += 0 <(\d+)\.(\d{6})>$`)
	syncBegan = regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) f(?:data)?sync\(\d+<([^>]*)> <unfinished`)
	syncEnded = regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) <\.\.\. f(?:data)?sync resumed>\) += 0 <`)
)

// syncsOf returns when each sync of a file was done, in order.
func syncsOf(t *testing.T, trace, file string) []time.Time {
	t.Helper()
	text, err := os.ReadFile(trace)
	must(t, err)
	at := func(seconds, micros string) time.Time {
		s, err := strconv.ParseInt(seconds, 10, 64)
		must(t, err)
		u, err := strconv.ParseInt(micros, 10, 64)
		must(t, err)
		return time.Unix(s, u*1000)
	}
	began := make(map[string]string) // file by thread
	var done []time.Time
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := syncWhole.FindStringSubmatch(line); m != nil {
			if filepath.Base(m[4]) == file {
				done = append(done, at(m[2], m[3]).Add(at(m[5], m[6]).Sub(time.Unix(0, 0))))
			}
		} else if m := syncBegan.FindStringSubmatch(line); m != nil {
			began[m[1]] = m[4]
		} else if m := syncEnded.FindStringSubmatch(line); m != nil {
			if filepath.Base(began[m[1]]) == file {
				done = append(done, at(m[2], m[3]))
			}
			delete(began, m[1])
		}
	}
	slices.SortFunc(done, time.Time.Compare)
	return done
}

// metric reads one number of the server's metrics.
func (s *server) metric(name string) int {
	s.t.Helper()
	resp, body := s.get("/metrics")
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("metrics: %s", resp.Status)
	}
	for line := range strings.Lines(string(body)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			must(s.t, err)
			return int(value)
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return 0
}
