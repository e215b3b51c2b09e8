package chat

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// On a database server each statement is a way there and back, and a batch of many messages would wait for very many. So
// what its plain sends need to know is read for all of them at once, and what they store is written at once: at the end, or
// before anything else is done with the database. SQLite, which is in this process, goes step by step.

// messageKey is what a message is stored under once.
type messageKey struct{ conversationID, senderID, clientMsgID string }

func keyOf(m *chatv1.Message) messageKey {
	return messageKey{m.GetConversationId(), doer(m), m.GetClientMsgId()}
}

// waitingMessage is a message that has its place and is not written yet.
type waitingMessage struct {
	messageKey

	seq, quoted int64
	body        []byte
}

// readAhead reads the places of the conversations of messages, and which of the messages are not stored yet.
func (b *batch) readAhead(messages []*chatv1.Message) error {
	if b.store.says.sqlite() || len(messages) < 2 {
		return nil
	}
	keys := make([]messageKey, len(messages))
	ids := make([]string, len(messages))
	for i, m := range messages {
		keys[i], ids[i] = keyOf(m), m.GetConversationId()
	}
	slices.Sort(ids)
	query, args := b.store.says.placesOf(slices.Compact(ids))
	if err := b.scan(query, args, func(rows *sql.Rows) error {
		var id string
		p := &place{}
		err := rows.Scan(&id, &p.epoch, &p.lastSeq, &p.lastChange, &p.sharedFrom)
		b.places[id] = p
		return err
	}); err != nil {
		return fmt.Errorf("read places: %w", err)
	}
	b.absent = make(map[messageKey]bool, len(keys))
	for _, key := range keys {
		b.absent[key] = true
	}
	query, args = b.store.says.storedOf(keys)
	if err := b.scan(query, args, func(rows *sql.Rows) error {
		var key messageKey
		err := rows.Scan(&key.clientMsgID, &key.senderID, &key.conversationID)
		delete(b.absent, key)
		return err
	}); err != nil {
		return fmt.Errorf("look for repeats: %w", err)
	}
	return nil
}

