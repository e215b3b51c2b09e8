package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// batch is one transaction of the writer. All that is done in it shares one commit, one commit number and one time, and
// what it has to tell is written into the outbox with it.
type batch struct {
	ctx    context.Context //nolint:containedctx // of the transaction
	raw    *sql.Tx         // tx is what all but ahead.go uses
	store  *store
	number int64     // of the commit
	now    time.Time // UTC, to the microsecond

	places map[string]*place
	rights map[string]bool // conversations in which it may have changed who may do what
	tales  []*tale
	after  []func() // once it is committed, before anybody is answered

	absent  map[messageKey]bool // messages of which readAhead knows that they are not stored
	waiting []waitingMessage    // stored by the next call of tx
	broken  error               // of a flush: nothing will be stored

	overwrites bool // what is changed is overwritten in the file
	erased     int  // answers that lost their quotes
}

// place is where a conversation's numbers stand in a batch.
type place struct {
	epoch, lastSeq, lastChange int64
	sharedFrom                 int64 // as in Conversation
	raised                     bool  // sharedFrom is, by this batch
	touched                    bool
}

// tale is what a batch tells in one piece: of a conversation, or to a user.
type tale struct {
	conversationID string
	userID         string
	fresh          bool // all of events are new messages
	events         []*chatv1.Event
	own            []*chatv1.OwnEvent
	takenAway      []int64 // messages that events say are
}

// newBatch takes the commit's number, which also makes it the only batch.
func newBatch(ctx context.Context, tx *sql.Tx, s *store, now time.Time) (*batch, error) {
	b := &batch{
		ctx: ctx, raw: tx, store: s, now: now.UTC().Truncate(time.Microsecond), places: make(map[string]*place),
		rights: make(map[string]bool),
	}
	var err error
	if b.number, err = s.says.number(ctx, tx.StmtContext(ctx, s.batches.takeNumber), 1); err != nil {
		return nil, fmt.Errorf("take commit number: %w", err)
	}
	return b, nil
}

// errBroken is a transaction that cannot go on. A database that has no room or cannot write may end it by itself, and what
// would be done after that would be done at once and for good.
var errBroken = errors.New("the transaction is broken")

// attempt does act, or nothing of it when it fails. Errors: act's, errBroken.
func (b *batch) attempt(act func() error) error {
	if _, err := b.tx().ExecContext(b.ctx, "SAVEPOINT attempt"); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	places, tales, after := clonePlaces(b.places), len(b.tales), len(b.after)
	err := act()
	if err != nil {
		b.places, b.after = places, b.after[:after]
		b.tales = b.tales[:tales]
		b.waiting = b.waiting[:0] // there were none before act
		if _, undo := b.tx().ExecContext(b.ctx, "ROLLBACK TO attempt"); undo != nil {
			return fmt.Errorf("%w: roll back to savepoint: %w, after: %v", errBroken, undo, err) //nolint:errorlint // is no refusal
		}
	}
	if _, release := b.tx().ExecContext(b.ctx, "RELEASE SAVEPOINT attempt"); release != nil {
		return fmt.Errorf("%w: release savepoint: %w, after: %v", errBroken, release, err) //nolint:errorlint // is no refusal
	}
	return err
}

func clonePlaces(places map[string]*place) map[string]*place {
	out := make(map[string]*place, len(places))
	for id, p := range places {
		c := *p
		out[id] = &c
	}
	return out
}

// ent is ent's client inside of the transaction.
func (b *batch) ent() *ent.Client {
	return ent.NewClient(ent.Driver(inTx{entsql.NewDriver(b.store.db.Dialect(), entsql.Conn{ExecQuerier: b.tx()})}))
}

// inTx is a driver inside of a transaction: ent asks for one around what it does in several steps, and gets this one.
type inTx struct{ *entsql.Driver }

// Tx implements dialect.Driver.
func (d inTx) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d.Driver), nil }

// place returns where a conversation's numbers stand. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (b *batch) place(id string) (*place, error) {
	if p := b.places[id]; p != nil {
		return p, nil
	}
	p := &place{}
	err := b.tx().StmtContext(b.ctx, b.store.batches.place).QueryRowContext(b.ctx, id).
		Scan(&p.epoch, &p.lastSeq, &p.lastChange, &p.sharedFrom)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, conversationNotFound()
	}
	if err != nil {
		return nil, fmt.Errorf("read place: %w", err)
	}
	b.places[id] = p
	return p, nil
}

