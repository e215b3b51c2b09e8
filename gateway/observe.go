package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-live/stoa/internal/telemetry"
)

// loggedPath bounds what a client can write into the log, in bytes.
const loggedPath = 256

// observe gives each request an id, says who sent it, logs it when it is answered, counts it, and keeps panics inside.
func (g *Gateway) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get(telemetry.RequestIDHeader)
		if !telemetry.ValidRequestID(id) {
			id = telemetry.NewRequestID()
		}
		r.Header.Set(telemetry.RequestIDHeader, id)
		r = g.identify(r.WithContext(telemetry.WithRequestID(r.Context(), id)))
		g.metrics.inFlight.Inc()
		reply := &reply{ResponseWriter: w, id: id}
		defer func() {
			aborted := g.contain(reply, r, recover())
			g.metrics.inFlight.Dec()
			// The pattern is the one that a mux matched: never what a client typed.
			g.metrics.requests.WithLabelValues(routeLabel(r.Pattern), strconv.Itoa(reply.code())).Inc()
			g.access(r, reply, time.Since(start))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(reply, r)
	})
}

// contain answers for a handler that panicked. It reports whether the connection has to be cut: half an answer must not
// look like a whole one.
func (g *Gateway) contain(reply *reply, r *http.Request, cause any) (abort bool) {
	switch cause {
	case nil:
		return false
	case http.ErrAbortHandler: // how net/http and its proxy cut a response
		return true
	}
	g.config.Logger.ErrorContext(r.Context(), "HTTP handler panicked", "route", routeLabel(r.Pattern),
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	if reply.status != 0 {
		return true
	}
	writeRPCError(reply, r, fmt.Errorf("panic: %v", cause))
	return false
}

// access writes the access log: a line for every request once it is answered, at level
//
//	warn    where the server failed (5xx);
//	debug   for what comes often and says little while it works: probes, metrics, the app's files, media;
//	info    for all others, which are RPCs and refusals.
//
// A busy chat thereby logs as a common web server does, and the thousand segments of a stream do not. Lines hold neither
// queries, which carry the signatures of play URLs, nor headers.
func (g *Gateway) access(r *http.Request, reply *reply, took time.Duration) {
	level := accessLevel(r.Pattern, reply.code())
	if !g.config.Logger.Enabled(r.Context(), level) {
		return
	}
	path := r.URL.Path
	if len(path) > loggedPath {
		path = strings.ToValidUTF8(path[:loggedPath], "") + "…"
	}
	g.config.Logger.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method), slog.String("path", path), slog.Int("status", reply.code()),
		slog.Int64("bytes", reply.bytes), slog.Duration("took", took.Round(time.Microsecond)),
		slog.String("client", clientAddress(r)), slog.String("proto", r.Proto))
}

func accessLevel(pattern string, status int) slog.Level {
	route := routeLabel(pattern)
	probe := route == healthPath || route == readyPath || route == metricsPath
	often := route == "/" || route == livePage || strings.HasPrefix(route, livePath)
	switch {
	case probe:
		return slog.LevelDebug
	case status >= http.StatusInternalServerError:
		return slog.LevelWarn
	case often && status < http.StatusBadRequest:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// reply remembers what was answered.
type reply struct {
	http.ResponseWriter

	id      string
	status  int // 0 before the header was written
	bytes   int64
	timeout time.Duration // for the client to take a part; 0 for none
}

// hurry starts the time that the client has for the next part.
func (r *reply) hurry() {
	if r.timeout > 0 {
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(r.timeout))
	}
}

func (r *reply) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) {
	// 1xx but 101 come before the answer.
	if r.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		r.status = status
		r.Header().Set(telemetry.RequestIDHeader, r.id) // once, though handlers write it, too
		r.hurry()
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *reply) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	r.hurry()
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher, which connect's streams ask for by type.
func (r *reply) Flush() {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(r.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController, by which playback takes connections over.
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
