// Package testkit boots the real composition for tests and calls it as clients do: over loopback ports, in every
// protocol. It stands in front of nothing and replaces nothing; a test that needs a fake wants another package.
package testkit

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// Config returns settings for a process of one test: ports of its own on loopback, a fresh data folder and a fresh store, no
// rate limit at the gateway, and a drain that no test waits out.
func Config(t testing.TB) config.Serve {
	t.Helper()
	var store string // SQLite's is in the data folder
	if storetest.Backend() != storetest.SQLite {
		store = storetest.URL(t)
	}
	return config.Serve{
		Store:    store,
		HTTPAddr: "127.0.0.1:0", RTMPAddr: "127.0.0.1:0", DataDir: t.TempDir(), Bus: "mem:", Registry: "static:", HTTP3: true,
		Node: rand.Text()[:12], Zone: "", Advertise: "",
		MetricsAllow: []string{"127.0.0.0/8"}, MaxBody: 1 << 20, DrainTimeout: 10 * time.Second,
		LiveReconnectWindow: 30 * time.Second, LiveCoverInterval: time.Minute, LiveStallTimeout: 10 * time.Second,
		LiveMaxViewers: 100, ChatUserRate: 3, ChatRoomRate: 200, EdgeFrameRate: 100, EdgeDevices: "any", FFmpeg: "ffmpeg", LogLevel: "debug",
	}
}

// Web is two apps of one page and one file each.
func Web() fs.FS {
	return fstest.MapFS{
		"app/index.html":             {Data: []byte("<!doctype html><title>the app</title>")},
		"app/favicon.svg":            {Data: []byte("<svg/>")},
		"app/assets/app-1a2b.js":     {Data: []byte("export {}")},
		"app/assets/long-1a2b.js.gz": {Data: packed(bytes.Repeat([]byte("export {}\n"), 1000))},
		"console/index.html":         {Data: []byte("<!doctype html><title>the console</title>")},
		"console/assets/c-1.js":      {Data: []byte("export {}")},
	}
}

func packed(whole []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(whole) // memory does not fail
	_ = zip.Close()
	return out.Bytes()
}

// Log collects what a process logs.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Errors returns the lines of level ERROR.
func (l *Log) Errors() []string {
	var out []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, "level=ERROR") {
			out = append(out, line)
		}
	}
	return out
}

// Server is a running process and the clients that reach it.
type Server struct {
	*app.App

	URL     string
	DataDir string
	Store   string // empty where it is in the data folder
	Log     *Log
	// HTTP1 and HTTP2 speak one version of HTTP each, without TLS.
	HTTP1, HTTP2 *http.Client

	t      testing.TB
	closed bool
}

// Start boots a process with Config, changed as asked, and closes it after the test, which fails if anything was logged
// as an error.
func Start(t testing.TB, changes ...func(*config.Serve)) *Server {
	t.Helper()
	cfg := Config(t)
	for _, change := range changes {
		change(&cfg)
	}
	s := &Server{DataDir: cfg.DataDir, Store: cfg.Store, Log: &Log{}, HTTP1: client(false), HTTP2: client(true), t: t}
	logger, err := telemetry.NewLogger(s.Log, "text", cfg.LogLevel)
	if err != nil {
		t.Fatal(err)
	}
	if s.App, err = app.Start(t.Context(), cfg, Web(), logger); err != nil {
		t.Fatalf("start: %v", err)
	}
	scheme := "http"
	if cfg.TLSCert != "" {
		scheme = "https"
	}
	s.URL = fmt.Sprintf("%s://%s", scheme, s.HTTPAddr())
	t.Cleanup(func() {
		s.HTTP1.CloseIdleConnections()
		s.HTTP2.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, line := range s.Log.Errors() {
			t.Errorf("logged: %s", line)
		}
	})
	return s
}

// Close ends the process as a signal does. Closing again does nothing.
func (s *Server) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 30*time.Second)
	defer cancel()
	err := s.App.Close(ctx)
	select {
	case failed := <-s.Failed():
		err = errors.Join(err, failed)
	default:
	}
	return err
}

func client(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(http2)
	protocols.SetHTTP1(!http2)
	return &http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true, MaxIdleConnsPerHost: 64}}
}

// Eventually waits until a condition holds, and fails the test if it does not within the time, which should be far more
// than it takes.
func Eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
