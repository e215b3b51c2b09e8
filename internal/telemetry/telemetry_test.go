package telemetry_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/telemetry"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	ctx := telemetry.WithRequestID(t.Context(), "r1")
	logger.InfoContext(ctx, "quiet")
	logger.With("service", "auth").WithGroup("g").WarnContext(ctx, "loud", "a", 1)
	var record map[string]any
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if record["msg"] != "loud" || record["service"] != "auth" || !strings.Contains(out.String(), `"request_id":"r1"`) {
		t.Errorf("got %v", record)
	}
	out.Reset()
	logger, err = telemetry.NewLogger(&out, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	logger.DebugContext(t.Context(), "fine")
	if got := out.String(); !strings.Contains(got, "level=DEBUG msg=fine") || strings.Contains(got, "request_id") {
		t.Errorf("got %q", got)
	}
	for _, bad := range [][2]string{{"xml", "info"}, {"json", "loud"}, {"", ""}} {
		if _, err := telemetry.NewLogger(&out, bad[0], bad[1]); err == nil {
			t.Errorf("NewLogger(%v) succeeded", bad)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	a, b := telemetry.NewRequestID(), telemetry.NewRequestID()
	if a == b || !telemetry.ValidRequestID(a) || telemetry.RequestID(t.Context()) != "" {
		t.Errorf("got %q and %q", a, b)
	}
	for id, want := range map[string]bool{
		"": false, "x": true, "0a-B_c.d": true, "a b": false, "a\nb": false, "é": false, strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false, "<script>": false,
	} {
		if got := telemetry.ValidRequestID(id); got != want {
			t.Errorf("ValidRequestID(%q) = %v", id, got)
		}
	}
}

func TestMetricsPage(t *testing.T) {
	a := telemetry.NewMetrics()
	telemetry.NewMetrics() // a second one does not collide
	page := httptest.NewRecorder()
	a.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