// touch makes the conversation one that changed in this commit. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (b *batch) touch(id string) error {
	p, err := b.place(id)
	if err != nil {
		return err
	}
	p.touched = true
	return nil
}

// post gives a message its place, stores it and tells of it. A message that the same sender stored under the same id before
// is returned instead, with fresh false. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (b *batch) post(m *chatv1.Message) (stored *chatv1.Message, fresh bool, err error) {
	p, err := b.place(m.GetConversationId())
	if err != nil {
		return nil, false, err
	}
	seq := p.lastSeq + 1
	if m.GetClientMsgId() == "" { // the server's own
		m.ClientMsgId = "system-" + strconv.FormatInt(seq, 10)
	}
	body, err := encodeBody(m)
	if err != nil {
		return nil, false, err
	}
	if key := keyOf(m); b.absent[key] {
		delete(b.absent, key) // the next one is a repeat
		b.waiting = append(b.waiting, waitingMessage{messageKey: key, seq: seq, quoted: quotedSeq(m), body: body})
	} else if fresh, err = b.store.says.inserted(b.tx().StmtContext(b.ctx, b.store.batches.insertMessage).ExecContext(b.ctx,
		m.GetConversationId(), seq, doer(m), m.GetClientMsgId(), body, b.now.UnixMicro(), quotedSeq(m))); err != nil {
		return nil, false, fmt.Errorf("insert message: %w", err)
	} else if !fresh {
		stored, err := b.same(m)
		return stored, false, err
	}
	p.lastSeq, p.touched = seq, true
	setPlace(m, p.epoch, seq, b.now)
	b.tales = append(b.tales, &tale{
		conversationID: m.GetConversationId(), fresh: true,
		events: []*chatv1.Event{{ConversationId: m.GetConversationId(), Kind: &chatv1.Event_Message{Message: m}}},
	})
	return m, true, nil
}

// same reads the message that the sender of m stored under the same id before.
func (b *batch) same(m *chatv1.Message) (*chatv1.Message, error) {
	p, err := b.place(m.GetConversationId())
	if err != nil {
		return nil, err
	}
	messages, err := b.read(b.store.batches.same, m.GetConversationId(), p.epoch, doer(m), m.GetClientMsgId())
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, errors.New("insert message: it was neither stored nor there")
	}
	return messages[0], nil
}

// message reads a message as it is in the transaction. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND).
func (b *batch) message(conversationID string, seq int64) (*chatv1.Message, error) {
	p, err := b.place(conversationID)
	if err != nil {
		return nil, err
	}
	messages, err := b.read(b.store.batches.at, conversationID, p.epoch, seq)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, messageNotFound()
	}
	return messages[0], nil
}

// read reads messages of a conversation as they are in the transaction.
func (b *batch) read(statement *sql.Stmt, conversationID string, epoch int64, args ...any) ([]*chatv1.Message, error) {
	messages, err := b.store.readMessages(b.ctx, b.tx().StmtContext(b.ctx, statement), conversationID, epoch,
		append([]any{conversationID}, args...)...)
	if err != nil {
		return nil, err
	}
	return messages, b.unquoteGone(messages)
}

// change stores a message that changed under the conversation's next change number, and tells of it.
func (b *batch) change(m *chatv1.Message) error {
	p, err := b.place(m.GetConversationId())
	if err != nil {
		return err
	}
	body, err := encodeBody(m)
	if err != nil {
		return err
	}
	p.lastChange++
	p.touched = true
	m.Change = p.lastChange
	if err := b.overwriting(func() error {
		_, err := b.tx().StmtContext(b.ctx, b.store.batches.changeMessage).ExecContext(b.ctx, body, m.GetDeleted(),
			m.GetChange(), quotedSeq(m), m.GetConversationId(), m.GetSeq())
		return err
	}); err != nil {
		return fmt.Errorf("change message: %w", err)
	}
	b.tell(changeEvent(m, p.sharedFrom))
	if m.GetDeleted() {
		b.tales[len(b.tales)-1].takenAway = []int64{m.GetSeq()}
	}
	return nil
}

// tell adds an event of a conversation that is no new message; those of one conversation keep their order.
func (b *batch) tell(event *chatv1.Event) {
	event.Commit = b.number
	b.tales = append(b.tales, &tale{conversationID: event.GetConversationId(), events: []*chatv1.Event{event}})
}

// tellUser adds an event for one user's devices.
func (b *batch) tellUser(userID string, event *chatv1.OwnEvent) {
	event.Commit = b.number
	b.tales = append(b.tales, &tale{userID: userID, own: []*chatv1.OwnEvent{event}})
}

