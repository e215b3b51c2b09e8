package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// deleteMessage takes a message's content and sender out of the database and returns the message as it was, with the run
// that tells of it. What stays is its place and, seen by nobody, what makes a repeated send known: sender_id and
// client_msg_id. A message that was taken away before is returned without a run: it was told, or its outbox row will.
// Errors: NOT_FOUND (MESSAGE_NOT_FOUND).
func (s *store) deleteMessage(
	ctx context.Context, c Conversation, seq int64, mine claim,
) (was *chatv1.Message, told []run, err error) {
	err = sqlstore.InTx(ctx, s.db.Write, func(tx *sql.Tx) (err error) {
		if was, err = s.messageAt(ctx, tx, c, seq); err != nil || was.GetDeleted() {
			return err
		}
		// Without it SQLite only forgets where the bytes are, and they stay in the file until something else is written
		// over them. The log that is beside the file loses them as it is used again.
		if _, err := tx.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
			return fmt.Errorf("turn overwriting on: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE messages SET sender = x'', content = x'', deleted = true "+
			"WHERE conversation_id = ? AND seq = ?", c.ID, seq); err != nil {
			return fmt.Errorf("empty message: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "PRAGMA secure_delete = OFF"); err != nil { // batches shall not pay for it
			return fmt.Errorf("turn overwriting off: %w", err)
		}
		res, err := tx.ExecContext(ctx, "INSERT INTO outboxes "+
			"(conversation_id, first_seq, last_seq, deletion, claimed_by, claimed_until) VALUES (?, ?, ?, true, ?, ?)",
			c.ID, seq, seq, mine.by, mine.until.UnixMilli())
		if err != nil {
			return fmt.Errorf("insert outbox row: %w", err)
		}
		id, err := res.LastInsertId()
		if err != nil {
			return fmt.Errorf("insert outbox row: %w", err)
		}
		told = []run{{outboxID: id, conversationID: c.ID, takenAway: deletion(c, seq)}}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("delete message: %w", err)
	}
	return was, told, nil
}

// messageAt returns one message, as tx sees it. Errors: NOT_FOUND (MESSAGE_NOT_FOUND).
func (s *store) messageAt(ctx context.Context, tx *sql.Tx, c Conversation, seq int64) (m *chatv1.Message, err error) {
	rows, err := tx.QueryContext(ctx, messageColumns+" AND seq = ?", c.ID, seq)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return nil, errors.Join(rows.Err(), messageNotFound())
	}
	return scanMessage(rows, c)
}

// deletion is the event that a message was taken away.
func deletion(c Conversation, seq int64) *chatv1.MessageTakenAway {
	return &chatv1.MessageTakenAway{
		ConversationId: c.ID, Position: &chatv1.Position{Epoch: c.Epoch, Seq: seq},
	}
}
