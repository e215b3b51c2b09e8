// Package telemetry is how the house tells what it does: logs, metrics and request ids. (Traces are made by otelconnect
// in the stack of package rpc.)
//
// What must never happen here: a label whose values a client can choose, since each value costs memory for ever; and a
// token, password or message text in a log.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes to w in format "text" or "json" from level "debug", "info", "warn" or "error"
// upwards. Records that are logged with a context carry its request id.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var min slog.Level
	if err := min.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: min}
	switch format {
	case "text":
		return slog.New(requestIDHandler{slog.NewTextHandler(w, options)}), nil
	case "json":
		return slog.New(requestIDHandler{slog.NewJSONHandler(w, options)}), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}
