package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/backoff"
)

const (
	// sendTimeout is how long the client keeps an event that no broker acknowledges. Publish has its context for giving up;
	// this bounds how often an event is there that its publisher sends again and again.
	sendTimeout = 10 * time.Second
	// pendingEvents is how many events of one partition may wait for the broker before Publish waits for room.
	pendingEvents = 1000
	// never is when the client is to do by a timer what is done here, or not at all.
	never = 10_000 * time.Hour
	// roomPause is between two tries of an event for which the broker has no room.
	roomPause = 100 * time.Millisecond
)

// producers makes a producer a Pulsar topic, on its first use, and keeps it.
type producers struct {
	client pulsar.Client
	ending context.Context //nolint:containedctx // the bus's

	mu      sync.Mutex
	byTopic map[string]*producer
	running sync.WaitGroup
}

// producer sends to one Pulsar topic, in the order in which it is called. Its name is given by the broker, which is how it
// is unique: a name of ours would be refused while its last connection lives.
type producer struct {
	ready  chan struct{} // closed once inner or err is there
	inner  pulsar.Producer
	err    error
	room   chan struct{} // one token for each event that waits for the broker
	wake   chan struct{}
	closed chan struct{} // by forget

	mu   sync.Mutex
	last pulsar.MessageID // the newest that the broker has acknowledged
}

// get returns the producer of a Pulsar topic.
func (p *producers) get(ctx context.Context, topic string) (*producer, error) {
	p.mu.Lock()
	one := p.byTopic[topic]
	if one == nil {
		one = &producer{
			ready: make(chan struct{}), room: make(chan struct{}, pendingEvents), wake: make(chan struct{}, 1),
			closed: make(chan struct{}),
		}
		p.byTopic[topic] = one
		p.running.Go(func() { p.open(topic, one) })
	}
	p.mu.Unlock()
	select {
	case <-one.ready:
		return one, one.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.ending.Done():
		return nil, ErrClosed
	}
}

func (p *producers) open(topic string, one *producer) {
	defer close(one.ready)
	one.inner, one.err = p.client.CreateProducer(pulsar.ProducerOptions{
		Topic: topic, SendTimeout: sendTimeout, MaxPendingMessages: 2 * pendingEvents, // never reached: there is room
		BatchingMaxPublishDelay: never, // flush decides
		BackOffPolicyFunc:       newPause, PartitionsAutoDiscoveryInterval: never,
	})
	if one.err != nil {
		one.err = oneLine(one.err)
		p.forget(topic, one)
		return
	}
	p.running.Go(func() { one.flush(p.ending) })
}

// forget has the next get make the topic's producer anew.
func (p *producers) forget(topic string, one *producer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byTopic[topic] == one {
		delete(p.byTopic, topic)
		if one.inner != nil {
			close(one.closed)
		}
	}
}

// acknowledged returns the newest event of a Pulsar topic that this process has published, nil where there is none.
func (p *producers) acknowledged(topic string) pulsar.MessageID {
	p.mu.Lock()
	one := p.byTopic[topic]
	p.mu.Unlock()
	if one == nil {
		return nil
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.last
}

// close closes all producers. Nothing may be sent any longer; those waiting were told by the bus's context.
func (p *producers) close() {
	p.running.Wait() // those that are being made, and all flushes
	p.mu.Lock()
	all := p.byTopic
	p.byTopic = make(map[string]*producer)
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, one := range all {
		if one.inner != nil {
			closing.Go(one.inner.Close)
		}
	}
	closing.Wait()
}

// flush sends what gathers while the broker writes what came before: nobody waits for others to come, and many who come at
// the same time share a write. The client's own timer would wake each producer a thousand times a second.
func (one *producer) flush(ending context.Context) {
	for {
		select {
		case <-one.wake:
			_ = one.inner.FlushWithCtx(ending) // each event's own callback tells its error
		case <-one.closed:
			one.inner.Close()
			return
		case <-ending.Done():
			return
		}
	}
}

// send sends an event to a Pulsar topic and waits until the broker has it on its disk.
func (p *producers) send(ctx context.Context, topic string, message *pulsar.ProducerMessage) error {
	for full := false; ; {
		err := p.try(ctx, topic, message)
		switch {
		case err == nil:
			return nil
		case p.ending.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			if full || errors.Is(err, ErrFull) {
				return fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx))
			}
			return context.Cause(ctx)
		case !noRoom(err):
			return err
		}
		full = true
		timer := time.NewTimer(roomPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		case <-p.ending.Done():
			timer.Stop()
		}
	}
}

// try sends an event once.
func (p *producers) try(ctx context.Context, topic string, message *pulsar.ProducerMessage) error {
	one, err := p.get(ctx, topic)
	if err != nil {
		return err
	}
	select {
	case one.room <- struct{}{}:
	default:
		select {
		case one.room <- struct{}{}:
		case <-ctx.Done():
			return ErrFull
		case <-p.ending.Done():
			return ErrClosed
		}
	}
	sent := make(chan error, 1)
	one.inner.SendAsync(ctx, message, func(id pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
		if err == nil {
			one.mu.Lock()
			if after(id, one.last) {
				one.last = id
			}
			one.mu.Unlock()
		}
		<-one.room
		sent <- err
	})
	select {
	case one.wake <- struct{}{}:
	default: // it will look
	}
	select {
	case err = <-sent:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.ending.Done():
		return ErrClosed
	}
	if errors.Is(err, pulsar.ErrProducerClosed) || errors.Is(err, pulsar.ErrTopicNotfound) || errors.Is(err, pulsar.ErrProducerFenced) {
		p.forget(topic, one) // somebody deleted the topic
	}
	return err
}

// noRoom reports whether the broker refused an event because of a quota. Its errors are told apart by their text, as the
// client does.
func noRoom(err error) bool { return strings.Contains(err.Error(), "ProducerBlockedQuotaExceeded") }

// pause is between two tries to reach a broker.
type pause struct{ next time.Duration }

func newPause() backoff.Policy { return &pause{} }

// Next implements backoff.Policy.
func (p *pause) Next() time.Duration {
	p.next = min(lastPause, max(50*time.Millisecond, 2*p.next))
	return p.next
}

// IsMaxBackoffReached implements backoff.Policy.
func (p *pause) IsMaxBackoffReached() bool { return p.next >= lastPause }

// Reset implements backoff.Policy.
func (p *pause) Reset() { p.next = 0 }
