package bus_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/bus/bustest"
	"github.com/stoa-live/stoa/internal/parts/partstest"
)

// pulsarURL is an address on the broker that all tests share, with topics of its own.
func pulsarURL(t testing.TB, options string) string {
	t.Helper()
	return partstest.URL(t, "pulsar") + "?prefix=" + rand.Text() + "-&" + options
}

func openLogged(t *testing.T, url string) bus.Bus {
	t.Helper()
	level := slog.LevelWarn
	if os.Getenv("BUS_DEBUG") != "" {
		level = slog.LevelDebug
	}
	b, err := bus.Open(t.Context(), url, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level})))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPulsarKeepsTheContract(t *testing.T) {
	partstest.URL(t, "pulsar")
	t.Parallel()
	bustest.Run(t, bustest.Options{
		Open: func(t *testing.T) bus.Bus { return openLogged(t, pulsarURL(t, "")) },
		Processes: func(t *testing.T) func() bus.Bus {
			url := pulsarURL(t, "")
			return func() bus.Bus { return openLogged(t, url) }
		},
		SlowTakeover: "an event can be lost when members come and go while the broker still waits to hand a partition over",
	})
}

func TestPulsarAddresses(t *testing.T) {
	missing := t.TempDir() + "/none"
	for address, want := range map[string]string{
		"pulsar:host":                              "want pulsar://host:6650/tenant/namespace",
		"pulsar://host":                            "/tenant/namespace",
		"pulsar://host/":                           "/tenant/namespace",
		"pulsar://host/tenant":                     "/tenant/namespace",
		"pulsar://host/a/b/c?token=secret":         "/tenant/namespace",
		"pulsar:///a/b?token=secret":               "malformed host",
		"pulsar://host:x/a/b?token=secret":         `malformed host "host:x"`,
		"pulsar://host:6650,/a/b":                  `malformed host ""`,
		"pulsar://me:secret@host/a/b":              "use token or tokenFile",
		"pulsar://host/a/b?partition=1":            `unknown option "partition"`,
		"pulsar://host/a/b?partitions=0":           "partitions=0: want 1 to 64",
		"pulsar://host/a/b?partitions=x":           "partitions=x: want 1 to 64",
		"pulsar://host/a/b?queue=0":                "queue=0",
		"pulsar://host/a/b?prefix=a/b":             "prefix=a/b",
		"pulsar://host/a/b?token=":                 "token is empty",
		"pulsar://host/a/b?token=secret&tokenFile": "two tokens",
		"pulsar://host/a/b?tokenFile=" + missing:   "tokenFile",
		"pulsar://host/a/b?token=secret%zz":        "malformed options",
		"pulsar://host/a/b?ca=x":                   "pulsar+ssl://",
		"pulsar+ssl://host/a/b?ca=" + missing:      "ca: ",
	} {
		_, err := bus.Open(t.Context(), address, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "open bus: pulsar: ") {
			t.Errorf("Open(%q): %v, want %q", address, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n")) {
			t.Errorf("Open(%q) shows too much: %v", address, err)
		}
	}
}

func TestPulsarThatIsNotThere(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := bus.Open(ctx, "pulsar://127.0.0.1:1,127.0.0.1:2/public/default?token=secret", slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "no broker answers at pulsar://127.0.0.1:1,127.0.0.1:2: ") ||
		strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open: %v", err)
	}
}

func TestPulsarNamespaceThatIsNotThere(t *testing.T) {
	address := strings.Replace(pulsarURL(t, ""), "/public/default", "/public/nowhere", 1)
	t.Parallel()
	_, err := bus.Open(t.Context(), address, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "there is no namespace public/nowhere at pulsar://") {
		t.Errorf("Open: %v", err)
	}
}

// What a group gives up is kept for the operator, with the reason.
func TestPulsarDeadLetters(t *testing.T) {
	address := pulsarURL(t, "partitions=2")
	t.Parallel()
	var output strings.Builder
	registry := prometheus.NewRegistry()
	b, err := bus.Open(t.Context(), address, slog.New(slog.NewTextHandler(&output, nil)), bus.WithMetrics(registry))
	if err != nil {
		t.Fatal(err)
	}
	good := make(chan string, 1)
	tries := 0
	if _, err := b.Subscribe("topic", "group", func(_ context.Context, e bus.Event) error {
		switch string(e.Payload) {
		case "bad":
			tries++
			return errors.New("this cannot be")
		case "worse":
			return bus.Permanent(errors.New("this can never be"))
		}
		good <- string(e.Payload)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"bad", "worse", "good"} {
		if err := b.Publish(t.Context(), "topic", "key", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-good:
	case <-time.After(patience):
		t.Fatal("a poisoned event stops its key")
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tries != bus.MaxDeliveries || strings.Count(output.String(), "event given up") != 2 {
		t.Errorf("tried %d times, log is %q", tries, output.String())
	}
	counted := make(map[string]float64)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		counted[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	if counted["stoa_bus_published_total"] != 3 || counted["stoa_bus_delivered_total"] != 1 || counted["stoa_bus_given_up_total"] != 2 {
		t.Errorf("counted %v", counted)
	}

	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	client, err := pulsar.NewClient(pulsar.ClientOptions{
		URL: "pulsar://" + u.Host, Logger: log.DefaultNopLogger(), MetricsRegisterer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	letters, err := client.Subscribe(pulsar.ConsumerOptions{
		Topic: "persistent://public/default/" + u.Query().Get("prefix") + "topic-group-dead", SubscriptionName: "operator", Type: pulsar.Shared,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, want := range [][3]string{{"bad", "this cannot be", "10"}, {"worse", "this can never be", "1"}} {
		m, err := letters.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p := m.Properties()
		if string(m.Payload()) != want[0] || m.Key() != "key" || p["cause"] != want[1] || p["deliveries"] != want[2] ||
			p["topic"] != "topic" || p["group"] != "group" || p["given_up_at"] == "" {
			t.Errorf("dead letter %q of key %q: %v", m.Payload(), m.Key(), p)
		}
		_ = letters.Ack(m) // who reads them next is nobody
	}
}

// An event without a payload or a key is one, too.
func TestPulsarEmptyEvents(t *testing.T) {
	address := pulsarURL(t, "")
	t.Parallel()
	b := openLogged(t, address)
	got := make(chan bus.Event, 1)
	if _, err := b.Subscribe("topic", "", func(_ context.Context, e bus.Event) error {
		got <- e
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "topic", "", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-got:
		if e.Key != "" || len(e.Payload) != 0 || e.Topic != "topic" {
			t.Errorf("got %+v", e)
		}
	case <-time.After(patience):
		t.Error("an empty event was lost")
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
