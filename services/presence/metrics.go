package presence

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the service counts:
//
//	stoa_presence_nodes                   edges that were heard of lately
//	stoa_presence_online                  users who are online
//	stoa_presence_waiting                 users whose change waits to be told
//	stoa_presence_events_total            events that were published
//	stoa_presence_told_total              users whose change was told
//	stoa_presence_counts_told_total       conversations whose number of people was told
//	stoa_presence_pulse_failures_total    times that the bus or the store did not take what there was
//	stoa_presence_last_seen_stored_total  users of whom it was stored when they were last seen
//	stoa_presence_last_seen_lost_total    users of whom it was not, since the store took nothing for too long
//	stoa_presence_pruned_total            users who were forgotten
type metrics struct {
	nodes, online, waiting          prometheus.Gauge
	events, told, counted, failures prometheus.Counter
	remembered, lost, pruned        prometheus.Counter

	registry *prometheus.Registry
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		nodes:      gauge("stoa_presence_nodes", "Edges that were heard of lately."),
		online:     gauge("stoa_presence_online", "Users who are online."),
		waiting:    gauge("stoa_presence_waiting", "Users whose change waits to be told."),
		events:     counter("stoa_presence_events_total", "Events that were published."),
		told:       counter("stoa_presence_told_total", "Users whose change was told."),
		counted:    counter("stoa_presence_counts_told_total", "Conversations whose number of people was told."),
		failures:   counter("stoa_presence_pulse_failures_total", "Times that the bus or the store did not take what there was."),
		remembered: counter("stoa_presence_last_seen_stored_total", "Users of whom it was stored when they were last seen."),
		lost:       counter("stoa_presence_last_seen_lost_total", "Users of whom it was not stored when they were last seen."),
		pruned:     counter("stoa_presence_pruned_total", "Users who were forgotten."),
		registry:   registry,
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

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.nodes, m.online, m.waiting, m.events, m.told, m.counted, m.failures, m.remembered, m.lost, m.pruned,
	}
}

func (m *metrics) close() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}
