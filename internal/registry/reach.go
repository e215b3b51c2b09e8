package registry

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// reach knows whether the registry can be reached. It logs when that changes, not at every attempt, and counts:
//
//	stoa_registry_reachable        1 while everything that was asked last was answered, else 0
//	stoa_registry_failures_total   questions that were not answered
type reach struct {
	log       *slog.Logger
	reachable prometheus.Gauge
	failures  prometheus.Counter
	registry  prometheus.Registerer

	mu   sync.Mutex
	lack map[string]bool // what has no answer
}

func newReach(s settings) (*reach, error) {
	r := &reach{
		log: s.log, registry: s.metrics, lack: make(map[string]bool),
		reachable: prometheus.NewGauge(prometheus.GaugeOpts{Name: "stoa_registry_reachable", Help: "1 while the registry answers."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stoa_registry_failures_total", Help: "Questions that the registry has not answered.",
		}),
	}
	r.reachable.Set(1)
	return r, errors.Join(s.metrics.Register(r.reachable), s.metrics.Register(r.failures))
}

func (r *reach) lost(what string, err error) {
	r.failures.Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lack) == 0 {
		r.reachable.Set(0)
		r.log.Warn("registry cannot be reached, the last lists stay", "asked_for", what, "error", err)
	}
	r.lack[what] = true
}

func (r *reach) found(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lack[what] {
		return
	}
	delete(r.lack, what)
	if len(r.lack) == 0 {
		r.reachable.Set(1)
		r.log.Info("registry answers again")
	}
}

func (r *reach) close() {
	r.registry.Unregister(r.reachable)
	r.registry.Unregister(r.failures)
}
