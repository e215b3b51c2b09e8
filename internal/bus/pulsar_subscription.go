package bus

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

const (
	// deadLetterTries is how often a given-up event is offered to its dead-letter topic before only the log has it: somebody
	// forbids the topic, for where no broker answers the event comes again.
	deadLetterTries = 10
	// deadLetterReader is the subscription that keeps dead letters until somebody has read them.
	deadLetterReader = "operator"
)

// pulsarSubscription is one subscriber: a source for each partition, and one goroutine that handles what they bring.
type pulsarSubscription struct {
	deliverer

	bus     *pulsarBus
	name    string // of this member
	sources []*source
	events  chan delivery
	ending  context.Context //nolint:containedctx // ends with the subscription
	cancel  context.CancelFunc
	stop    chan struct{}
	quiet   chan struct{} // closed when no call of the handler is running or will come
	once    sync.Once
	running sync.WaitGroup // the handling goroutine and the sources
}

// delivery is an event on its way to the handler.
type delivery struct {
	message pulsar.Message
	feed    *feed
}

func newPulsarSubscription(b *pulsarBus, topic, group string, handle Handler) *pulsarSubscription {
	stop := make(chan struct{})
	s := &pulsarSubscription{
		deliverer: deliverer{
			handle: handle, logger: b.logger.With(slog.String("topic", topic), slog.String("group", group)),
			metrics: b.metrics, topic: topic, group: group, handling: b.handling, stop: stop,
		},
		bus: b, name: newName(), events: make(chan delivery), stop: stop, quiet: make(chan struct{}),
	}
	s.ending, s.cancel = context.WithCancel(b.handling)
	for n := range b.at.partitions {
		s.sources = append(s.sources, newSource(s, n))
	}
	return s
}

// open reaches the broker for every partition, and begins to handle events once all are there.
func (s *pulsarSubscription) open() error {
	feeds, problems := make([]*feed, len(s.sources)), make([]error, len(s.sources))
	var opening sync.WaitGroup
	for i, source := range s.sources {
		opening.Go(func() { feeds[i], problems[i] = source.open() })
	}
	opening.Wait()
	if err := problem(problems); err != nil {
		for _, f := range feeds {
			if f != nil {
				f.retire()
			}
		}
		s.cancel()
		return err
	}
	for i, source := range s.sources {
		s.running.Go(func() { source.run(feeds[i]) })
	}
	s.running.Go(s.run)
	return nil
}

// problem returns the first error: those of other partitions say the same.
func problem(all []error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// end lets no call of the handler begin any more.
func (s *pulsarSubscription) end() {
	s.once.Do(func() {
		close(s.stop)
		s.cancel()
	})
}

// Close implements Subscription.
func (s *pulsarSubscription) Close() error {
	s.end()
	s.running.Wait()
	s.bus.mu.Lock()
	delete(s.bus.subscribed, s)
	s.bus.mu.Unlock()
	return nil
}

func (s *pulsarSubscription) run() {
	defer close(s.quiet)
	for {
		select { // stop first: after it no event is begun
		case <-s.stop:
			return
		default:
		}
		select {
		case <-s.stop:
			return
		case d := <-s.events:
			s.take(d)
		}
	}
}

// take handles an event in its turn and acknowledges it.
func (s *pulsarSubscription) take(d delivery) {
	from := d.feed.source
	select {
	case from.turn.taken <- struct{}{}:
	case <-s.stop:
		return
	}
	defer func() { <-from.turn.taken }()
	if s.group != "" && d.feed.ctx.Err() != nil {
		return // the feed was left: another member has the event, or it comes again
	}
	if after(d.message.ID(), from.turn.last) {
		event := Event{Topic: s.topic, Key: d.message.Key(), Payload: d.message.Payload()}
		out := s.deliver(event, d.message.PublishTime())
		if !out.done {
			return
		}
		if out.cause != nil && s.group != "" && !s.putAside(d.feed, event, out) {
			return
		}
		from.handled(d.message.ID())
	}
	d.feed.acknowledge(d.message)
}

// putAside gives a given-up event to the group's dead-letter topic. It returns false when the subscription or its
// connection ended before, which leaves the event to the group: it comes again.
func (s *pulsarSubscription) putAside(f *feed, event Event, why outcome) bool {
	topic := s.bus.at.topics + s.topic + "-" + s.group + "-dead"
	letter := &pulsar.ProducerMessage{Key: event.Key, Payload: event.Payload, Properties: map[string]string{
		"topic": s.topic, "group": s.group, "cause": shortened(why.cause.Error()),
		"deliveries": strconv.Itoa(why.deliveries), "given_up_at": time.Now().UTC().Format(time.RFC3339),
	}}
	var err error
	pause := firstPause
	for try := 1; ; try++ {
		if err = s.keepLetters(topic); err == nil {
			ctx, cancel := context.WithTimeout(f.ctx, sendTimeout)
			err = s.bus.producers.send(ctx, topic, letter)
			cancel()
		}
		if err == nil {
			return true
		}
		if f.ctx.Err() != nil || !s.wait(pause) {
			return false
		}
		if try == deadLetterTries {
			break
		}
		pause = min(2*pause, lastPause)
	}
	s.logger.LogAttrs(s.handling, slog.LevelError, "given-up event not put aside",
		slog.String("key", event.Key), slog.String("cause", err.Error()))
	return true
}

// keepLetters makes the subscription without which Pulsar would drop dead letters at once.
func (s *pulsarSubscription) keepLetters(topic string) error {
	c, err := s.bus.client.Subscribe(pulsar.ConsumerOptions{
		Topic: topic, SubscriptionName: deadLetterReader, Type: pulsar.Shared, ReceiverQueueSize: 1,
		SubscriptionInitialPosition: pulsar.SubscriptionPositionEarliest, AutoDiscoveryPeriod: never,
	})
	if err != nil {
		return fmt.Errorf("keep dead letters: %w", err)
	}
	c.Close()
	return nil
}

// shortened bounds a text for a property.
func shortened(text string) string { return strings.ToValidUTF8(text[:min(len(text), 1000)], "") }

// drain waits until the subscription has handled what would be gone with it: without a group, what this process has
// published. A group keeps its events for the next member. It returns how many partitions still had some when ctx ended.
func (s *pulsarSubscription) drain(ctx context.Context) int {
	if s.group != "" {
		return 0
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		for _, source := range s.sources {
			if last := s.bus.producers.acknowledged(source.topic); last != nil && after(last, source.position()) {
				left++
			}
		}
		if left == 0 {
			return 0
		}
		select {
		case <-tick.C:
		case <-s.stop:
			return 0
		case <-ctx.Done():
			return left
		}
	}
}
