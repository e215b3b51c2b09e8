package balance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/balance"
	"github.com/stoa-live/stoa/internal/memhttp"
)

// world is a balancer and its instances, which are real servers in memory, each found by its address.
type world struct {
	*balance.Balancer

	t        testing.TB
	registry *prometheus.Registry
	servers  map[string]*server
	remote   map[string]string // addresses of servers that are none of ours
	client   *http.Client
}

// dial lets a name lead to an address on the network.
func (w *world) dial(name, address string) { w.remote[name] = address }

// server is one instance.
type server struct {
	*memhttp.Server

	calls   atomic.Int64
	dials   atomic.Int64
	refuses atomic.Bool                  // connections
	handle  atomic.Pointer[http.Handler] // instead of its name
}

func (s *server) answers(h http.HandlerFunc) {
	var handler http.Handler = h
	s.handle.Store(&handler)
}

// status lets a server answer everything with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not me", code) }
}

func newWorld(t testing.TB, zone string, names ...string) *world {
	t.Helper()
	w := &world{t: t, registry: prometheus.NewRegistry(), servers: make(map[string]*server), remote: make(map[string]string)}
	for _, name := range names {
		s := &server{}
		s.Server = memhttp.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			s.calls.Add(1)
			if h := s.handle.Load(); h != nil {
				(*h).ServeHTTP(rw, r)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(rw, name)
		}))
		w.servers[name] = s
	}
	metrics, err := balance.NewMetrics(w.registry)
	if err != nil {
		t.Fatal(err)
	}
	w.Balancer = balance.New(balance.Options{
		Name: "chat", Zone: zone, Metrics: metrics,
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			name, _, _ := net.SplitHostPort(address)
			if remote, ok := w.remote[name]; ok {
				return (&net.Dialer{}).DialContext(ctx, "tcp", remote)
			}
			s := w.servers[name]
			if s == nil || s.refuses.Load() {
				return nil, fmt.Errorf("dial %s: connection refused", address)
			}
			s.dials.Add(1)
			return s.Dial(ctx)
		},
	})
	w.client = &http.Client{Transport: w}
	t.Cleanup(w.end)
	return w
}

func (w *world) end() {
	w.Close()
	for _, s := range w.servers {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// in is an instance by its name, with a zone and a weight behind slashes: "a/east/3".
func in(text string) balance.Instance {
	i := balance.Instance{Weight: 1}
	var weight string
	i.ID, i.Zone, _ = strings.Cut(text, "/")
	i.Zone, weight, _ = strings.Cut(i.Zone, "/")
	if weight != "" {
		_, _ = fmt.Sscan(weight, &i.Weight)
	}
	i.URL = "http://" + i.ID + ":80"
	return i
}

func (w *world) list(instances ...string) {
	w.t.Helper()
	var list []balance.Instance
	for _, text := range instances {
		list = append(list, in(text))
	}
	if err := w.Update(list); err != nil {
		w.t.Fatal(err)
	}
}

// call makes one call and returns its status and body.
func (w *world) call(ctx context.Context, method, path string, body io.Reader) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://chat"+path, body)
	if err != nil {
		return 0, "", err
	}
	res, err := w.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), errors.Join(err, res.Body.Close())
}

// get makes so many calls that may be repeated, and counts who answered; whatever failed is counted as "failed".
func (w *world) get(n int) map[string]int {
	got := make(map[string]int)
	for range n {
		code, by, err := w.call(w.t.Context(), http.MethodGet, "/x", nil)
		if err != nil || code != http.StatusOK {
			by = "failed"
		}
		got[by]++
	}
	return got
}

// metric returns the value of a metric with labels "a=b,…" in the order of their names.
func (w *world) metric(name, labels string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				pairs = append(pairs, l.GetName()+"="+l.GetValue())
			}
			if f.GetName() == name && strings.Join(pairs, ",") == labels {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}
