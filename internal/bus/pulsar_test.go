package bus_test

import (
	"crypto/rand"
	"log/slog"
	"net/url"
	"os"
	"testing"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/bus/bustest"
	"github.com/stoa-live/stoa/internal/parts/partstest"
)

// pulsarURL is an address on the broker that all tests share, with topics of its own.
func pulsarURL(t *testing.T, options string) string {
	t.Helper()
	u, err := url.Parse(partstest.URL(t, "pulsar"))
	if err != nil {
		t.Fatal(err)
	}
	return "pulsar://" + u.Host + "/public/default?prefix=" + rand.Text() + "-" + options
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
	bustest.Run(t, bustest.Options{
		Open: func(t *testing.T) bus.Bus { return openLogged(t, pulsarURL(t, "")) },
		Processes: func(t *testing.T) func() bus.Bus {
			url := pulsarURL(t, "")
			return func() bus.Bus { return openLogged(t, url) }
		},
	})
}
