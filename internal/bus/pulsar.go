package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/prometheus/client_golang/prometheus"
)

var _ Bus = (*pulsarBus)(nil)

const (
	// operationTimeout is how long making a producer or a consumer may take, tries and all.
	operationTimeout = 10 * time.Second
	// farewell is how long Close waits for brokers after its context has ended.
	farewell = 2 * time.Second
)

// pulsarBus is a bus on Apache Pulsar. A topic is a fixed number of Pulsar topics, <topic>-<n>, of which a key's hash
// chooses one. A group is a durable subscription of the type Failover on each of them, so that one member gets a
// partition's events, in order. A subscription without a group is a reader, which the broker forgets with its connection.
// Pulsar makes topics on their first use; nothing needs its admin API.
type pulsarBus struct {
	client    pulsar.Client
	at        *pulsarURL
	logger    *slog.Logger
	metrics   *metrics
	producers *producers

	handling context.Context // parent of the handlers' contexts and of all that waits
	giveUp   context.CancelFunc
	retiring sync.WaitGroup // consumers that are being closed

	mu         sync.Mutex
	turns      map[string]*turn // by subscription of a Pulsar topic
	subscribed map[*pulsarSubscription]struct{}
	closed     bool
	entered    sync.WaitGroup // Publish and Subscribe calls that passed the closed check
}

func openPulsar(
	ctx context.Context, rawURL string, logger *slog.Logger, counted *metrics, registerer prometheus.Registerer,
) (*pulsarBus, error) {
	at, err := parsePulsarURL(rawURL)
	if err != nil {
		return nil, err
	}
	if registerer == nil {
		registerer = prometheus.NewRegistry() // the client's default is a global one
	}
	client, err := pulsar.NewClient(pulsar.ClientOptions{
		URL: at.service, Authentication: at.auth, TLSTrustCertsFilePath: at.ca, TLSValidateHostname: true,
		OperationTimeout: operationTimeout, ConnectionTimeout: operationTimeout / 2, KeepAliveInterval: operationTimeout,
		Logger: newPulsarLog(logger), MetricsRegisterer: registerer, MetricsCardinality: pulsar.MetricsCardinalityNone,
		MemoryLimitBytes: -1, // producers bound themselves
	})
	if err != nil {
		return nil, fmt.Errorf("pulsar: %w", err)
	}
	b := &pulsarBus{
		client: client, at: at, logger: logger, metrics: counted, turns: make(map[string]*turn),
		subscribed: make(map[*pulsarSubscription]struct{}),
	}
	b.handling, b.giveUp = context.WithCancel(context.Background())
	b.producers = &producers{client: client, ending: b.handling, byTopic: make(map[string]*producer)}
	if err := b.reach(ctx); err != nil {
		b.giveUp()
		go client.Close() // it may still be dialling
		if strings.Contains(err.Error(), "NotFound") {
			return nil, fmt.Errorf("pulsar: there is no namespace %s at %s", at.namespace, at.service)
		}
		return nil, fmt.Errorf("pulsar: no broker answers at %s: %w", at.service, oneLine(err))
	}
	return b, nil
}

