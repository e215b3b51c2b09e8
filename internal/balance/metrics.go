package balance

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is what balancers count, all of them on one registry:
//
//	stoa_registry_instances{name,state}      instances that take calls ("healthy"), are left out ("ejected"), or left the
//	                                         list and end their calls ("draining")
//	stoa_registry_ejections_total{name}      times that an instance was left out
//	stoa_registry_retries_total{name,why}    calls that were made again: nothing was sent ("unsent") or it does no harm
//	                                         ("repeated"); and those that were not, for the budget was spent ("spent")
//	stoa_registry_calls_total{name,outcome}  attempts: "ok" whatever the instance answered, "gateway" for an answer that was
//	                                         not the instance's, "failed" without one, "ended" by the caller, "none" where
//	                                         there was no instance
type Metrics struct {
	instances                 *prometheus.GaugeVec
	ejections, retries, calls *prometheus.CounterVec
	registry                  prometheus.Registerer
}

// NewMetrics registers the metrics; Close takes them back.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		instances: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoa_registry_instances", Help: "Instances of neighbours by name and state.",
		}, []string{"name", "state"}),
		ejections: counter("stoa_registry_ejections_total", "Times that an instance was left out after failures.", "name"),
		retries:   counter("stoa_registry_retries_total", "Calls to neighbours that were made again, or were not for the budget was spent.", "name", "why"),
		calls:     counter("stoa_registry_calls_total", "Attempts of calls to neighbours by outcome.", "name", "outcome"),
		registry:  registry,
	}
	for i, c := range m.all() {
		if err := registry.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				registry.Unregister(done)
			}
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.instances, m.ejections, m.retries, m.calls}
}

// Close takes the metrics off their registry.
func (m *Metrics) Close() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}

// counters are the metrics of one name, looked up once.
type counters struct {
	healthy, ejected, draining       prometheus.Gauge
	ejections                        prometheus.Counter
	unsent, repeated, spent          prometheus.Counter
	ok, gateway, failed, ended, none prometheus.Counter
}

func (m *Metrics) of(name string) counters {
	if m == nil {
		m, _ = NewMetrics(prometheus.NewRegistry()) // an empty one takes them
	}
	return counters{
		healthy: m.instances.WithLabelValues(name, "healthy"), ejected: m.instances.WithLabelValues(name, "ejected"),
		draining:  m.instances.WithLabelValues(name, "draining"),
		ejections: m.ejections.WithLabelValues(name),
		unsent:    m.retries.WithLabelValues(name, "unsent"), repeated: m.retries.WithLabelValues(name, "repeated"),
		spent: m.retries.WithLabelValues(name, "spent"),
		ok:    m.calls.WithLabelValues(name, "ok"), gateway: m.calls.WithLabelValues(name, "gateway"),
		failed: m.calls.WithLabelValues(name, "failed"), ended: m.calls.WithLabelValues(name, "ended"),
		none: m.calls.WithLabelValues(name, "none"),
	}
}
