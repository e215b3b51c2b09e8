package telemetry

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the process's Prometheus registry and the RED metrics (rate, errors, duration) of its RPCs:
//
//	stoa_rpc_requests_total{procedure,code}      calls that ended; code is "ok" or a Connect code
//	stoa_rpc_duration_seconds{procedure}         how long unary calls took
//	stoa_rpc_streams_in_flight{procedure}        open streams
//
// The procedure is the handler's own name, so that a client cannot make up values.
type Metrics struct {
	// Registry is where services register collectors of their own.
	Registry *prometheus.Registry

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streams  *prometheus.GaugeVec

	answered, faults atomic.Int64
}

// gatewayHeader is set by the gateway on each request and dropped from outside, so that it tells the calls of people from
// those of services, which may call the same RPCs.
const gatewayHeader = "X-Stoa-Client-Address"

// NewMetrics returns a fresh registry with the collectors of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoa_rpc_requests_total", Help: "Calls that ended, by procedure and code.",
		}, []string{"procedure", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stoa_rpc_duration_seconds", Help: "Duration of unary calls by procedure, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"procedure"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stoa_rpc_streams_in_flight", Help: "Open streams by procedure.",
		}, []string{"procedure"}),
	}
	m.Registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.duration, m.streams,
	)
	return m
}

// Handler serves the registry in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{Registry: m.Registry})
}

// Answered counts the calls that came by the gateway and have ended, and those of them that failed by the server's own
// fault. Calls between services are not among them.
func (m *Metrics) Answered() (calls, faults int64) { return m.answered.Load(), m.faults.Load() }

// count counts a call that ended.
func (m *Metrics) count(procedure string, header http.Header, err error) {
	m.requests.WithLabelValues(procedure, code(err)).Inc()
	if header.Get(gatewayHeader) == "" {
		return
	}
	m.answered.Add(1)
	if err == nil {
		return
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnknown, connect.CodeInternal, connect.CodeUnavailable, connect.CodeDataLoss, connect.CodeDeadlineExceeded:
		m.faults.Add(1)
	}
}

// Interceptor returns the interceptor that measures handlers. It must stand outside of the translation of errors, so
// that it counts the codes that clients see; on clients it does nothing.
func (m *Metrics) Interceptor() connect.Interceptor { return metricsInterceptor{m} }

type metricsInterceptor struct {
	m *Metrics
}

// WrapUnary implements connect.Interceptor.
func (i metricsInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().IsClient {
			return next(ctx, req)
		}
		start := time.Now()
		res, err := next(ctx, req)
		procedure := req.Spec().Procedure
		i.m.duration.WithLabelValues(procedure).Observe(time.Since(start).Seconds())
		i.m.count(procedure, req.Header(), err)
		return res, err
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i metricsInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		procedure := conn.Spec().Procedure
		open := i.m.streams.WithLabelValues(procedure)
		open.Inc()
		defer open.Dec()
		err := next(ctx, conn)
		i.m.count(procedure, conn.RequestHeader(), err)
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i metricsInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func code(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}
