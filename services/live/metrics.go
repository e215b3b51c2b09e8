package live

import "github.com/prometheus/client_golang/prometheus"

// Results of publishes, as metrics name them.
const (
	publishAccepted = "accepted"
	publishRefused  = "refused"
)

// metrics are the figures of this node's broadcasts; those of viewers are playback's.
type metrics struct {
	publishes *prometheus.CounterVec
	all       []prometheus.Collector
}

func newMetrics(reg prometheus.Registerer, a *air) *metrics {
	m := &metrics{publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stoa_live_publishes_total", Help: "Encoders that asked to publish, by result.",
	}, []string{"result"})}
	m.all = []prometheus.Collector{m.publishes, broadcastCollector{a}}
	reg.MustRegister(m.all...)
	return m
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	for _, c := range m.all {
		reg.Unregister(c)
	}
}

// broadcastCollector counts running broadcasts and what they receive when it is asked.
type broadcastCollector struct{ air *air }

var (
	broadcastsDesc = prometheus.NewDesc("stoa_live_broadcasts", "Broadcasts that have not ended, by state.", []string{"state"}, nil)
	bitrateDesc    = prometheus.NewDesc("stoa_live_received_bits_per_second", "Media received from all encoders, over the last seconds.", nil, nil)
	skipsDesc      = prometheus.NewDesc("stoa_live_viewer_skips", "Times that slow viewers of running broadcasts were moved to a newer keyframe.", nil, nil)
)

// Describe implements prometheus.Collector.
func (broadcastCollector) Describe(out chan<- *prometheus.Desc) {
	out <- broadcastsDesc
	out <- bitrateDesc
	out <- skipsDesc
}

// Collect implements prometheus.Collector.
func (c broadcastCollector) Collect(out chan<- prometheus.Metric) {
	states := map[State]float64{Starting: 0, Live: 0, Interrupted: 0}
	var bits, skips float64
	for id, b := range c.air.now() {
		states[b.State]++
		if stats, _, err := c.air.stats(id); err == nil {
			bits += float64(stats.VideoBitrate + stats.AudioBitrate)
			skips += float64(stats.Skips)
		}
	}
	for state, n := range states {
		out <- prometheus.MustNewConstMetric(broadcastsDesc, prometheus.GaugeValue, n, state.String())
	}
	out <- prometheus.MustNewConstMetric(bitrateDesc, prometheus.GaugeValue, bits)
	out <- prometheus.MustNewConstMetric(skipsDesc, prometheus.GaugeValue, skips)
}
