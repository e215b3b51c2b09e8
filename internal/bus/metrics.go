package bus

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what a bus does, whichever backend it is:
//
//	stoa_bus_published_total{topic}           events that Publish returned nil for
//	stoa_bus_publish_failures_total{topic}    calls of Publish that returned an error
//	stoa_bus_delivered_total{topic,group}     events that a handler took; the group is empty for those without one
//	stoa_bus_given_up_total{topic,group}      events that a handler did not take in MaxDeliveries
//	stoa_bus_delay_seconds{topic}             from Publish to the end of the handler
//	stoa_bus_reconnects_total{topic}          how often a subscription's connection was made anew
//
// Topics and groups are named in code, so that nobody outside can make up values.
type metrics struct {
	published, failed, delivered, lost, reconnects *prometheus.CounterVec
	delay                                          *prometheus.HistogramVec
}

// newMetrics registers the metrics, nowhere where there is no registry.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		published:  counter("stoa_bus_published_total", "Events published, by topic.", "topic"),
		failed:     counter("stoa_bus_publish_failures_total", "Publish calls that failed, by topic.", "topic"),
		delivered:  counter("stoa_bus_delivered_total", "Events that handlers took, by topic and group.", "topic", "group"),
		lost:       counter("stoa_bus_given_up_total", "Events given up after failures, by topic and group.", "topic", "group"),
		reconnects: counter("stoa_bus_reconnects_total", "Connections of subscriptions made anew, by topic.", "topic"),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stoa_bus_delay_seconds", Help: "From Publish to the end of the handler, by topic, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"topic"}),
	}
	if r == nil {
		return m, nil
	}
	var problems []error
	for _, c := range []prometheus.Collector{m.published, m.failed, m.delivered, m.lost, m.reconnects, m.delay} {
		problems = append(problems, r.Register(c))
	}
	return m, errors.Join(problems...)
}

// publish counts a call of Publish by its result, which it returns.
func (m *metrics) publish(topic string, err error) error {
	if err != nil {
		m.failed.WithLabelValues(topic).Inc()
	} else {
		m.published.WithLabelValues(topic).Inc()
	}
	return err
}

func (m *metrics) handled(topic, group string, published time.Time) {
	m.delivered.WithLabelValues(topic, group).Inc()
	m.delay.WithLabelValues(topic).Observe(max(0, time.Since(published).Seconds()))
}

func (m *metrics) givenUp(topic, group string) { m.lost.WithLabelValues(topic, group).Inc() }

func (m *metrics) reconnected(topic string) { m.reconnects.WithLabelValues(topic).Inc() }
