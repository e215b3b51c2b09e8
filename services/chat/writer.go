package chat

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// tidyInterval is how long published outbox rows may wait for a batch to carry their removal.
const tidyInterval = 500 * time.Millisecond

// place gives a message its place.
func place(m *chatv1.Message, epoch, seq int64, at time.Time) {
	m.Epoch, m.Seq, m.SentAt = epoch, seq, timestamppb.New(at)
}

// job is one send that waits for its commit.
type job struct {
	pending      pendingMessage
	conversation Conversation
	done         chan outcome // holds one
	also         []*job       // the same message again, in the same batch
}

type outcome struct {
	message *chatv1.Message
	err     error
}

func (j *job) key() [3]string {
	m := j.pending.message
	return [3]string{m.GetConversationId(), m.GetSender().GetId(), m.GetClientMsgId()}
}

// finish answers a job and its repeats.
func (j *job) finish(message *chatv1.Message, err error) {
	j.done <- outcome{message, err}
	for _, other := range j.also {
		other.done <- outcome{message, err}
	}
}

// deletionJob is a message to be taken away.
type deletionJob struct {
	conversation Conversation
	seq          int64
	done         chan outcome // holds one
}

// writer is the one goroutine that stores messages and takes them away, so that what it hands to the outbox is in the
// order of its commits. While it commits a batch, the next one gathers in its queue, so that one fsync is shared by all
// who send at the same time.
type writer struct {
	store    *store
	outbox   *outbox
	metrics  *metrics
	logger   *slog.Logger
	now      func() time.Time
	maxBatch int

	jobs      chan *job
	deletions chan *deletionJob // unbuffered: what was taken from it is answered
	stop      chan struct{}
	stopped   chan struct{}

	stored atomic.Int64 // messages
}

