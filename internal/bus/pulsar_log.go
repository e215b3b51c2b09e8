package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar/log"
)

const (
	// The client says the same for each producer and consumer when a broker goes: warnings that are more than warningsShown
	// in warningsWindow go to the level debug.
	warningsShown  = 5
	warningsWindow = 10 * time.Second
)

var (
	_ log.Logger = pulsarLog{}
	_ log.Entry  = pulsarLog{}
)

// pulsarLog is where Pulsar's client logs. What it calls errors it tries again, so that they are warnings to us, and what it
// warns of is its daily work. Its level debug is left out: it prints events.
type pulsarLog struct {
	logger *slog.Logger
	limit  *warningLimit
}

func newPulsarLog(logger *slog.Logger) pulsarLog {
	return pulsarLog{logger: logger.With(slog.String("client", "pulsar")), limit: &warningLimit{}}
}

type warningLimit struct {
	mu    sync.Mutex
	since time.Time
	shown int
}

func (w *warningLimit) allow(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.since) >= warningsWindow {
		w.since, w.shown = now, 0
	}
	w.shown++
	return w.shown <= warningsShown
}

func (l pulsarLog) with(fields log.Fields) pulsarLog {
	attrs := make([]any, 0, len(fields))
	for name, value := range fields {
		attrs = append(attrs, slog.Any(name, value))
	}
	return pulsarLog{logger: l.logger.With(attrs...), limit: l.limit}
}

func (l pulsarLog) print(level slog.Level, text func() string) {
	if level >= slog.LevelWarn && !l.limit.allow(time.Now()) {
		level = slog.LevelDebug
	}
	if l.logger.Enabled(context.Background(), level) {
		l.logger.Log(context.Background(), level, text())
	}
}

func (l pulsarLog) say(level slog.Level, args []any) {
	l.print(level, func() string { return fmt.Sprint(args...) })
}

func (l pulsarLog) sayf(level slog.Level, format string, args []any) {
	l.print(level, func() string { return fmt.Sprintf(format, args...) })
}

// SubLogger implements log.Logger.
func (l pulsarLog) SubLogger(fields log.Fields) log.Logger { return l.with(fields) }

// WithFields implements log.Logger and log.Entry.
func (l pulsarLog) WithFields(fields log.Fields) log.Entry { return l.with(fields) }

// WithField implements log.Logger and log.Entry.
func (l pulsarLog) WithField(name string, value any) log.Entry {
	return l.with(log.Fields{name: value})
}

// WithError implements log.Logger.
func (l pulsarLog) WithError(err error) log.Entry { return l.with(log.Fields{"cause": err}) }

// Debug implements log.Logger and log.Entry.
func (l pulsarLog) Debug(...any) {}

// Info implements log.Logger and log.Entry.
func (l pulsarLog) Info(args ...any) { l.say(slog.LevelDebug, args) }

// Warn implements log.Logger and log.Entry.
func (l pulsarLog) Warn(args ...any) { l.say(slog.LevelDebug, args) }

// Error implements log.Logger and log.Entry.
func (l pulsarLog) Error(args ...any) { l.say(slog.LevelWarn, args) }

// Debugf implements log.Logger and log.Entry.
func (l pulsarLog) Debugf(string, ...any) {}

// Infof implements log.Logger and log.Entry.
func (l pulsarLog) Infof(format string, args ...any) { l.sayf(slog.LevelDebug, format, args) }

// Warnf implements log.Logger and log.Entry.
func (l pulsarLog) Warnf(format string, args ...any) { l.sayf(slog.LevelDebug, format, args) }

// Errorf implements log.Logger and log.Entry.
func (l pulsarLog) Errorf(format string, args ...any) { l.sayf(slog.LevelWarn, format, args) }
