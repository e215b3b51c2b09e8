// Package bus is the port by which services tell each other what happened, without knowing who listens.
//
// The contract of every backend:
//
// Delivery. Publish returns nil once every group that is subscribed to the topic at that moment is sure to get the event;
// each group gets it at least once. A handler must bear repeats: they come when Publish was tried again, when a connection
// was lost, and when a key goes from one member to another. When Publish returns an error, some groups may get the event and
// others not: publish it again before the next of that key. An event that nobody subscribes to is gone.
//
// Groups. Subscriptions with the same group name share the topic's events between them, each event going to one of them.
// A subscription with an empty group is a group of its own, gets every event, and ends with its process. A group with a name
// begins with its first member. It may end with its last one, as it does inside of one process; where the bus is shared by
// processes it outlives them, and the next member gets what was published meanwhile: it is a name for good, not one a start.
//
// Order. Events of one key reach a group one after the other, in the order of their Publish calls, also while members
// join and leave; the next one waits until the handler is done with the one before. What comes again comes in this order,
// too: who drops what it had already sees each key in its order. Between keys there is no order. One subscription's handler
// is never called twice at the same time. Only when a process is cut off may another one be given the event that is
// still being handled there.
//
// Failure. A handler that returns an error gets the same event again after a growing pause, before later events of that
// key. After MaxDeliveries, or at once for an error marked by [Permanent], the event is given up and logged as an error,
// for one poisoned event must not stop its key for ever. A panic counts as an error. A bus that stores events puts those
// that a named group gave up aside for the operator.
//
// Slow subscribers. What waits is bounded: for each group where the bus is inside of a process, for all events by the quota
// of the brokers where it is not, and for events on their way to them in any case. Where there is no room, Publish waits
// for it until its context ends and then returns ErrFull. Waiting was chosen over dropping, which would lose events that a
// publisher believes delivered, and over growing, which would lose them all when memory ends. So handlers must be quick: a
// subscriber that serves slow clients puts events into queues of its own and does its own cutting. A handler that publishes
// must not wait for itself: never publish without a deadline into a topic that the same group consumes.
//
// Closing. After Subscription.Close no call of its handler is running or will come; after Bus.Close, Publish and
// Subscribe return ErrClosed.
//
// What must never happen here: an event that a subscriber misses while it is there, without an error at the publisher or
// a log line.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxDeliveries is how often an event is handed to a failing handler before it is given up.
const MaxDeliveries = 10

// Errors of a bus.
var (
	// ErrClosed is returned by Publish and Subscribe after Close.
	ErrClosed = errors.New("bus is closed")
	// ErrFull is returned by Publish, together with the context's error, when a group had no room until the context
	// ended.
	ErrFull = errors.New("a subscriber is too slow")
)

// Event is what a handler gets. Payload is shared with other subscribers: it must not be changed.
type Event struct {
	// Topic is what it was published to, such as "auth.sessions_revoked".
	Topic string
	// Key is what it is ordered by, such as a user's or conversation's id.
	Key string
	// Payload is what was published.
	Payload []byte
}

// Handler takes an event. Its context ends when the bus gives up waiting for it, not when the subscription closes.
type Handler func(ctx context.Context, event Event) error

// Subscription is one subscriber's hold on a topic.
type Subscription interface {
	// Close ends the subscription and waits for a running handler. Events that its group still holds go to the other
	// members, or if there is none to later ones where the group outlives them, or are gone. It must not be called from the
	// handler itself. Closing twice is no error.
	Close() error
}

// Bus carries events. It is safe for concurrent use.
type Bus interface {
	// Publish hands payload to every group subscribed to topic, keeping the order of key; events of the empty key are
	// ordered, too. The payload must not be changed afterwards. Errors: ErrClosed, ErrFull, the context's, and what brokers
	// refuse, such as a payload that is too large for them (5 MiB, if they were not told another size).
	Publish(ctx context.Context, topic, key string, payload []byte) error
	// Subscribe calls handle for every event of topic that is published after it returned, as a member of group. Errors:
	// ErrClosed, and that brokers do not answer.
	Subscribe(topic, group string, handle Handler) (Subscription, error)
	// Close refuses new events and waits until the subscribers have handled what would be gone with them. When ctx ends
	// before, it ends the handlers' contexts, waits for those that run, and returns an error with the number of events that
	// were left.
	Close(ctx context.Context) error
}

// Permanent marks an error of a handler as one that the same event would cause again.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// IsPermanent reports whether err was marked by Permanent. It is for backends.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanentError](err)
	return ok
}

// Option is a choice for Open that is not the operator's.
type Option func(*options)

type options struct {
	registerer prometheus.Registerer
}

// WithMetrics has the bus count what it does on r.
func WithMetrics(r prometheus.Registerer) Option { return func(o *options) { o.registerer = r } }

// Open opens the bus that rawURL names:
//
//	mem:             inside of this process
//	mem:?queue=4096  with room for that many events in each group instead of 1024
//	pulsar://host:6650,host2:6650/tenant/namespace  on Apache Pulsar; pulsar+ssl:// by TLS; options are those of pulsarURL
//
// What it returns as an error never shows a token.
func Open(ctx context.Context, rawURL string, logger *slog.Logger, chosen ...Option) (Bus, error) {
	var o options
	for _, choose := range chosen {
		choose(&o)
	}
	counted, err := newMetrics(o.registerer)
	if err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	scheme, _, _ := strings.Cut(rawURL, ":")
	switch scheme {
	case "mem":
		u, err := url.Parse(rawURL)
		if err != nil {
			return nil, fmt.Errorf("open bus: %w", err)
		}
		b, err := openMem(u, logger, counted)
		if err != nil {
			return nil, fmt.Errorf("open bus %q: %w", rawURL, err)
		}
		return b, nil
	case "pulsar", "pulsar+ssl":
		b, err := openPulsar(ctx, rawURL, logger, counted, o.registerer)
		if err != nil {
			return nil, fmt.Errorf("open bus: %w", err)
		}
		return b, nil
	default:
		return nil, fmt.Errorf("open bus: unknown scheme %q, want mem or pulsar", scheme)
	}
}
