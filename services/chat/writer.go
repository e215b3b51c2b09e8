package chat

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// tidyInterval is how long published outbox rows may wait for a batch to carry their removal.
const tidyInterval = 500 * time.Millisecond

// What changes weigh beside a message, which weighs 1: about how long they take.
const (
	moveWeight   = 2 // a position, and a message that is forwarded
	memberWeight = 4
	houseWeight  = 8 // a message of the house to one user, whose conversation may have to be made
	eraseWeight  = answersErased / 4
)

// job is one change that waits for its commit.
type job struct {
	weight int
	// message is what a send stores, if it may.
	message *chatv1.Message
	// apply does it. A refusal (*errs.Error) is the job's alone.
	apply func(b *batch) error
	// alone has apply undone when it fails, at the price of a savepoint. A job without it refuses before it writes.
	alone bool
	done  chan error // holds one
	err   error      // of apply
}

// writer is the one goroutine that changes what is stored, so that what it hands to the outbox is in the order of its
// commits. While it commits a batch, the next one gathers in its queue, so that one fsync is shared by all who write at the
// same time. A batch is full by the weight of its jobs: nobody waits for longer than one job takes, or maxBatch messages.
type writer struct {
	store    *store
	outbox   *outbox
	metrics  *metrics
	logger   *slog.Logger
	now      func() time.Time
	maxBatch int

	jobs    chan *job
	next    *job // taken out of jobs, and too heavy for the batch that was gathered; of the goroutine
	stop    chan struct{}
	stopped chan struct{}

	stored atomic.Int64 // messages
}