// reach asks a broker for the namespace, so that a wrong address stops the start.
func (b *pulsarBus) reach(ctx context.Context) error {
	answered := make(chan error, 1)
	go func() {
		_, err := b.client.TopicPartitions(b.at.topics + "reachable")
		answered <- err
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// oneLine is an error of the client, which joins several, for one line of a log.
func oneLine(err error) error { return errors.New(strings.ReplaceAll(err.Error(), "\n", ": ")) }

// topic names a partition's Pulsar topic.
func (b *pulsarBus) topic(topic string, partition int) string {
	return fmt.Sprintf("%s%s-%d", b.at.topics, topic, partition)
}

// partition returns where a key's events go: the 32 bits of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) of the key,
// modulo the number of partitions. Every process of every version has to say the same.
func partition(key string, partitions int) int {
	hash := uint32(2166136261)
	for i := range len(key) {
		hash = (hash ^ uint32(key[i])) * 16777619
	}
	return int(hash % uint32(partitions)) //nolint:gosec // at most 64
}

// enter reports whether the bus is open; the caller then calls b.entered.Done.
func (b *pulsarBus) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.entered.Add(1)
	return true
}

func (b *pulsarBus) Publish(ctx context.Context, topic, key string, payload []byte) error {
	return b.metrics.publish(topic, b.publish(ctx, topic, key, payload))
}

func (b *pulsarBus) publish(ctx context.Context, topic, key string, payload []byte) error {
	if !b.enter() {
		return fmt.Errorf("publish to %s: %w", topic, ErrClosed)
	}
	defer b.entered.Done()
	if payload == nil {
		payload = []byte{} // nil is no message to the client
	}
	err := b.producers.send(ctx, b.topic(topic, partition(key, b.at.partitions)), &pulsar.ProducerMessage{Key: key, Payload: payload})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

func (b *pulsarBus) Subscribe(topic, group string, handle Handler) (Subscription, error) {
	if !b.enter() {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, ErrClosed)
	}
	defer b.entered.Done()
	s := newPulsarSubscription(b, topic, group, handle)
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, oneLine(err))
	}
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.subscribed[s] = struct{}{}
	}
	b.mu.Unlock()
	if closed {
		return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", topic, ErrClosed), s.Close())
	}
	return s, nil
}

// turn lets one member of a group in this process at a time handle the events of a partition, and knows which was the last:
// when a partition goes from one member to another, Pulsar sends again what was not acknowledged.
type turn struct {
	taken chan struct{} // holds a token while a member has it
	last  pulsar.MessageID
}

func (b *pulsarBus) turn(subscription, topic string) *turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := topic + " " + subscription
	if b.turns[name] == nil {
		b.turns[name] = &turn{taken: make(chan struct{}, 1)}
	}
	return b.turns[name]
}

// after reports whether position a is after b, which may be nil: before all.
func after(a, b pulsar.MessageID) bool {
	if b == nil {
		return true
	}
	if a.LedgerID() != b.LedgerID() {
		return a.LedgerID() > b.LedgerID()
	}
	if a.EntryID() != b.EntryID() {
		return a.EntryID() > b.EntryID()
	}
	return a.BatchIdx() > b.BatchIdx()
}

func (b *pulsarBus) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	within(ctx, b.entered.Wait) // what is being published has its own deadline
	b.mu.Lock()
	all := make([]*pulsarSubscription, 0, len(b.subscribed))
	for s := range b.subscribed {
		all = append(all, s)
	}
	b.mu.Unlock()

	left := 0
	for _, s := range all {
		left += s.drain(ctx)
	}
	for _, s := range all {
		s.end()
	}
	if !within(ctx, func() {
		for _, s := range all {
			s.running.Wait()
		}
	}) {
		left++ // a handler at least has not ended
	}
	b.giveUp()
	b.entered.Wait() // nothing waits any longer
	for _, s := range all {
		s.running.Wait()
	}
	b.part(ctx)
	if left > 0 {
		return fmt.Errorf("close bus: %d events at least were not handled: %w", left, context.Cause(ctx))
	}
	return nil
}

// part closes what the brokers know of this process. One that does not answer is not waited for long: it notices.
func (b *pulsarBus) part(ctx context.Context) {
	parted := make(chan struct{})
	go func() {
		defer close(parted)
		b.producers.close()
		b.retiring.Wait()
		b.client.Close()
	}()
	select {
	case <-parted:
		return
	case <-ctx.Done():
	}
	select {
	case <-parted:
	case <-time.After(farewell):
		b.logger.LogAttrs(context.Background(), slog.LevelWarn, "brokers do not answer a farewell")
	}
}

// within waits for something until ctx ends, and reports whether it was done by then.
func within(ctx context.Context, wait func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select { // it may have been done before all that
	case <-done:
		return true
	case <-time.After(time.Millisecond):
		return false
	}
}

// newName returns a name that nobody else has.
func newName() string { return rand.Text() }
