package edge

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// frameBytes is how large a Push of merged events grows.
	frameBytes = 64 << 10
	// topicBytes is how much waits for a topic's next frame at most.
	topicBytes = 1 << 20
	// A busy topic with more than mergeFrom sessions waits mergeStep for each event a second, mergeMost at the most, between
	// two frames: a write costs the same with one event and with twenty.
	mergeFrom = 16
	mergeStep = 500 * time.Microsecond
	mergeMost = 100 * time.Millisecond
)

// hub knows who hears what here. A topic is a conversation that somebody of this edge is in.
type hub struct {
	edge    *Edge
	workers int

	mu     sync.Mutex
	topics map[string]*topic

	work   sync.Mutex
	ready  []*topic
	wake   *sync.Cond
	closed bool
}

func newHub(e *Edge, workers int) *hub {
	h := &hub{edge: e, workers: workers, topics: make(map[string]*topic)}
	h.wake = sync.NewCond(&h.work)
	return h
}

// topic is one conversation here. It is flushed by one goroutine at a time: what comes meanwhile goes into its next frame.
type topic struct {
	hub *hub
	id  string

	mu        sync.Mutex
	sessions  map[*session]struct{}
	list      []*session // of sessions; nil when it has to be made again
	events    [][]byte   // that wait for the next frame
	spared    spared     // which of them are not told to whom; nil for none
	size      int
	scheduled bool
	rate      float64 // events a second, lately
	flushedAt time.Time

	epoch, seq, change int64 // of the last message and change that were told
	people             int   // as presence told, 0 when it did not

	flushing sync.Mutex
}

// spared is by user which of a topic's events they are not told, because they are of their own doing.
type spared map[string][]int

// topic returns a conversation's topic, nil where nobody here is in it.
func (h *hub) topic(id string) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[id]
}

// join lets a session hear a conversation. It reports false when it heard it before.
func (h *hub) join(id string, s *session) (*topic, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[id]
	if t == nil {
		t = &topic{hub: h, id: id, sessions: make(map[*session]struct{}, 1)}
		h.topics[id] = t
		h.edge.metrics.topics.Set(float64(len(h.topics)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.sessions[s]; ok {
		return t, false
	}
	t.sessions[s], t.list = struct{}{}, nil
	return t, true
}

// leave takes a session out of a topic, and the topic away with the last one.
func (h *hub) leave(t *topic, s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, s)
	t.list = nil
	if len(t.sessions) == 0 && h.topics[t.id] == t {
		delete(h.topics, t.id)
		h.edge.metrics.topics.Set(float64(len(h.topics)))
	}
}

// tell adds an encoded event, which is shared: nobody may change it.
func (t *topic) tell(event []byte) { t.tellOthers(event, "") }

// tellOthers is tell for all but one user; "" spares nobody.
func (t *topic) tellOthers(event []byte, user string) {
	t.mu.Lock()
	if user != "" {
		if t.spared == nil {
			t.spared = make(spared, 1)
		}
		t.spared[user] = append(t.spared[user], len(t.events))
	}
	t.events = append(t.events, event)
	if t.size += len(event); t.size >= topicBytes { // who tells this much helps to write it
		t.mu.Unlock()
		t.flush()
		return
	}
	if t.scheduled {
		t.mu.Unlock()
		return
	}
	t.scheduled = true
	wait := t.wait(t.hub.edge.deps.Now())
	t.mu.Unlock()
	if wait <= 0 {
		t.hub.schedule(t)
		return
	}
	time.AfterFunc(wait, func() { t.hub.schedule(t) })
}

// wait returns how long the topic has to wait for its next frame. The lock is held.
func (t *topic) wait(now time.Time) time.Duration {
	if len(t.sessions) <= mergeFrom {
		return 0
	}
	gap := min(mergeMost, time.Duration(t.rate*float64(mergeStep)))
	return min(mergeMost, gap-now.Sub(t.flushedAt)) // a clock that jumped must not hold it
}

// take returns the events that wait and who is to have them.
func (t *topic) take(now time.Time) (events [][]byte, but spared, to []*session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	events, but = t.events, t.spared
	t.events, t.spared, t.size, t.scheduled = nil, nil, 0, false
	if len(t.sessions) > mergeFrom { // events a second, each counted for about a second
		passed := max(0, now.Sub(t.flushedAt).Seconds())
		t.rate = t.rate*math.Exp(-passed) + float64(len(events))
	}
	t.flushedAt = now
	if t.list == nil {
		t.list = make([]*session, 0, len(t.sessions))
		for s := range t.sessions {
			t.list = append(t.list, s)
		}
		// In the order in which they were opened, their memory lies nearly in a row, here and in the kernel.
		slices.SortFunc(t.list, func(a, b *session) int { return a.opened.Compare(b.opened) })
	}
	return events, but, t.list
}

// flush writes what waits.
func (t *topic) flush() {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	events, but, to := t.take(t.hub.edge.deps.Now())
	if len(but) > 0 {
		to = t.hub.edge.deliverBut(events, but, to)
	}
	t.hub.edge.deliver(events, to)
}

// deliverBut pushes to those who are spared something what is left for them, and returns all others.
func (e *Edge) deliverBut(events [][]byte, but spared, to []*session) (others []*session) {
	theirs := make(map[string][]*session, len(but))
	for _, s := range to {
		if _, ok := but[s.user()]; ok {
			theirs[s.user()] = append(theirs[s.user()], s)
		} else {
			others = append(others, s)
		}
	}
	for user, sessions := range theirs {
		left := make([][]byte, 0, len(events))
		for i, event := range events {
			if _, own := slices.BinarySearch(but[user], i); !own {
				left = append(left, event)
			}
		}
		e.deliver(left, sessions)
	}
	return others
}

// deliver pushes events to sessions in as few frames as their size allows.
func (e *Edge) deliver(events [][]byte, to []*session) {
	for len(events) > 0 && len(to) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+len(events[n]) <= frameBytes) {
			size += len(events[n])
			n++
		}
		f := pushFrame(events[:n])
		for _, s := range to {
			s.send(f)
		}
		e.metrics.pushed.Add(float64(n * len(to)))
		e.metrics.frames.Add(float64(len(to)))
		events = events[n:]
	}
}

// schedule hands a topic to the workers.
func (h *hub) schedule(t *topic) {
	h.work.Lock()
	h.ready = append(h.ready, t)
	h.work.Unlock()
	h.wake.Signal()
}

// start begins the workers.
func (h *hub) start(running *sync.WaitGroup) {
	for range h.workers {
		running.Go(h.run)
	}
}

func (h *hub) run() {
	for {
		h.work.Lock()
		for len(h.ready) == 0 && !h.closed {
			h.wake.Wait()
		}
		if h.closed {
			h.work.Unlock()
			return
		}
		t := h.ready[0]
		h.ready[0] = nil
		h.ready = h.ready[1:]
		if len(h.ready) == 0 {
			h.ready = nil
		}
		h.work.Unlock()
		t.flush()
	}
}

func (h *hub) close() {
	h.work.Lock()
	h.closed = true
	h.work.Unlock()
	h.wake.Broadcast()
}
