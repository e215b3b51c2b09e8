package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-live/stoa/internal/testkit/history"
)

// TestDurability looks at what SIGKILL does not show: the system calls that bring data to the disk. Whether sends wait for
// each other or come at once, no client is told of a message before the log of the database was synced with its whole
// transaction in it.
func TestDurability(t *testing.T) {
	s := chatServer(t)
	trace := filepath.Join(t.TempDir(), "trace")
	s.program = append(tracer(trace), s.program...)
	s.start("127.0.0.1:0", "127.0.0.1:0")
	log := &history.Log{}
	people := s.talkers(log, 16)
	group := people[0].makeGroup(people[1:]...)

	var said []string
	say := func(kind string, n int) string { return fmt.Sprintf("[%s, number %04d]", kind, n) }
	for n := range 60 {
		said = append(said, say("one after the other", n))
		must(t, people[0].say(within(t), group, said[n]))
	}
	before := s.metric("stoa_chat_batch_seconds_count")
	const each = 20
	var wg sync.WaitGroup
	for i, p := range people {
		for n := range each {
			said = append(said, say("at once", i*each+n))
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			for n := range each {
				if err := p.say(ctx, group, say("at once", i*each+n)); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d sends at once: %d transactions", each*len(people), s.metric("stoa_chat_batch_seconds_count")-before)
	verdict(t, log, map[string][]*talker{group: people})
	s.stop() // with it ends the trace

	eventually(t, "the trace shows each message on the disk before anybody is told of it", func() error {
		story := storyOf(readTrace(t, trace), "chat.db-wal")
		for _, text := range said {
			if err := story.kept(text); err != nil {
				return err
			}
		}
		t.Logf("%d transactions and %d syncs of the log", len(story.transactions), len(story.syncs))
		return nil
	})
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