func (b *batch) scan(query string, args []any, row func(*sql.Rows) error) error {
	rows, err := b.raw.QueryContext(b.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tx is the transaction, in which all is written that was stored before. Where that fails, nothing of the batch is stored.
func (b *batch) tx() *sql.Tx {
	if len(b.waiting) > 0 && b.broken == nil {
		b.broken = b.flush()
	}
	return b.raw
}

// flush writes the messages that wait.
func (b *batch) flush() error {
	if len(b.waiting) == 0 {
		return nil
	}
	query, args := b.store.says.insertMessages(b.waiting, b.now.UnixMicro())
	n := len(b.waiting)
	b.waiting = b.waiting[:0]
	res, err := b.raw.ExecContext(b.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if stored, err := res.RowsAffected(); err != nil || stored != int64(n) {
		return fmt.Errorf("insert messages: %d of %d are stored: %w", stored, n, err)
	}
	return nil
}

// columns turns rows into one slice a column.
func columns[T, V any](rows []T, value func(T) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = value(r)
	}
	return out
}

// valuesOf is n times a row of placeholders.
func valuesOf(n, columns int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", n), ", ")
}

func (d sqlDialect) placesOf(ids []string) (query string, args []any) {
	const from = "SELECT id, epoch, last_seq, last_change, shared_from FROM conversations WHERE id "
	if d.postgres() {
		return from + "= ANY (?::text[])", []any{ids}
	}
	return from + "IN " + valuesOf(1, len(ids)), columns(ids, func(id string) any { return id })
}

// storedOf looks each key up in the index by itself, and lets no planner go through the messages.
func (d sqlDialect) storedOf(keys []messageKey) (query string, args []any) {
	const same = "m.client_msg_id = a.id AND m.sender_id = a.sender AND m.conversation_id = a.conversation"
	if d.postgres() {
		return "SELECT a.id, a.sender, a.conversation FROM unnest(?::text[], ?::text[], ?::text[]) " +
				"AS a (id, sender, conversation) CROSS JOIN LATERAL (SELECT 1 FROM messages m WHERE " + same + " LIMIT 1) there", []any{
				columns(keys, func(k messageKey) string { return k.clientMsgID }),
				columns(keys, func(k messageKey) string { return k.senderID }),
				columns(keys, func(k messageKey) string { return k.conversationID }),
			}
	}
	for _, k := range keys {
		args = append(args, k.clientMsgID, k.senderID, k.conversationID)
	}
	return "SELECT a.id, a.sender, a.conversation FROM (SELECT ? AS id, ? AS sender, ? AS conversation" +
		strings.Repeat(" UNION ALL SELECT ?, ?, ?", len(keys)-1) + ") a STRAIGHT_JOIN messages m ON " + same, args
}

func (d sqlDialect) insertMessages(rows []waitingMessage, at int64) (query string, args []any) {
	const into = "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at, quoted_seq) "
	if d.postgres() {
		return into + "SELECT a.conversation, a.seq, a.sender, a.id, a.body, ?::bigint, a.quoted FROM " +
				"unnest(?::text[], ?::bigint[], ?::text[], ?::text[], ?::bytea[], ?::bigint[]) " +
				"AS a (conversation, seq, sender, id, body, quoted)", []any{
				at,
				columns(rows, func(r waitingMessage) string { return r.conversationID }),
				columns(rows, func(r waitingMessage) int64 { return r.seq }),
				columns(rows, func(r waitingMessage) string { return r.senderID }),
				columns(rows, func(r waitingMessage) string { return r.clientMsgID }),
				columns(rows, func(r waitingMessage) []byte { return r.body }),
				columns(rows, func(r waitingMessage) int64 { return r.quoted }),
			}
	}
	for _, r := range rows {
		args = append(args, r.conversationID, r.seq, r.senderID, r.clientMsgID, r.body, at, r.quoted)
	}
	return into + "VALUES " + valuesOf(len(rows), 7), args
}

// movedPlace is what finish writes of a place.
type movedPlace struct {
	*place

	id string
}

func (d sqlDialect) putPlaces(rows []movedPlace, number int64) (query string, args []any) {
	if d.postgres() {
		return "UPDATE conversations c SET last_seq = a.last_seq, last_change = a.last_change, shared_from = a.shared_from, " +
				"version = ?::bigint FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[]) " +
				"AS a (id, last_seq, last_change, shared_from) WHERE c.id = a.id", []any{
				number,
				columns(rows, func(p movedPlace) string { return p.id }),
				columns(rows, func(p movedPlace) int64 { return p.lastSeq }),
				columns(rows, func(p movedPlace) int64 { return p.lastChange }),
				columns(rows, func(p movedPlace) int64 { return p.sharedFrom }),
			}
	}
	for _, p := range rows {
		args = append(args, p.id, p.lastSeq, p.lastChange, p.sharedFrom)
	}
	one := "SELECT ? AS id, ? AS last_seq, ? AS last_change, ? AS shared_from"
	return "UPDATE conversations c JOIN (" + one + strings.Repeat(" UNION ALL SELECT ?, ?, ?, ?", len(rows)-1) +
		") a ON a.id = c.id SET c.last_seq = a.last_seq, c.last_change = a.last_change, c.shared_from = a.shared_from, " +
		"c.version = ?", append(args, number)
}

// outboxRowID is the id of the nth row of a commit: rows are told in the order of their ids.
func outboxRowID(commit int64, n int) int64 { return commit<<rowsOfCommit + int64(n) }

// rowsOfCommit is for more rows than a commit ever has.
const rowsOfCommit = 20

func (d sqlDialect) insertOutboxes(rows []outboxRow, mine claim) (query string, args []any) {
	const into = "INSERT INTO outboxes (id, conversation_id, first_seq, last_seq, user_id, events, claimed_by, claimed_until) "
	if d.postgres() {
		return into + "SELECT a.id, a.conversation, a.first_seq, a.last_seq, a.user_id, a.events, ?::text, ?::bigint FROM " +
				"unnest(?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::bytea[]) " +
				"AS a (id, conversation, first_seq, last_seq, user_id, events)", []any{
				mine.by, mine.until.UnixMilli(),
				columns(rows, func(r outboxRow) int64 { return r.id }),
				columns(rows, func(r outboxRow) string { return r.conversationID }),
				columns(rows, func(r outboxRow) int64 { return r.firstSeq }),
				columns(rows, func(r outboxRow) int64 { return r.lastSeq }),
				columns(rows, func(r outboxRow) string { return r.userID }),
				columns(rows, func(r outboxRow) []byte { return r.events }),
			}
	}
	for _, r := range rows {
		args = append(args, r.id, r.conversationID, r.firstSeq, r.lastSeq, r.userID, r.events, mine.by, mine.until.UnixMilli())
	}
	return into + "VALUES " + valuesOf(len(rows), 8), args
}

func (d sqlDialect) deleteOutboxes(ids []int64) (query string, args []any) {
	if d.postgres() {
		return "DELETE FROM outboxes WHERE id = ANY (?::bigint[])", []any{ids}
	}
	return "DELETE FROM outboxes WHERE id IN " + valuesOf(1, len(ids)), columns(ids, func(id int64) any { return id })
}

// rowsAtOnce is how many rows one statement writes.
const rowsAtOnce = 1000

// execEach runs a statement for each chunk of rows.
func execEach[T any](ctx context.Context, tx *sql.Tx, rows []T, statement func([]T) (string, []any)) error {
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		query, args := statement(chunk)
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}
