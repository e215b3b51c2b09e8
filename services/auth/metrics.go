package auth

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// metrics counts:
//
//	stoa_auth_sign_ins_total{method,result}       sign-ins and refreshes; result is "ok" or the reason of the refusal
//	stoa_auth_revoked_sessions_total{cause}       sessions that were ended
type metrics struct {
	signIns     *prometheus.CounterVec
	revocations *prometheus.CounterVec
}

func newMetrics(m *telemetry.Metrics) (*metrics, error) {
	out := &metrics{
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoa_auth_sign_ins_total", Help: "Sign-ins and token refreshes, by method and result.",
		}, []string{"method", "result"}),
		revocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoa_auth_revoked_sessions_total", Help: "Sessions that were ended, by cause.",
		}, []string{"cause"}),
	}
	for _, c := range []prometheus.Collector{out.signIns, out.revocations} {
		if err := m.Registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return out, nil
}

// signedIn counts an attempt. Reasons are our own words, so there are few.
func (m *metrics) signedIn(method string, err error) {
	result := "ok"
	if err != nil {
		result = errs.Reason(errs.ToConnect(err))
	}
	m.signIns.WithLabelValues(method, result).Inc()
}

func (m *metrics) revoked(cause string, sessions int) {
	m.revocations.WithLabelValues(cause).Add(float64(sessions))
}
