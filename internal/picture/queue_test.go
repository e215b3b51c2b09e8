package picture

import (
	"context"
	"errors"
	"testing"
)

// TestWhoWaitsCanGiveUp is inside the package, where another picture can be made to take for ever.
func TestWhoWaitsCanGiveUp(t *testing.T) {
	decoding <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Square(ctx, nil, 256)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-decoding
	if _, err := Fit(t.Context(), nil, 1, 1); errors.Is(err, context.Canceled) {
		t.Error("the next one has no turn")
	}
}
