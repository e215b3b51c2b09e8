package app_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/testkit"
)

// TestTalkOnPulsar: with its events on Pulsar, the process does what it does without.
func TestTalkOnPulsar(t *testing.T) {
	broker := partstest.URL(t, "pulsar")
	t.Parallel()
	start := time.Now()
	s := testkit.Start(t, func(c *config.Serve) {
		c.EdgeAddr = "127.0.0.1:0"
		c.Bus = broker + "?prefix=" + rand.Text() + "-"
	})
	t.Logf("started in %v", time.Since(start).Round(time.Millisecond))
	all, room := connectAll(t, s, nil)
	for _, speaker := range all {
		text := "over " + speaker.name
		start := time.Now()
		if err := speaker.send(message(room, text)); err != nil {
			t.Fatalf("%s: %v", speaker.name, err)
		}
		for _, l := range all {
			l.until(t, text, func(f *edgev1.ServerFrame) bool {
				for _, e := range f.GetPush().GetEvents() {
					if e.GetChat().GetMessage().GetContent().GetText().GetText() == text {
						return true
					}
				}
				return false
			})
		}
		t.Logf("%s is heard after %v", text, time.Since(start).Round(time.Millisecond))
	}
	res, err := s.HTTP1.Get(s.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	metrics, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s, %v", res.Status, err)
	}
	for _, series := range []string{
		`stoa_bus_published_total{topic="chat.conversation_events"}`, `stoa_bus_delivered_total{group="",topic="chat.conversation_events"}`,
		`stoa_bus_delay_seconds_count{topic="chat.conversation_events"}`, "pulsar_client_",
	} {
		if !strings.Contains(string(metrics), series) {
			t.Errorf("there is no metric %s", series)
		}
	}
}
