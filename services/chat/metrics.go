package chat

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the service counts:
//
//	stoa_chat_messages_stored_total      messages that were committed
//	stoa_chat_batch_messages             messages in each transaction
//	stoa_chat_batch_seconds              how long each transaction took, its fsync included
//	stoa_chat_batches_failed_total       transactions that failed
//	stoa_chat_outbox_pending             runs of messages that are committed and not yet published
//	stoa_chat_subscribers                open subscriptions
//	stoa_chat_conversations_open         conversations that somebody is subscribed to
//	stoa_chat_slow_consumers_total       subscriptions that were cut because they were read too slowly
//	stoa_chat_events_dropped_total       events that those had not been sent
type metrics struct {
	stored        prometheus.Counter
	batch         prometheus.Histogram
	commit        prometheus.Histogram
	failed        prometheus.Counter
	pending       prometheus.Gauge
	subscribers   prometheus.Gauge
	conversations prometheus.Gauge
	slow          prometheus.Counter
	dropped       prometheus.Counter

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
			Name: "stoa_chat_batch_messages", Help: "Messages in each transaction.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stoa_chat_batch_seconds", Help: "Duration of each transaction, its fsync included, in seconds.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		failed:        counter("stoa_chat_batches_failed_total", "Transactions that failed."),
		pending:       gauge("stoa_chat_outbox_pending", "Runs of messages that are committed and not yet published."),
		subscribers:   gauge("stoa_chat_subscribers", "Open subscriptions."),
		conversations: gauge("stoa_chat_conversations_open", "Conversations that somebody is subscribed to."),
		slow:          counter("stoa_chat_slow_consumers_total", "Subscriptions cut because they were read too slowly."),
		dropped:       counter("stoa_chat_events_dropped_total", "Events that slow consumers had not been sent."),
		registry:      registry,
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
		m.stored, m.batch, m.commit, m.failed, m.pending, m.subscribers, m.conversations, m.slow, m.dropped,
	}
}

func (m *metrics) close() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}
