package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
)

// fakeConsul is an agent in memory that says what a test wants.
type fakeConsul struct {
	t      *testing.T
	server *memhttp.Server
	log    lockedBuffer
	stats  *prometheus.Registry

	mu      sync.Mutex
	index   uint64
	entries []map[string]any
	changed chan struct{}  // closed at each change
	broken  string         // how questions are answered: "500", "garbage", "hangs", "cut", "denied"
	queries []string       // wait and index of each question for a list
	tokens  map[string]int // that were sent
}

func newFakeConsul(t *testing.T) *fakeConsul {
	f := &fakeConsul{t: t, index: 10, changed: make(chan struct{}), tokens: make(map[string]int), stats: prometheus.NewRegistry()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/health/service/stoa-auth", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answer(w)
	})
	mux.HandleFunc("GET /v1/health/service/stoa-chat", f.list)
	f.server = memhttp.NewServer(mux)
	return f
}

// open opens a registry of it and resolves chat.
func (f *fakeConsul) open() registry.Registry {
	f.t.Helper()
	r, err := registry.Open(f.t.Context(), "consul://agent:8500?token=s3cret&datacenter=dc1", registry.WithConsulClient(f.server.Client()),
		registry.WithLogger(f.log.logger()), registry.WithMetrics(f.stats))
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := r.Resolve(f.t.Context(), "chat"); err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fakeConsul) close(r registry.Registry) {
	if err := r.Close(); err != nil {
		f.t.Error(err)
	}
	f.set(func() { f.broken = "cut" }) // what hangs ends
	if err := f.server.Close(); err != nil {
		f.t.Error(err)
	}
	if f.log.count("s3cret") > 0 {
		f.t.Error("the token was logged")
	}
}

// set changes what is said from now on, and wakes what waits.
func (f *fakeConsul) set(change func()) {
	f.mu.Lock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	synctest.Wait()
}

// says sets the list, at an index; ids are addresses, too.
func (f *fakeConsul) says(index uint64, hosts ...string) {
	f.set(func() {
		f.index, f.entries = index, nil
		for _, host := range hosts {
			f.entries = append(f.entries, entry(host, host, 80, nil))
		}
	})
}

func entry(id, host string, port int, meta map[string]string) map[string]any {
	return map[string]any{
		"Node":    map[string]any{"Address": "10.0.0.1"},
		"Service": map[string]any{"ID": id, "Address": host, "Port": port, "Meta": meta},
		"Checks":  []any{},
	}
}

func (f *fakeConsul) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f.mu.Lock()
	f.queries = append(f.queries, fmt.Sprintf("index=%s wait=%s passing=%s dc=%s", q.Get("index"), q.Get("wait"), q.Get("passing"), q.Get("dc")))
	f.tokens[r.Header.Get("X-Consul-Token")]++
	wait, _ := time.ParseDuration(q.Get("wait"))
	index, _ := strconv.ParseUint(q.Get("index"), 10, 64)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for over := false; ; {
		switch {
		case f.broken == "hangs":
		case f.broken == "" && index > 0 && index == f.index && !over:
		default:
			defer f.mu.Unlock()
			f.answer(w)
			return
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.C:
			over = true
		case <-r.Context().Done():
			return
		}
		f.mu.Lock()
	}
}

// answer is called with the lock held.
func (f *fakeConsul) answer(w http.ResponseWriter) {
	w.Header().Set("X-Consul-LastContact", "0")
	w.Header().Set("X-Consul-KnownLeader", "true")
	w.Header().Set("X-Consul-Index", strconv.FormatUint(f.index, 10))
	switch f.broken {
	case "500":
		http.Error(w, "No cluster leader", http.StatusInternalServerError)
	case "denied":
		http.Error(w, "Permission denied", http.StatusForbidden)
	case "garbage":
		_, _ = io.WriteString(w, `[{"Service":`)
	case "cut":
		panic(http.ErrAbortHandler)
	default:
		list := f.entries
		if list == nil {
			list = []map[string]any{}
		}
		_ = json.NewEncoder(w).Encode(list)
	}
}

// asked returns the questions since it was called last.
func (f *fakeConsul) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.queries
	f.queries = nil
	return out
}

func (f *fakeConsul) metric(name string) float64 {
	families, err := f.stats.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue() + family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func listed(t *testing.T, r registry.Registry) string {
	return strings.ReplaceAll(strings.ReplaceAll(urls(t, r, "chat"), "http://", ""), ":80", "")
}

func TestWatchAsksAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeConsul(t)
		f.says(10, "a")
		r := f.open()
		defer f.close(r)
		time.Sleep(10 * time.Minute)
		if got := listed(t, r); got != "a" {
			t.Errorf("listed is %q", got)
		}
		queries := f.asked()
		if len(queries) < 10 || len(queries) > 13 {
			t.Errorf("%d questions in ten minutes", len(queries))
		}
		if queries[0] != "index= wait=55000ms passing=1 dc=dc1" || queries[1] != "index=10 wait=55000ms passing=1 dc=dc1" {
			t.Errorf("asked %q", queries[:2])
		}
		if f.tokens["s3cret"] != len(queries) {
			t.Errorf("tokens were %v", f.tokens)
		}
		f.says(11, "a", "b")
		time.Sleep(100 * time.Millisecond)
		if got := listed(t, r); got != "a b" {
			t.Errorf("listed is %q", got)
		}
		f.says(12, "b")
		time.Sleep(100 * time.Millisecond)
		if got := listed(t, r); got != "b" {
			t.Errorf("listed is %q", got)
		}
		// An agent that answers at once, each time with another index, is not asked without end.
		f.asked()
		for i := range 1000 {
			f.says(uint64(13+i), "b") //nolint:gosec // small
			time.Sleep(time.Millisecond)
		}
		if n := len(f.asked()); n > 25 {
			t.Errorf("%d questions in a second", n)
		}
	})
}

func TestWatchStartsAnewWhereTheIndexDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeConsul(t)
		f.says(1000, "a", "b")
		r := f.open()
		defer f.close(r)
		time.Sleep(time.Second)
		// The registry has forgotten everything, and learns it again piece by piece: nobody is lost.
		f.says(3)
		time.Sleep(time.Second)
		if got := listed(t, r); got != "a b" {
			t.Errorf("after a reset: %q", got)
		}
		f.says(5, "a", "c")
		time.Sleep(time.Second)
		if got := listed(t, r); got != "a b c" {
			t.Errorf("while it comes back: %q", got)
		}
		queries := f.asked()
		if last := queries[len(queries)-1]; !strings.HasPrefix(last, "index=5 ") {
			t.Errorf("the last question was %q", last)
		}
		// What does not come back is gone.
		time.Sleep(3 * time.Second)
		if got := listed(t, r); got != "a c" {
			t.Errorf("in the end: %q", got)
		}
		// Without an index there is nothing to wait for: it is asked now and then.
		f.asked()
		f.says(0, "c")
		time.Sleep(30 * time.Second)
		if n := len(f.asked()); n < 20 || n > 35 {
			t.Errorf("%d questions in 30 seconds without an index", n)
		}
		if got := listed(t, r); got != "c" {
			t.Errorf("without an index: %q", got)
		}
		f.says(7, "d")
		time.Sleep(20 * time.Second)
		if got := listed(t, r); got != "d" {
			t.Errorf("with an index again: %q", got)
		}
	})
}

func TestWatchKeepsTheLastListOfARegistryThatIsAway(t *testing.T) {
	for _, broken := range []string{"500", "garbage", "cut", "denied", "hangs"} {
		t.Run(broken, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeConsul(t)
				f.says(20, "a", "b")
				r := f.open()
				defer f.close(r)
				time.Sleep(time.Second)
				f.asked()
				f.set(func() { f.broken = broken })
				time.Sleep(time.Hour)
				if got := listed(t, r); got != "a b" {
					t.Errorf("an hour later: %q", got)
				}
				if n := len(f.asked()); n < 400 || n > 3600 {
					t.Errorf("%d questions in an hour", n)
				}
				if f.metric("stoa_registry_reachable") != 0 || f.metric("stoa_registry_failures_total") < 400 {
					t.Errorf("reachable is %v after %v failures", f.metric("stoa_registry_reachable"), f.metric("stoa_registry_failures_total"))
				}
				f.set(func() { f.broken, f.index = "", 21 })
				f.says(22, "a", "c")
				time.Sleep(15 * time.Second)
				if got := listed(t, r); got != "a c" {
					t.Errorf("back again: %q", got)
				}
				if n, m := f.log.count("cannot be reached"), f.log.count("answers again"); n != 1 || m != 1 || f.metric("stoa_registry_reachable") != 1 {
					t.Errorf("logged %d losses and %d returns", n, m)
				}
			})
		})
	}
}

func TestATokenThatConsulDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeConsul(t)
		f.set(func() { f.broken = "denied" })
		_, err := registry.Open(t.Context(), "consul://agent:8500?token=s3cret", registry.WithConsulClient(f.server.Client()))
		if err == nil || err.Error() != "open registry consul: consul at agent:8500 cannot be asked: it answers 403 Permission denied" {
			t.Errorf("got %v", err)
		}
		if err := f.server.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWatchSkipsWhatIsNoInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeConsul(t)
		garbage := []map[string]any{
			entry("a", "a", 80, map[string]string{"stoa-weight": "3"}),
			entry("node address", "", 80, nil), // a service without one has its node's
			entry("port 0", "x", 0, nil),
			entry("port 70000", "x", 70000, nil),
			entry("no host", "a b", 80, nil),
			entry("url", "http://x", 80, nil),
			entry("weight", "x", 80, map[string]string{"stoa-weight": "heavy"}),
			entry("weight 0", "x", 80, map[string]string{"stoa-weight": "0"}),
			entry("scheme", "x", 80, map[string]string{"stoa-scheme": "ftp"}),
			entry("", "x", 80, nil),
			{"Node": nil},
		}
		f.set(func() { f.entries = garbage })
		r := f.open()
		defer f.close(r)
		for i := range 20 {
			f.set(func() { f.index = uint64(20 + i) }) //nolint:gosec // small
			time.Sleep(time.Second)
		}
		list, err := r.Instances(t.Context(), "chat")
		if err != nil || len(list) != 2 || list[0].Weight != 3 || list[1].URL != "http://10.0.0.1:80" {
			t.Errorf("got %+v, %v", list, err)
		}
		if n := f.log.count("is skipped"); n != 9 {
			t.Errorf("%d lines about 9 entries", n)
		}
	})
}