func newWriter(cfg Config, s *store, o *outbox, m *metrics, logger *slog.Logger, now func() time.Time) *writer {
	return &writer{
		store: s, outbox: o, metrics: m, logger: logger, now: now, maxBatch: cfg.MaxBatch,
		jobs: make(chan *job, 4*cfg.MaxBatch), deletions: make(chan *deletionJob),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// send stores a message and returns it with its place, or the one that its sender stored under the same id before. When
// ctx ends first, the message may still be stored; sending it again tells. Errors: UNAVAILABLE, NOT_FOUND
// (CONVERSATION_NOT_FOUND), the context's.
func (w *writer) send(
	ctx context.Context, c Conversation, from sender, clientMsgID string, content *chatv1.Content,
) (*chatv1.Message, error) {
	encoded, err := proto.Marshal(content)
	if err != nil {
		return nil, err
	}
	j := &job{
		conversation: c,
		pending: pendingMessage{
			message: &chatv1.Message{
				ConversationId: c.ID, Sender: from.user, Content: content, ClientMsgId: clientMsgID,
			},
			sender: from.bytes, content: encoded,
		},
		done: make(chan outcome, 1),
	}
	select {
	case w.jobs <- j:
	case <-w.stop:
		return nil, notStored(errors.New("the writer stops"))
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	select {
	case o := <-j.done:
		return o.message, o.err
	case <-w.stopped:
		select { // its last batch may have answered
		case o := <-j.done:
			return o.message, o.err
		default:
			return nil, notStored(errors.New("the writer stopped"))
		}
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// delete takes a message away and returns it as it was, or what is left of it when that was done before. When ctx ends
// first, it may still be taken away; doing it again tells. Errors: UNAVAILABLE, NOT_FOUND (MESSAGE_NOT_FOUND), the
// context's.
func (w *writer) delete(ctx context.Context, c Conversation, seq int64) (*chatv1.Message, error) {
	d := &deletionJob{conversation: c, seq: seq, done: make(chan outcome, 1)}
	select {
	case w.deletions <- d:
	case <-w.stop:
		return nil, notDeleted(errors.New("the writer stops"))
	case <-ctx.Done():
		return nil, ended(ctx)
	}
	select {
	case o := <-d.done:
		return o.message, o.err
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// run stores what is sent until close, and then what was sent before.
func (w *writer) run() {
	defer close(w.stopped)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	batch := make([]*job, 0, w.maxBatch)
	for {
		select {
		case j := <-w.jobs:
			batch = w.gather(append(batch[:0], j))
			w.commit(batch)
			clear(batch)
		case d := <-w.deletions:
			w.takeAway(d)
		case <-tidy.C:
			w.tidy()
		case <-w.stop:
			for batch = w.gather(batch[:0]); len(batch) > 0; batch = w.gather(batch[:0]) {
				w.commit(batch)
			}
			return
		}
	}
}

// close stops the writer once it has stored what waits.
func (w *writer) close() {
	close(w.stop)
	<-w.stopped
}

// gather adds what waits to a batch.
func (w *writer) gather(batch []*job) []*job {
	for len(batch) < w.maxBatch {
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit stores a batch and answers all of its jobs. It has no deadline: to give up on a commit would leave its outcome
// unknown, and those who wait have deadlines of their own.
func (w *writer) commit(batch []*job) {
	ctx := context.Background()
	jobs, err := w.withoutRepeats(ctx, batch)
	if err != nil {
		w.fail(ctx, jobs, err)
		return
	}
	if len(jobs) == 0 {
		return
	}
	byConversation := make(map[string][]*job)
	for _, j := range jobs {
		byConversation[j.conversation.ID] = append(byConversation[j.conversation.ID], j)
	}
	groups := make([]*group, 0, len(byConversation))
	for _, id := range slices.Sorted(maps.Keys(byConversation)) {
		g := &group{conversationID: id}
		for _, j := range byConversation[id] {
			g.messages = append(g.messages, j.pending)
		}
		groups = append(groups, g)
	}
	published := w.outbox.takePublished()
	start := time.Now()
	now := w.now()
	runs, err := w.store.storeBatch(ctx, groups, published, w.outbox.claim(now), now)
	if err != nil {
		w.outbox.returnPublished(published)
		w.fail(ctx, jobs, err)
		return
	}
	w.metrics.commit.Observe(time.Since(start).Seconds())
	w.metrics.batch.Observe(float64(len(jobs)))
	for _, g := range groups {
		for _, j := range byConversation[g.conversationID] {
			if g.missing {
				j.finish(nil, conversationNotFound())
				continue
			}
			w.metrics.stored.Inc()
			w.stored.Add(1)
			j.finish(j.pending.message, nil)
		}
	}
	w.outbox.put(runs)
}

// takeAway commits a deletion and answers it. Like commit it has no deadline.
func (w *writer) takeAway(d *deletionJob) {
	ctx := context.Background()
	was, told, err := w.store.deleteMessage(ctx, d.conversation, d.seq, w.outbox.claim(w.now()))
	if err != nil {
		if !errors.Is(err, messageNotFound()) {
			w.logger.LogAttrs(ctx, slog.LevelError, "message not taken away",
				slog.String("conversation_id", d.conversation.ID), slog.Int64("seq", d.seq), slog.String("cause", err.Error()))
			err = notDeleted(err)
		}
		d.done <- outcome{err: err}
		return
	}
	w.outbox.own(told) // before the answer: from then on the text is not told any more
	d.done <- outcome{message: was}
	w.outbox.put(told)
}

// withoutRepeats answers the jobs whose message is stored already, ties repeats within the batch to their first, and
// returns the others: what it returns cannot violate the uniqueness of (conversation, sender, client_msg_id), for nobody
// else writes.
func (w *writer) withoutRepeats(ctx context.Context, batch []*job) ([]*job, error) {
	fresh := make([]*job, 0, len(batch))
	seen := make(map[[3]string]*job, len(batch))
	for i, j := range batch {
		key := j.key()
		if first, ok := seen[key]; ok {
			first.also = append(first.also, j)
			continue
		}
		stored, err := w.store.sameMessage(ctx, j.conversation, key[1], key[2])
		if err != nil {
			return append(fresh, batch[i:]...), err
		}
		if stored != nil {
			j.finish(stored, nil)
			continue
		}
		seen[key] = j
		fresh = append(fresh, j)
	}
	return fresh, nil
}

func (w *writer) fail(ctx context.Context, jobs []*job, err error) {
	w.metrics.failed.Inc()
	w.logger.LogAttrs(ctx, slog.LevelError, "messages not stored", slog.Int("messages", len(jobs)),
		slog.String("cause", err.Error()))
	for _, j := range jobs {
		j.finish(nil, notStored(err))
	}
}

// tidy removes published outbox rows when no batch came to do it.
func (w *writer) tidy() {
	published := w.outbox.takePublished()
	if err := w.store.forgetRuns(context.Background(), published); err != nil {
		w.outbox.returnPublished(published)
		w.logger.LogAttrs(context.Background(), slog.LevelWarn, "outbox not tidied", slog.String("cause", err.Error()))
	}
}
