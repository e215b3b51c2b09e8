package bus_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/bus/bustest"
)

func open(t *testing.T, url string) bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMemKeepsTheContract(t *testing.T) {
	bustest.Run(t, bustest.Options{
		Open:      func(t *testing.T) bus.Bus { return open(t, "mem:") },
		OpenSmall: func(t *testing.T) bus.Bus { return open(t, "mem:?queue=2") },
	})
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for url, want := range map[string]string{
		"kafka://x":     `unknown scheme "kafka"`,
		"":              `unknown scheme ""`,
		"mem:?que=1":    `unknown option "que"`,
		"mem:?queue=0":  "queue=0",
		"mem:?queue=x":  "queue=x",
		"mem://host":    "takes only options",
		"://":           "open bus",
		"mem:something": "takes only options",
	} {
		_, err := bus.Open(t.Context(), url, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, want %q", url, err, want)
		}
	}
}

func TestTypedEvents(t *testing.T) {
	b := open(t, "mem:")
	got := make(chan *authv1.UserChanged, 2)
	if _, err := bus.Subscribe(b, "auth.user_changed", "test",
		func(_ context.Context, key string, e *authv1.UserChanged) error {
			if key != "u1" {
				t.Errorf("key is %q", key)
			}
			got <- e
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	// What cannot be decoded is given up, and what follows arrives.
	if err := b.Publish(t.Context(), "auth.user_changed", "u1", []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	event := &authv1.UserChanged{User: &authv1.User{Id: "u1", Nickname: "Zeno"}}
	if err := bus.Publish(t.Context(), b, "auth.user_changed", "u1", event); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e.GetUser().GetNickname() != "Zeno" {
		t.Errorf("got %v", e)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPoisonedEventIsGivenUpLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		b, err := bus.Open(t.Context(), "mem:", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		tries := 0
		done := make(chan struct{})
		if _, err := b.Subscribe("topic", "group", func(_ context.Context, e bus.Event) error {
			if string(e.Payload) == "good" {
				close(done)
				return nil
			}
			tries++
			return context.DeadlineExceeded
		}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, payload := range []string{"bad", "good"} {
			if err := b.Publish(t.Context(), "topic", "key", []byte(payload)); err != nil {
				t.Fatal(err)
			}
		}
		<-done
		if tries != bus.MaxDeliveries {
			t.Errorf("tried %d times", tries)
		}
		if took := time.Since(start); took < time.Second || took > 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "event given up") {
			t.Errorf("log is %q", log.String())
		}
	})
}
