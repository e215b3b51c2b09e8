package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Pauses between two deliveries of an event to a failing handler.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// deliverer hands events to one subscription's handler, one at a time, and again after a failure.
type deliverer struct {
	handle   Handler
	logger   *slog.Logger
	metrics  *metrics
	topic    string
	group    string
	handling context.Context //nolint:containedctx // the bus's, parent of each call's
	stop     <-chan struct{} // closed when the subscription ends
}

// outcome is how a delivery ended.
type outcome struct {
	done       bool  // false when the subscription ended first: the event is still the group's
	cause      error // why the event was given up, nil when the handler took it
	deliveries int
}

// deliver calls the handler until it takes the event, or until the event is given up.
func (d *deliverer) deliver(event Event, published time.Time) outcome {
	pause := firstPause
	for try := 1; ; try++ {
		err := d.call(event)
		if err == nil {
			d.metrics.handled(d.topic, d.group, published)
			return outcome{done: true, deliveries: try}
		}
		if d.handling.Err() != nil {
			return outcome{deliveries: try}
		}
		if IsPermanent(err) || try == MaxDeliveries {
			d.metrics.givenUp(d.topic, d.group)
			d.logger.LogAttrs(d.handling, slog.LevelError, "event given up",
				slog.String("key", event.Key), slog.Int("deliveries", try), slog.String("cause", err.Error()))
			return outcome{done: true, cause: err, deliveries: try}
		}
		if !d.wait(pause) {
			return outcome{deliveries: try}
		}
		pause = min(2*pause, lastPause)
	}
}

// wait waits, and returns false when the subscription ended meanwhile.
func (d *deliverer) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.stop:
		return false
	case <-d.handling.Done():
		return false
	}
}

func (d *deliverer) call(event Event) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.logger.LogAttrs(d.handling, slog.LevelError, "event handler panicked",
				slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
			err = errors.New("handler panicked")
		}
	}()
	return d.handle(d.handling, event)
}