func newWriter(cfg Config, s *store, o *outbox, m *metrics, logger *slog.Logger, now func() time.Time) *writer {
	return &writer{
		store: s, outbox: o, metrics: m, logger: logger, now: now, maxBatch: cfg.MaxBatch,
		jobs: make(chan *job, 4*cfg.MaxBatch), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// send stores a message and returns it with its place, or the one that its sender stored under the same id before. admit is
// asked at the last moment whether it still may be, and writes nothing. When ctx ends first, the message may still be stored;
// sending it again tells. Errors: UNAVAILABLE, NOT_FOUND (CONVERSATION_NOT_FOUND), admit's, the context's.
func (w *writer) send(
	ctx context.Context, m *chatv1.Message, admit func(b *batch) error, posted func(b *batch, m *chatv1.Message) error,
) (*chatv1.Message, error) {
	stored := m
	err := w.do(ctx, &job{weight: 1, message: m, apply: func(b *batch) error {
		if err := admit(b); err != nil {
			return err
		}
		var fresh bool
		var err error
		if stored, fresh, err = b.post(m); err != nil || !fresh || posted == nil {
			return err
		}
		return posted(b, m)
	}})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// change does something to what is stored, whole or not at all. When ctx ends first, apply may still run, beside the caller:
// what it leaves to the caller is read when change returns no error, and never else. Errors: UNAVAILABLE, apply's, the
// context's.
func (w *writer) change(ctx context.Context, apply func(b *batch) error) error {
	return w.changeMuch(ctx, 1, apply)
}

// changeMuch is change for what takes as long as so many messages.
func (w *writer) changeMuch(ctx context.Context, weight int, apply func(b *batch) error) error {
	return w.do(ctx, &job{weight: weight, apply: apply, alone: true})
}

func (w *writer) do(ctx context.Context, j *job) error {
	j.done = make(chan error, 1)
	select {
	case w.jobs <- j:
	case <-w.stop:
		return notStored(errors.New("the writer stops"))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-j.done:
		return err
	case <-w.stopped:
		select { // its last batch may have answered
		case err := <-j.done:
			return err
		default:
			return notStored(errors.New("the writer stopped"))
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run stores what is sent until close, and then what was sent before.
func (w *writer) run() {
	defer close(w.stopped)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	gathered := make([]*job, 0, w.maxBatch)
	for {
		select {
		case w.next = <-w.jobs:
			for w.next != nil {
				gathered = w.gather(gathered[:0])
				w.commit(gathered)
				clear(gathered)
			}
		case <-tidy.C:
			w.tidy()
		case <-w.stop:
			for gathered = w.gather(gathered[:0]); len(gathered) > 0; gathered = w.gather(gathered[:0]) {
				w.commit(gathered)
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

// gather adds what waits to a batch, until it is full. It holds one job at least, however heavy that is.
func (w *writer) gather(jobs []*job) []*job {
	for weight := 0; weight < w.maxBatch; weight += jobs[len(jobs)-1].weight {
		if w.next == nil {
			select {
			case w.next = <-w.jobs:
			default:
				return jobs
			}
		}
		if len(jobs) > 0 && weight+w.next.weight > w.maxBatch {
			return jobs
		}
		jobs, w.next = append(jobs, w.next), nil
	}
	return jobs
}

// commit does all jobs in one transaction and answers them. It has no deadline: to give up on a commit would leave its
// outcome unknown, and those who wait have deadlines of their own.
func (w *writer) commit(jobs []*job) {
	ctx := context.Background()
	published := w.outbox.takePublished()
	start := time.Now()
	now := w.now()
	var runs []run
	var done *batch
	err := sqlstore.InTx(ctx, w.store.db.Write, func(tx *sql.Tx) (err error) {
		if done, err = newBatch(ctx, tx, w.store, now); err != nil {
			return err
		}
		if err := done.readAhead(messagesOf(jobs)); err != nil {
			return err
		}
		for _, j := range jobs {
			if j.err = w.apply(done, j); j.err == nil || isRefusal(j.err) {
				continue
			}
			if !j.alone || errors.Is(j.err, errBroken) {
				return j.err // the database's: nothing of the batch will be stored
			}
		}
		runs, err = done.finish(published, w.outbox.claim(now))
		return err
	})
	if err != nil {
		w.outbox.returnPublished(published)
		w.fail(ctx, jobs, err)
		return
	}
	for _, act := range done.after {
		act()
	}
	w.metrics.commit.Observe(time.Since(start).Seconds())
	w.metrics.batch.Observe(float64(len(jobs)))
	fresh := 0
	for _, r := range runs {
		for _, event := range r.events {
			if event.GetMessage() != nil {
				fresh++
			}
		}
	}
	w.metrics.stored.Add(float64(fresh))
	w.stored.Add(int64(fresh))
	w.outbox.own(runs) // before the answers: what was taken away is not told any more from then on
	for _, j := range jobs {
		if j.err != nil && !isRefusal(j.err) {
			w.logger.LogAttrs(ctx, slog.LevelError, "change not stored", slog.String("cause", j.err.Error()))
			j.err = notStored(j.err)
		}
		j.done <- j.err
	}
	w.outbox.put(runs)
}

// messagesOf returns what sends among jobs store.
func messagesOf(jobs []*job) []*chatv1.Message {
	var out []*chatv1.Message
	for _, j := range jobs {
		if j.message != nil {
			out = append(out, j.message)
		}
	}
	return out
}

func (w *writer) apply(b *batch, j *job) error {
	if j.alone {
		return b.attempt(func() error { return j.apply(b) })
	}
	return j.apply(b)
}

// isRefusal reports whether an error is an answer to the caller, and not the database's.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*errs.Error](err)
	return ok
}

func (w *writer) fail(ctx context.Context, jobs []*job, err error) {
	w.metrics.failed.Inc()
	w.logger.LogAttrs(ctx, slog.LevelError, "changes not stored", slog.Int("changes", len(jobs)),
		slog.String("cause", err.Error()))
	for _, j := range jobs {
		if isRefusal(j.err) {
			j.done <- j.err
			continue
		}
		j.done <- notStored(err)
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
