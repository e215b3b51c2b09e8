package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const (
	// answersErased is how many answers lose their quotes in one commit: a message with very many of them holds nobody up.
	answersErased = 200
	// erasurePause is how long the rest waits after a commit that failed.
	erasurePause = time.Second
)

// erasures are messages that were taken away while more answers quoted them than one commit changes. Until the others
// follow, nothing that is read shows their quotes. A row of the database stands for each, so that a restart goes on.
type erasures struct {
	wake chan struct{} // holds one

	mu   sync.RWMutex
	open map[placeKey]struct{}
}

func loadErasures(ctx context.Context, db *sql.DB) (_ *erasures, err error) {
	e := &erasures{wake: make(chan struct{}, 1), open: make(map[placeKey]struct{})}
	rows, err := db.QueryContext(ctx, "SELECT conversation_id, seq FROM erasures")
	if err != nil {
		return nil, fmt.Errorf("read erasures: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var key placeKey
		if err := rows.Scan(&key.conversationID, &key.seq); err != nil {
			return nil, fmt.Errorf("read erasures: %w", err)
		}
		e.open[key] = struct{}{}
	}
	return e, nil
}

func (e *erasures) add(key placeKey) {
	e.mu.Lock()
	e.open[key] = struct{}{}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *erasures) remove(key placeKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, key)
}

func (e *erasures) has(key placeKey) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, ok := e.open[key]
	return ok
}

// next returns one of them.
func (e *erasures) next() (placeKey, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for key := range e.open {
		return key, true
	}
	return placeKey{}, false
}

// quotedSeq is the message whose words stand in m's quote; 0 for none.
func quotedSeq(m *chatv1.Message) int64 {
	if quote := m.GetReplyTo(); quote.GetSender() != nil || quote.GetExcerpt() != "" {
		return quote.GetSeq()
	}
	return 0
}

// unquote takes the words out of m's quote, and leaves what it answers.
func unquote(m *chatv1.Message) { m.ReplyTo = &chatv1.Quote{Seq: m.GetReplyTo().GetSeq()} }

// erase takes the words of a message that was taken away out of its answers: out of as many as one commit may change here,
// and out of the others in commits of their own.
func (b *batch) erase(key placeKey) error {
	more, err := b.eraseSome(key)
	if err != nil || !more {
		return err
	}
	if _, err := b.store.says.inserted(b.tx().ExecContext(b.ctx, "INSERT INTO erasures (conversation_id, seq) VALUES (?, ?)"+
		b.store.says.orNothing(""), key.conversationID, key.seq)); err != nil {
		return fmt.Errorf("note erasure: %w", err)
	}
	b.onCommit(func() { b.store.erasures.add(key) })
	return nil
}

// eraseMore goes on with an erasure.
func (b *batch) eraseMore(key placeKey) error {
	more, err := b.eraseSome(key)
	if err != nil || more {
		return err
	}
	if _, err := b.tx().ExecContext(b.ctx, "DELETE FROM erasures WHERE conversation_id = ? AND seq = ?",
		key.conversationID, key.seq); err != nil {
		return fmt.Errorf("end erasure: %w", err)
	}
	b.onCommit(func() { b.store.erasures.remove(key) })
	return nil
}

// eraseSome changes answers, of which devices learn as of any change, and reports whether there are more.
func (b *batch) eraseSome(key placeKey) (more bool, err error) {
	p, err := b.place(key.conversationID)
	if err != nil {
		return false, err
	}
	left := answersErased - b.erased // of many that are taken away in one commit, the last ones wait
	answers, err := b.store.readMessages(b.ctx, b.tx().StmtContext(b.ctx, b.store.batches.answers), key.conversationID,
		p.epoch, key.conversationID, key.seq, left+1)
	if err != nil {
		return false, err
	}
	if more = len(answers) > left; more {
		answers = answers[:left]
	}
	b.erased += len(answers)
	return more, b.overwriting(func() error {
		for _, m := range answers {
			unquote(m)
			if err := b.change(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// unquoteGone takes the words out of the quotes of messages that were read in the transaction, where they quote a message
// that was taken away.
func (b *batch) unquoteGone(messages []*chatv1.Message) error {
	for _, m := range messages {
		seq := quotedSeq(m)
		if seq == 0 {
			continue
		}
		var gone bool
		if err := b.tx().StmtContext(b.ctx, b.store.batches.gone).QueryRowContext(b.ctx, m.GetConversationId(), seq).
			Scan(&gone); err != nil {
			return fmt.Errorf("look after quote: %w", err)
		}
		if gone {
			unquote(m)
		}
	}
	return nil
}

// overwriting has what act changes overwritten in the file, all of it. At other times SQLite does so only where it writes
// anyhow, and long texts may lie outside of that. The log beside the file loses them as it is used again. Servers write over
// it when they clean up.
func (b *batch) overwriting(act func() error) error {
	if b.overwrites || !b.store.says.sqlite() {
		return act()
	}
	if _, err := b.tx().ExecContext(b.ctx, "PRAGMA secure_delete = ON"); err != nil {
		return fmt.Errorf("turn overwriting on: %w", err)
	}
	b.overwrites = true
	err := act()
	b.overwrites = false
	if _, off := b.tx().ExecContext(b.ctx, overwriteLittle); off != nil { // other changes shall not pay for it
		return errors.Join(err, fmt.Errorf("turn overwriting off: %w", off))
	}
	return err
}

// overwriteLittle has SQLite overwrite what is removed from a page that it writes, and leave alone what it would have to
// write for that only.
const overwriteLittle = "PRAGMA secure_delete = FAST"

// eraseRest goes on with erasures, one commit after the other among those of everybody else, until Close.
func (s *Service) eraseRest() {
	for {
		var pause <-chan time.Time
		wake := s.store.erasures.wake
		if key, ok := s.store.erasures.next(); ok {
			err := s.writer.changeMuch(context.Background(), eraseWeight, func(b *batch) error { return b.eraseMore(key) })
			if err == nil {
				continue
			}
			s.logger.LogAttrs(context.Background(), slog.LevelWarn, "quotes not erased yet",
				slog.String("conversation_id", key.conversationID), slog.String("cause", err.Error()))
			pause, wake = time.After(erasurePause), nil
		}
		select {
		case <-wake:
		case <-pause:
		case <-s.stop:
			return
		}
	}
}
