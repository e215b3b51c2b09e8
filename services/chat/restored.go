package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stoa-live/stoa/internal/service"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// leap is how far the number of the next commit lies beyond that of a backup: more than any store has come since.
const leap = 1 << 32

// Restored gives all conversations of a store a new epoch, after a backup took its place and before a service opens it.
// Devices may know more than the backup, and a store that has come past what they know could not tell. It returns how many
// conversations there are.
func Restored(ctx context.Context, deps service.Deps) (conversations int64, err error) {
	db, err := sqlstore.Open(ctx, deps.StoreURL, "chat", migrations, deps.Logger)
	if err != nil {
		return 0, err
	}
	err = sqlstore.InTx(ctx, db.Write, func(tx *sql.Tx) error {
		says := sqlDialect(db.Dialect())
		take, err := tx.PrepareContext(ctx, says.takeNumber())
		if err != nil {
			return fmt.Errorf("take commit number: %w", err)
		}
		defer take.Close() //nolint:errcheck // it ends with the transaction
		number, err := says.number(ctx, take, leap)
		if err != nil {
			return fmt.Errorf("take commit number: %w", err)
		}
		done, err := tx.ExecContext(ctx, "UPDATE conversations SET epoch = epoch + 1, version = ?", number)
		if err != nil {
			return fmt.Errorf("give new epochs: %w", err)
		}
		conversations, err = done.RowsAffected()
		return err
	})
	return conversations, errors.Join(err, db.Close())
}
