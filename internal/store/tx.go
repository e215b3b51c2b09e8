package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// InTx runs act in a transaction of db and commits it. When act fails or panics, or ctx ends, nothing of it remains.
// act's own error is returned as it is; act must not use ctx-less calls and must not commit.
func InTx(ctx context.Context, db *sql.DB, act func(tx *sql.Tx) error) error {
	begin := func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, nil) }
	return WithTx(ctx, begin, act)
}

// Tx is what *sql.Tx and ent's generated *Tx have in common.
type Tx interface {
	Commit() error
	Rollback() error
}

// WithTx is InTx for anything that begins transactions, such as the Tx method of an ent client.
func WithTx[T Tx](ctx context.Context, begin func(context.Context) (T, error), act func(tx T) error) (err error) {
	tx, err := begin(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	done := false
	defer func() {
		if !done { // a panic in act: undo, and let it go on
			_ = tx.Rollback()
		}
	}()
	if err := act(tx); err != nil {
		done = true
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			return errors.Join(err, fmt.Errorf("roll back: %w", undo))
		}
		return err
	}
	done = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
