package gateway

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// observe gives each request an id, logs it when it is answered, counts it, and keeps panics inside of it.
func (g *Gateway) observe(next http.Handler, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get(telemetry.RequestIDHeader)
		if !telemetry.ValidRequestID(id) {
			id = telemetry.NewRequestID()
		}
		r.Header.Set(telemetry.RequestIDHeader, id)
		w.Header().Set(telemetry.RequestIDHeader, id)
		r = r.WithContext(telemetry.WithRequestID(r.Context(), id))
		_, pattern := mux.Handler(r)
		g.metrics.inFlight.Inc()
		reply := &reply{ResponseWriter: w}
		defer func() {
			g.metrics.inFlight.Dec()
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				g.config.Logger.ErrorContext(r.Context(), "panic in HTTP handler", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if reply.status == 0 {
					errs.WriteHTTP(reply, r, errs.ToConnect(errRefused))
				}
			}
			g.metrics.requests.WithLabelValues(routeLabel(pattern), strconv.Itoa(reply.code())).Inc()
			// The query is left out: play URLs carry signatures there.
			g.config.Logger.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", reply.code(),
				"bytes", reply.bytes, "duration", time.Since(start), "remote", clientAddress(r), "proto", r.Proto)
		}()
		next.ServeHTTP(reply, r)
	})
}

// reply remembers what was answered.
type reply struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *reply) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *reply) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher, which connect's streams ask for by type.
func (r *reply) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController, by which playback takes connections over.
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
