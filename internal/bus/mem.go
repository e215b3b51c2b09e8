package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
)

var _ Bus = (*mem)(nil)

const defaultQueue = 1024

// mem is the bus of one process: topics are lists of groups, and a publisher fills each group's queue itself.
type mem struct {
	logger  *slog.Logger
	metrics *metrics
	queue   int

	handling context.Context // parent of the handlers' contexts
	giveUp   context.CancelFunc
	closing  chan struct{} // closed when publishing ends

	mu         sync.RWMutex
	topics     map[string]*topic
	anonymous  int
	closed     bool
	publishing sync.WaitGroup // Publish calls that passed the closed check
}

type topic struct {
	groups map[string]*group // by name; unnamed ones under a name no caller can use
}

func openMem(u *url.URL, logger *slog.Logger, counted *metrics) (*mem, error) {
	if u.Host != "" || u.Path != "" || u.Opaque != "" {
		return nil, errors.New("mem: takes only options")
	}
	m := &mem{
		logger: logger, metrics: counted, queue: defaultQueue, closing: make(chan struct{}), topics: make(map[string]*topic),
	}
	for name, values := range u.Query() {
		switch name {
		case "queue":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 1 || n > 1<<20 {
				return nil, fmt.Errorf("queue=%s: want 1 to %d", values[0], 1<<20)
			}
			m.queue = n
		default:
			return nil, fmt.Errorf("unknown option %q", name)
		}
	}
	m.handling, m.giveUp = context.WithCancel(context.Background())
	return m, nil
}

func (m *mem) Publish(ctx context.Context, topicName, key string, payload []byte) error {
	return m.metrics.publish(topicName, m.publish(ctx, topicName, key, payload))
}

func (m *mem) publish(ctx context.Context, topicName, key string, payload []byte) error {
	m.mu.RLock()
	if m.closed {
		m.mu.RUnlock()
		return fmt.Errorf("publish to %s: %w", topicName, ErrClosed)
	}
	m.publishing.Add(1)
	var groups []*group
	if t := m.topics[topicName]; t != nil {
		groups = make([]*group, 0, len(t.groups))
		for _, g := range t.groups {
			groups = append(groups, g)
		}
	}
	m.mu.RUnlock()
	defer m.publishing.Done()
	event := Event{Topic: topicName, Key: key, Payload: payload}
	for _, g := range groups {
		if err := g.put(ctx, m.closing, event); err != nil {
			return fmt.Errorf("publish to %s: %w", topicName, err)
		}
	}
	return nil
}

func (m *mem) Subscribe(topicName, groupName string, handle Handler) (Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fmt.Errorf("subscribe to %s: %w", topicName, ErrClosed)
	}
	name := "named " + groupName
	if groupName == "" {
		m.anonymous++
		name = "own " + strconv.Itoa(m.anonymous)
	}
	t := m.topics[topicName]
	if t == nil {
		t = &topic{groups: make(map[string]*group)}
		m.topics[topicName] = t
	}
	g := t.groups[name]
	if g == nil {
		g = newGroup(m.queue)
		t.groups[name] = g
	}
	stop := make(chan struct{})
	s := &member{
		deliverer: deliverer{
			handle: handle, logger: m.logger.With(slog.String("topic", topicName), slog.String("group", groupName)),
			metrics: m.metrics, topic: topicName, group: groupName, handling: m.handling, stop: stop,
		},
		group: g, stop: stop, leave: func() { m.leave(topicName, name, g) },
	}
	g.members++
	g.idle.Add(1)
	s.running.Go(s.run)
	return s, nil
}

// leave takes a member out of its group, and the group out of its topic with the last one.
func (m *mem) leave(topicName, name string, g *group) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.members--; g.members > 0 {
		return
	}
	g.abandon()
	t := m.topics[topicName]
	if delete(t.groups, name); len(t.groups) == 0 {
		delete(m.topics, topicName)
	}
}

func (m *mem) Close(ctx context.Context) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	close(m.closing)
	m.mu.Unlock()
	m.publishing.Wait() // none of them waits any longer: closing is closed

	var left int
	for _, g := range m.groups() {
		left += g.drain(ctx)
	}
	groups := m.groups()
	for _, g := range groups { // before the handlers' contexts end, so that none is called with an ended one
		g.abandon()
	}
	m.giveUp()
	for _, g := range groups {
		g.idle.Wait()
	}
	if left > 0 {
		return fmt.Errorf("close bus: %d events were not handled: %w", left, context.Cause(ctx))
	}
	return nil
}

func (m *mem) groups() []*group {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var all []*group
	for _, t := range m.topics {
		for _, g := range t.groups {
			all = append(all, g)
		}
	}
	return all
}
