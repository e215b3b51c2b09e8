package presence

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the service counts:
//
//	stoa_presence_online        users who are online
//	stoa_presence_told_total    people whose change was told
type metrics struct {
	online   prometheus.Gauge
	told     prometheus.Counter
	registry *prometheus.Registry
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		online:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "stoa_presence_online", Help: "Users who are online."}),
		told:     prometheus.NewCounter(prometheus.CounterOpts{Name: "stoa_presence_told_total", Help: "People whose change was told."}),
		registry: registry,
	}
	if err := errors.Join(registry.Register(m.online), registry.Register(m.told)); err != nil {
		m.close()
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) close() {
	m.registry.Unregister(m.online)
	m.registry.Unregister(m.told)
}
