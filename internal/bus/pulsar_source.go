package bus

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/backoff"
)

// source brings one subscription the events of one partition, over one feed after the other: a feed whose connection is
// lost, or whose partition went to another member, is left, with all that it had fetched ahead.
type source struct {
	subscription *pulsarSubscription
	topic        string // Pulsar's
	consumer     string // the name of the consumer
	turn         *turn

	mu   sync.Mutex
	from pulsar.MessageID // without a group: what was handled last, or where the topic ended at the start
}

// feed is one consumer or reader.
//
// The client's own way of connecting anew is not used. Its readers lose what they have fetched and not handed out yet, its
// consumers hand out what another member has handled meanwhile. The policy of pauses is asked for at the beginning of a new
// connection, which is how a loss is noticed here; a consumer is allowed no try, a reader waits until nobody reads from it.
type feed struct {
	source      *source
	ctx         context.Context //nolint:containedctx // ends when the feed is lost
	lose        context.CancelFunc
	watched     atomic.Bool // by now a question for a policy means a loss
	asked       atomic.Int32
	left        chan struct{} // closed when nothing reads from it any longer
	active      atomic.Bool   // of its group, as far as is known
	next        func(ctx context.Context) (pulsar.Message, error)
	acknowledge func(m pulsar.Message)
	close       func()
}

func newSource(s *pulsarSubscription, n int) *source {
	topic := s.bus.topic(s.topic, n)
	from := &source{subscription: s, topic: topic}
	// The first by name is the active one of a group, so that a name that begins with a hash of member and partition spreads
	// partitions over members, and moves few of them when a member comes or goes.
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, s.name, "/", n) // never fails
	from.consumer = fmt.Sprintf("%016x-%s", hash.Sum64(), s.name)
	if s.group == "" {
		from.turn = &turn{taken: make(chan struct{}, 1)} // nobody shares it
	} else {
		from.turn = s.bus.turn(s.group, topic)
	}
	return from
}

// handled notes the position of the last event that the handler is done with. Its turn is taken.
func (s *source) handled(id pulsar.MessageID) {
	s.turn.last = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = id
}

func (s *source) position() pulsar.MessageID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from
}

// run brings events until the subscription ends.
func (s *source) run(f *feed) {
	for {
		s.pump(f)
		if s.subscription.ending.Err() != nil {
			<-s.subscription.quiet // so that what is being handled can be acknowledged
		}
		f.retire()
		if f = s.reopen(); f == nil {
			return
		}
	}
}

// pump hands events over until the feed is lost.
func (s *source) pump(f *feed) {
	for {
		m, err := f.next(f.ctx)
		if err != nil || f.ctx.Err() != nil {
			return
		}
		f.active.Store(true)
		select {
		case s.subscription.events <- delivery{message: m, feed: f}:
		case <-f.ctx.Done():
			return
		}
	}
}

// reopen opens a new feed, trying until it succeeds or the subscription ends.
func (s *source) reopen() *feed {
	ending := s.subscription.ending
	for pause := newPause(); ending.Err() == nil; {
		f, err := s.open()
		if err == nil {
			s.subscription.metrics.reconnected(s.subscription.topic)
			return f
		}
		s.subscription.logger.LogAttrs(ending, slog.LevelDebug, "subscription not connected yet", slog.String("cause", err.Error()))
		if !s.subscription.wait(pause.Next()) {
			break
		}
	}
	return nil
}

// open makes a feed.
func (s *source) open() (*feed, error) {
	f := &feed{source: s, left: make(chan struct{})}
	f.ctx, f.lose = context.WithCancel(s.subscription.ending)
	var err error
	if s.subscription.group == "" {
		err = f.read()
	} else {
		err = f.consume()
	}
	if err != nil {
		f.lose()
		return nil, err
	}
	return f, nil
}

// policy is called by the client when a connection is lost, in the goroutine that would make a new one.
func (f *feed) policy() backoff.Policy {
	f.asked.Add(1)
	if f.watched.Load() {
		f.lose()
		<-f.left
	}
	return newPause()
}

// consume joins the group.
func (f *feed) consume() error {
	s := f.source
	noTry := uint(0)
	c, err := s.subscription.bus.client.Subscribe(pulsar.ConsumerOptions{
		Topic: s.topic, SubscriptionName: s.subscription.group, Name: s.consumer, Type: pulsar.Failover,
		SubscriptionInitialPosition: pulsar.SubscriptionPositionLatest, ReceiverQueueSize: s.subscription.bus.at.queue,
		EventListener: f, MaxReconnectToBroker: &noTry, BackOffPolicyFunc: f.policy, AutoDiscoveryPeriod: never,
	})
	if err != nil {
		return err
	}
	f.next, f.close = c.Receive, c.Close
	f.acknowledge = func(m pulsar.Message) { _ = c.Ack(m) } // what is not acknowledged comes again
	_, err = c.GetLastMessageIDs()
	return f.watch(err)
}

var errLost = errors.New("connection was lost")

// watch begins to notice losses. What came before asked the broker for the topic's end, and err is how that went: the client
// overhears a broker that closes a consumer before it has noted that there is one, and only a question tells.
func (f *feed) watch(err error) error {
	f.watched.Store(true)
	if err == nil && f.asked.Load() > 1 { // once is the question's
		err = errLost
	}
	if err != nil {
		f.retire()
	}
	return err
}

// BecameActive implements pulsar.ConsumerEventListener.
func (f *feed) BecameActive(pulsar.Consumer, string, int32) { f.active.Store(true) }

// BecameInactive implements pulsar.ConsumerEventListener. Who never was active is told, too, and who is may not have been
// told: the client drops what a broker says before it has noted its answer.
func (f *feed) BecameInactive(pulsar.Consumer, string, int32) {
	if f.active.Load() {
		f.lose()
	}
}

// read begins after what was handled last, the first time at the topic's end.
func (f *feed) read() error {
	s := f.source
	from := s.position()
	first := from == nil
	if first {
		from = pulsar.LatestMessageID()
	}
	r, err := s.subscription.bus.client.CreateReader(pulsar.ReaderOptions{
		Topic: s.topic, StartMessageID: from, ReceiverQueueSize: s.subscription.bus.at.queue,
		// A name for each, not for the source: the one before may still be connected, and the broker would share its end.
		SubscriptionName: "own-" + newName(), BackoffPolicyFunc: f.policy,
	})
	if err != nil {
		return err
	}
	f.next, f.close = r.Next, r.Close
	f.acknowledge = func(pulsar.Message) {} // the reader does
	end, err := r.GetLastMessageID()
	if err := f.watch(err); err != nil {
		return err
	}
	if first { // without a position, another connection would begin at the end again
		s.mu.Lock()
		s.from = end
		s.mu.Unlock()
	}
	return nil
}

// retire leaves the feed, and closes it when the broker has time for it.
func (f *feed) retire() {
	f.lose()
	close(f.left)
	f.source.subscription.bus.retiring.Go(f.close)
}