// onCommit has act run once the batch is committed, before anybody is answered.
func (b *batch) onCommit(act func()) { b.after = append(b.after, act) }

// finish writes the numbers and the outbox, and removes the outbox rows that were published.
func (b *batch) finish(published []int64, mine claim) ([]run, error) {
	tx := b.tx()
	if b.broken != nil {
		return nil, b.broken
	}
	if err := b.putPlaces(tx); err != nil {
		return nil, fmt.Errorf("write places: %w", err)
	}
	tales := merged(b.tales)
	runs, rows := make([]run, len(tales)), make([]outboxRow, len(tales))
	for i, t := range tales {
		var err error
		if rows[i], err = t.row(outboxRowID(b.number, i)); err != nil {
			return nil, fmt.Errorf("encode outbox row: %w", err)
		}
		runs[i] = b.run(t, rows[i].id)
	}
	if err := b.putOutbox(tx, rows, mine); err != nil {
		return nil, fmt.Errorf("insert outbox rows: %w", err)
	}
	return runs, b.store.deleteRuns(b.ctx, tx, published)
}

// putPlaces writes where the conversations that changed stand now.
func (b *batch) putPlaces(tx *sql.Tx) error {
	var moved []movedPlace
	for _, id := range slices.Sorted(maps.Keys(b.places)) {
		if p := b.places[id]; p.touched {
			moved = append(moved, movedPlace{p, id})
		}
	}
	if !b.store.says.sqlite() {
		return execEach(b.ctx, tx, moved, func(rows []movedPlace) (string, []any) {
			return b.store.says.putPlaces(rows, b.number)
		})
	}
	statement := tx.StmtContext(b.ctx, b.store.batches.putPlace)
	for _, p := range moved {
		if _, err := statement.ExecContext(b.ctx, p.lastSeq, p.lastChange, p.sharedFrom, b.number, p.id); err != nil {
			return err
		}
	}
	return nil
}

// putOutbox writes what is to be told.
func (b *batch) putOutbox(tx *sql.Tx, rows []outboxRow, mine claim) error {
	if !b.store.says.sqlite() {
		return execEach(b.ctx, tx, rows, func(rows []outboxRow) (string, []any) {
			return b.store.says.insertOutboxes(rows, mine)
		})
	}
	statement := tx.StmtContext(b.ctx, b.store.batches.insertOutbox)
	for _, r := range rows {
		if _, err := statement.ExecContext(b.ctx, r.id, r.conversationID, r.firstSeq, r.lastSeq, r.userID, r.events, mine.by,
			mine.until.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// merged puts what is told of one conversation together: new messages, and what lies between them.
func merged(tales []*tale) []*tale {
	open := make(map[string]*tale, len(tales)) // the last tale of each conversation
	out := tales[:0]
	for _, t := range tales {
		if last := open[t.conversationID]; t.conversationID != "" && last != nil && last.fresh == t.fresh {
			last.events = joined(last.events, t.events)
			last.takenAway = append(last.takenAway, t.takenAway...)
			continue
		}
		if t.conversationID != "" {
			open[t.conversationID] = t
		}
		out = append(out, t)
	}
	return out
}

// row is how a tale waits. New messages are found again by their places; other events are kept as they are.
func (t *tale) row(id int64) (r outboxRow, err error) {
	r = outboxRow{id: id, conversationID: t.conversationID, userID: t.userID}
	switch {
	case t.fresh:
		r.firstSeq, r.lastSeq = t.events[0].GetMessage().GetSeq(), t.events[len(t.events)-1].GetMessage().GetSeq()
	case t.userID != "":
		r.events, err = proto.Marshal(&chatv1.UserEvents{UserId: t.userID, Events: t.own})
	default:
		waiting := &chatv1.ConversationEvents{ConversationId: t.conversationID}
		for _, event := range t.events {
			waiting.Events = append(waiting.GetEvents(), kept(event))
		}
		r.events, err = proto.Marshal(waiting)
	}
	return r, err
}

// run is what a tale tells once it is committed.
func (b *batch) run(t *tale, outboxID int64) run {
	r := run{
		outboxID: outboxID, conversationID: t.conversationID, userID: t.userID, events: t.events, own: t.own,
		commit: b.number, takenAway: t.takenAway,
	}
	if p := b.places[t.conversationID]; p != nil && p.raised {
		r.raised = p.sharedFrom
	}
	return r
}
