package auth

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoa-live/stoa/internal/errs"
)

// TestARefusedAttemptLeavesNoKeyBehind is inside the package: over the wire it takes a minute to ask for so many names.
func TestARefusedAttemptLeavesNoKeyBehind(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	guesses := newTries(15*time.Minute, func() time.Time { return now })
	victim, blocked := try{"name ada", 1}, try{"address 192.0.2.1", 1}
	for _, k := range []try{victim, blocked} {
		if err := guesses.take(k); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxTracked + 1 {
		name := try{fmt.Sprintf("name %d", i), 1}
		if err := guesses.take(name, blocked); errs.Reason(err) != ReasonTooManyAttempts {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if n := len(guesses.tracked.entries); n != 2 {
		t.Errorf("%d keys are remembered, want 2", n)
	}
	if err := guesses.take(victim); errs.Reason(err) != ReasonTooManyAttempts {
		t.Errorf("the victim's count was forgotten: %v", err)
	}
}
