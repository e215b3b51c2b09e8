package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// batchStatements write, on the one write connection.
type batchStatements struct {
	takeNumber, place, putPlace, insertMessage, changeMessage, same, at, gone, answers *sql.Stmt
	insertMention, insertOutbox, deleteOutbox, unread, mentioned, owned                *sql.Stmt
}

func prepareBatches(ctx context.Context, db *sql.DB, says sqlDialect) (batchStatements, error) {
	var problems []error
	prepare := func(query string) *sql.Stmt {
		statement, err := db.PrepareContext(ctx, query)
		problems = append(problems, err)
		return statement
	}
	return batchStatements{
		takeNumber: prepare(says.takeNumber()),
		place:      prepare("SELECT epoch, last_seq, last_change, shared_from FROM conversations WHERE id = ?"),
		putPlace: prepare("UPDATE conversations SET last_seq = ?, last_change = ?, shared_from = ?, version = ? " +
			"WHERE id = ?"),
		insertMessage: prepare("INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at, " +
			"quoted_seq) VALUES (?, ?, ?, ?, ?, ?, ?)" + says.orNothing("client_msg_id, sender_id, conversation_id")),
		same: prepare(messageColumns + " AND sender_id = ? AND client_msg_id = ?"),
		changeMessage: prepare("UPDATE messages SET body = ?, deleted = ?, `change` = ?, quoted_seq = ? " +
			"WHERE conversation_id = ? AND seq = ?"),
		at:            prepare(messageColumns + " AND seq = ?"),
		gone:          prepare("SELECT deleted FROM messages WHERE conversation_id = ? AND seq = ?"),
		answers:       prepare(messageColumns + " AND quoted_seq > 0 AND quoted_seq = ? ORDER BY seq LIMIT ?"),
		insertMention: prepare("INSERT INTO mentions (conversation_id, user_id, seq) VALUES (?, ?, ?)" + says.orNothing("")),
		insertOutbox: prepare("INSERT INTO outboxes (id, conversation_id, first_seq, last_seq, user_id, events, claimed_by, " +
			"claimed_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
		deleteOutbox: prepare("DELETE FROM outboxes WHERE id = ?"),
		unread:       prepare(countUnread(says)),
		mentioned:    prepare(countMentioned(says)),
		// In the words of the index, which has these alone.
		owned: prepare("SELECT count(*) FROM conversations WHERE owner_id = ? AND kind = 3 AND NOT disbanded"),
	}, errors.Join(problems...)
}

// run is what one transaction has to tell in one piece, with the outbox row that keeps it.
type run struct {
	outboxID       int64
	conversationID string
	userID         string // instead of a conversation
	events         []*chatv1.Event
	own            []*chatv1.OwnEvent

	commit    int64   // 0 for one that was read from its row
	takenAway []int64 // messages that events say are
	raised    int64   // what the commit raised the conversation's SharedFrom to; 0 for one that did not
}

// claim says which process publishes an outbox row, and until when nobody else does.
type claim struct {
	by    string
	until time.Time
}

// forgetRuns removes the outbox rows of what was published.
func (s *store) forgetRuns(ctx context.Context, published []int64) error {
	if len(published) == 0 {
		return nil
	}
	err := sqlstore.InTx(ctx, s.db.Write, func(tx *sql.Tx) error { return s.deleteRuns(ctx, tx, published) })
	if err != nil {
		return fmt.Errorf("tidy outbox: %w", err)
	}
	return nil
}

func (s *store) deleteRuns(ctx context.Context, tx *sql.Tx, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if !s.says.sqlite() {
		if err := execEach(ctx, tx, ids, s.says.deleteOutboxes); err != nil {
			return fmt.Errorf("delete outbox rows: %w", err)
		}
		return nil
	}
	statement := tx.StmtContext(ctx, s.batches.deleteOutbox)
	for _, id := range ids {
		if _, err := statement.ExecContext(ctx, id); err != nil {
			return fmt.Errorf("delete outbox row: %w", err)
		}
	}
	return nil
}

// outboxRow is a row as it is stored.
type outboxRow struct {
	id                int64
	conversationID    string
	firstSeq, lastSeq int64
	userID            string
	events            []byte
}

// claimRuns takes over up to limit outbox rows: those whose claim is over, and, with fromOthers, those that any other
// process holds. They come in the order in which they were written.
func (s *store) claimRuns(
	ctx context.Context, mine claim, fromOthers bool, now time.Time, limit int,
) (runs []run, err error) {
	var rows []outboxRow
	err = sqlstore.InTx(ctx, s.db.Write, func(tx *sql.Tx) error {
		found, err := tx.QueryContext(ctx, "SELECT id, conversation_id, first_seq, last_seq, user_id, events "+
			"FROM outboxes WHERE claimed_until < ? OR (? AND claimed_by <> ?) ORDER BY id LIMIT ?",
			now.UnixMilli(), fromOthers, mine.by, limit)
		if err != nil {
			return err
		}
		for found.Next() {
			var r outboxRow
			if err := found.Scan(&r.id, &r.conversationID, &r.firstSeq, &r.lastSeq, &r.userID, &r.events); err != nil {
				return errors.Join(err, found.Close())
			}
			rows = append(rows, r)
		}
		if err := errors.Join(found.Err(), found.Close()); err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := tx.ExecContext(ctx, "UPDATE outboxes SET claimed_by = ?, claimed_until = ? WHERE id = ?",
				mine.by, mine.until.UnixMilli(), r.id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim outbox rows: %w", err)
	}
	for _, row := range rows {
		r, err := s.loadRun(ctx, row)
		if err != nil {
			return nil, fmt.Errorf("load outbox row: %w", err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func (s *store) loadRun(ctx context.Context, row outboxRow) (run, error) {
	r := run{outboxID: row.id, conversationID: row.conversationID, userID: row.userID}
	if row.userID != "" {
		var events chatv1.UserEvents
		err := proto.Unmarshal(row.events, &events)
		r.own = events.GetEvents()
		return r, err
	}
	c, err := s.conversation(ctx, row.conversationID)
	if errors.Is(err, conversationNotFound()) { // nobody is left to be told
		return r, nil
	}
	if err != nil {
		return run{}, err
	}
	if row.firstSeq == 0 {
		r.events, r.takenAway, err = s.loadEvents(ctx, c, row.events)
		return r, err
	}
	// What came before the latest member may have been told long ago, and they may be there now. Who lacks it sees a gap at
	// the message that says that they came.
	first := max(row.firstSeq, c.SharedFrom)
	if first > row.lastSeq {
		return r, nil
	}
	messages, err := s.messagesAfter(ctx, c, first-1, int(row.lastSeq-first+1))
	if err != nil {
		return run{}, err
	}
	unquoteBelow(messages, c.SharedFrom)
	for _, m := range messages {
		r.events = append(r.events, &chatv1.Event{ConversationId: c.ID, Kind: &chatv1.Event_Message{Message: m}})
	}
	return r, nil
}

// kept is how an event waits in the database: a message that changed by its place alone, so that its words are nowhere but
// where it is stored.
func kept(event *chatv1.Event) *chatv1.Event {
	m := event.GetMessageChanged()
	if m == nil {
		return event
	}
	return &chatv1.Event{ConversationId: event.GetConversationId(), Commit: event.GetCommit(), Kind: &chatv1.Event_MessageChanged{
		MessageChanged: &chatv1.Message{Seq: m.GetSeq(), Change: m.GetChange()},
	}}
}

// loadEvents returns events that waited. A message that changed is told as it is now, under the number of that change, so
// that changes have no gap. It also returns which messages they say were taken away.
func (s *store) loadEvents(
	ctx context.Context, c Conversation, encoded []byte,
) (out []*chatv1.Event, takenAway []int64, err error) {
	var events chatv1.ConversationEvents
	if err := proto.Unmarshal(encoded, &events); err != nil {
		return nil, nil, fmt.Errorf("decode events: %w", err)
	}
	for _, event := range events.GetEvents() {
		if waited := event.GetMessageChanged(); waited != nil {
			m, err := s.messageAt(ctx, c, waited.GetSeq())
			if err != nil {
				return nil, nil, err
			}
			m.Change = waited.GetChange()
			event.Kind = changeEvent(m, c.SharedFrom).GetKind()
			if m.GetDeleted() {
				takenAway = append(takenAway, m.GetSeq())
			}
		}
		out = joined(out, []*chatv1.Event{event})
	}
	return out, takenAway, nil
}
