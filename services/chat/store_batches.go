package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// batchStatements write messages and the outbox.
type batchStatements struct {
	takeSeqs, insertMessage, insertOutbox, deleteOutbox *sql.Stmt
}

func prepareBatches(ctx context.Context, db *sql.DB) (batchStatements, error) {
	var problems []error
	prepare := func(query string) *sql.Stmt {
		statement, err := db.PrepareContext(ctx, query)
		problems = append(problems, err)
		return statement
	}
	return batchStatements{
		takeSeqs: prepare("UPDATE conversations SET last_seq = last_seq + ? WHERE id = ? RETURNING last_seq, epoch"),
		insertMessage: prepare("INSERT INTO messages " +
			"(conversation_id, seq, sender_id, client_msg_id, sender, content, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?)"),
		insertOutbox: prepare("INSERT INTO outboxes " +
			"(conversation_id, first_seq, last_seq, claimed_by, claimed_until) VALUES (?, ?, ?, ?, ?)"),
		deleteOutbox: prepare("DELETE FROM outboxes WHERE id = ?"),
	}, errors.Join(problems...)
}

// run is what one transaction did in one conversation, with the outbox row that names it: it stored consecutive messages,
// or took one away.
type run struct {
	outboxID       int64
	conversationID string
	messages       []*chatv1.Message
	takenAway      *chatv1.MessageTakenAway
}

// pendingMessage is a message that has no place yet.
type pendingMessage struct {
	message         *chatv1.Message // without epoch, seq and sent_at, which the batch sets
	sender, content []byte          // of message, encoded
}

// group is what a batch stores in one conversation.
type group struct {
	conversationID string
	messages       []pendingMessage
	missing        bool // set by storeBatch when there is no such conversation: nothing of the group was stored
}

// claim says which process publishes an outbox row, and until when nobody else does.
type claim struct {
	by    string
	until time.Time
}

// storeBatch gives each message its place and commits all groups, their outbox rows, and the removal of the outbox rows
// published, in one transaction. groups must be sorted by conversation, so that two batches never wait for each other.
// When it fails, nothing of the batch is stored, unless the commit itself failed: then the outbox tells.
func (s *store) storeBatch(
	ctx context.Context, groups []*group, published []int64, mine claim, now time.Time,
) (runs []run, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	err = sqlstore.InTx(ctx, s.db.Write, func(tx *sql.Tx) error {
		takeSeqs := tx.StmtContext(ctx, s.batches.takeSeqs)
		insertMessage := tx.StmtContext(ctx, s.batches.insertMessage)
		insertOutbox := tx.StmtContext(ctx, s.batches.insertOutbox)
		for _, g := range groups {
			var last, epoch int64
			err := takeSeqs.QueryRowContext(ctx, len(g.messages), g.conversationID).Scan(&last, &epoch)
			if errors.Is(err, sql.ErrNoRows) {
				g.missing = true
				continue
			}
			if err != nil {
				return fmt.Errorf("take places: %w", err)
			}
			first := last - int64(len(g.messages)) + 1
			r := run{conversationID: g.conversationID, messages: make([]*chatv1.Message, len(g.messages))}
			for i, p := range g.messages {
				m := p.message
				place(m, epoch, first+int64(i), now)
				r.messages[i] = m
				if _, err := insertMessage.ExecContext(ctx, g.conversationID, m.GetSeq(), m.GetSender().GetId(),
					m.GetClientMsgId(), p.sender, p.content, now.UnixMicro()); err != nil {
					return fmt.Errorf("insert message: %w", err)
				}
			}
			res, err := insertOutbox.ExecContext(ctx, g.conversationID, first, last, mine.by, mine.until.UnixMilli())
			if err != nil {
				return fmt.Errorf("insert outbox row: %w", err)
			}
			if r.outboxID, err = res.LastInsertId(); err != nil {
				return fmt.Errorf("insert outbox row: %w", err)
			}
			runs = append(runs, r)
		}
		return s.deleteRuns(ctx, tx, published)
	})
	if err != nil {
		return nil, fmt.Errorf("store batch: %w", err)
	}
	return runs, nil
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
	statement := tx.StmtContext(ctx, s.batches.deleteOutbox)
	for _, id := range ids {
		if _, err := statement.ExecContext(ctx, id); err != nil {
			return fmt.Errorf("delete outbox row: %w", err)
		}
	}
	return nil
}

// claimRuns takes over up to limit outbox rows: those whose claim is over, and, with fromOthers, those that any other
// process holds. They come in the order of their places.
func (s *store) claimRuns(
	ctx context.Context, mine claim, fromOthers bool, now time.Time, limit int,
) (runs []run, err error) {
	type row struct {
		id                int64
		conversationID    string
		firstSeq, lastSeq int64
		deletion          bool
	}
	var rows []row
	err = sqlstore.InTx(ctx, s.db.Write, func(tx *sql.Tx) error {
		found, err := tx.QueryContext(ctx, "SELECT id, conversation_id, first_seq, last_seq, deletion "+
			"FROM outboxes WHERE claimed_until < ? OR (? AND claimed_by <> ?) ORDER BY conversation_id, first_seq LIMIT ?",
			now.UnixMilli(), fromOthers, mine.by, limit)
		if err != nil {
			return err
		}
		for found.Next() {
			var r row
			if err := found.Scan(&r.id, &r.conversationID, &r.firstSeq, &r.lastSeq, &r.deletion); err != nil {
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
	for _, r := range rows {
		c, err := s.conversation(ctx, r.conversationID)
		if errors.Is(err, conversationNotFound()) { // nobody is left to be told
			runs = append(runs, run{outboxID: r.id, conversationID: r.conversationID})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load outbox row: %w", err)
		}
		if r.deletion {
			runs = append(runs, run{outboxID: r.id, conversationID: r.conversationID, takenAway: deletion(c, r.firstSeq)})
			continue
		}
		messages, err := s.messagesAfter(ctx, c, r.firstSeq-1, int(r.lastSeq-r.firstSeq+1))
		if err != nil {
			return nil, fmt.Errorf("load outbox row: %w", err)
		}
		runs = append(runs, run{outboxID: r.id, conversationID: r.conversationID, messages: messages})
	}
	return runs, nil
}
