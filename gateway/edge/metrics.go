package edge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what an edge counts:
//
//	stoa_edge_sessions                 sessions, those that wait for a resume included
//	stoa_edge_waiting                  connections that have not signed in yet
//	stoa_edge_conversations            conversations that somebody here is in
//	stoa_edge_watched_people           people whose presence somebody here follows
//	stoa_edge_sessions_opened_total    sessions that were opened
//	stoa_edge_sessions_resumed_total   sessions that were taken up again
//	stoa_edge_sessions_ended_total     sessions that ended, by why
//	stoa_edge_sign_ins_refused_total   sign-ins that were refused
//	stoa_edge_frames_received_total    frames from clients
//	stoa_edge_frames_pushed_total      Push frames to clients
//	stoa_edge_events_pushed_total      events in them, each counted for each client
//	stoa_edge_slow_total               sessions that ended because their client read too slowly
//	stoa_edge_silent_total             connections that were cut because nothing came from them
//	stoa_edge_floods_total             sessions that ended because their client sent too much
type metrics struct {
	sessions, waiting, topics, watched         prometheus.Gauge
	opened, resumed, refused, received, frames prometheus.Counter
	pushed, slow, silent, flooded              prometheus.Counter
	ended                                      *prometheus.CounterVec
	registry                                   *prometheus.Registry
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		sessions: gauge("stoa_edge_sessions", "Sessions, those that wait for a resume included."),
		waiting:  gauge("stoa_edge_waiting", "Connections that have not signed in yet."),
		topics:   gauge("stoa_edge_conversations", "Conversations that somebody here is in."),
		watched:  gauge("stoa_edge_watched_people", "People whose presence somebody here follows."),
		opened:   counter("stoa_edge_sessions_opened_total", "Sessions that were opened."),
		resumed:  counter("stoa_edge_sessions_resumed_total", "Sessions that were taken up again."),
		refused:  counter("stoa_edge_sign_ins_refused_total", "Sign-ins that were refused."),
		received: counter("stoa_edge_frames_received_total", "Frames from clients."),
		frames:   counter("stoa_edge_frames_pushed_total", "Push frames to clients."),
		pushed:   counter("stoa_edge_events_pushed_total", "Events pushed, each counted for each client."),
		slow:     counter("stoa_edge_slow_total", "Sessions ended because their client read too slowly."),
		silent:   counter("stoa_edge_silent_total", "Connections cut because nothing came from them."),
		flooded:  counter("stoa_edge_floods_total", "Sessions ended because their client sent too much."),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoa_edge_sessions_ended_total", Help: "Sessions that ended, by why.",
		}, []string{"why"}),
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
		m.sessions, m.waiting, m.topics, m.watched, m.opened, m.resumed, m.refused, m.received, m.frames, m.pushed, m.slow, m.silent, m.flooded,
		m.ended,
	}
}

func (m *metrics) close() {
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}
