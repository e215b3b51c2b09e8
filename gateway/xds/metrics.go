package xds

import "github.com/prometheus/client_golang/prometheus"

// metrics is what a server counts:
//
//	stoa_xds_envoys                     Envoys that are connected
//	stoa_xds_snapshots_total            snapshots that were told
//	stoa_xds_snapshots_withdrawn_total  snapshots that an Envoy refused
//	stoa_xds_refused_total              requests of Envoys that do not belong here
type metrics struct {
	envoys                        prometheus.Gauge
	snapshots, withdrawn, refused prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		envoys:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "stoa_xds_envoys", Help: "Envoys that are connected."}),
		snapshots: counter("stoa_xds_snapshots_total", "Snapshots that were told."),
		withdrawn: counter("stoa_xds_snapshots_withdrawn_total", "Snapshots that an Envoy refused."),
		refused:   counter("stoa_xds_refused_total", "Requests of Envoys that do not belong here."),
	}
	for _, c := range []prometheus.Collector{m.envoys, m.snapshots, m.withdrawn, m.refused} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
