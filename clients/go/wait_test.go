package stoa_test

import (
	"context"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; far more than it takes.
const patience = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// failer is a test, of this package's or of rapid's.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// eventually waits until a condition holds.
func eventually(t failer, what string, holds func() bool) {
	t.Helper()
	none(t, func() string {
		if holds() {
			return ""
		}
		return "waited too long until " + what
	})
}

// none waits until a complaint is empty.
func none(t failer, complaint func() string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		now := complaint()
		if now == "" {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s", now)
		}
	}
}
