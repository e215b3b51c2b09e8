package chat

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the service counts:
//
//	stoa_chat_messages_stored_total      messages that were committed
//	stoa_chat_batch_changes              changes in each transaction, most of them messages
//	stoa_chat_batch_seconds              how long each transaction took, its fsync included
//	stoa_chat_batches_failed_total       transactions that failed
//	stoa_chat_outbox_pending             pieces of what happened that are committed and not yet published
type metrics struct {
	stored  prometheus.Counter
	batch   prometheus.Histogram
	commit  prometheus.Histogram
	failed  prometheus.Counter
	pending prometheus.Gauge

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
		stored: counter("stoa_chat_messages_stored_total", "Messages that were committed."),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stoa_chat_batch_changes", Help: "Changes in each transaction, most of them messages.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stoa_chat_batch_seconds", Help: "Duration of each transaction, its fsync included, in seconds.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		failed:   counter("stoa_chat_batches_failed_total", "Transactions that failed."),
		pending:  gauge("stoa_chat_outbox_pending", "Pieces of what happened that are committed and not yet published."),
		registry: registry,
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
		m.stored, m.batch, m.commit, m.failed, m.pending,
	}
}

func (m *metrics) close() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}
