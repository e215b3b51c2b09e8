package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

// migrations are the files of a service for one dialect.
type migrations struct {
	folder  fs.FS
	dialect goose.Dialect
}

// apply brings the schema to the newest version that the files know.
func (m migrations) apply(ctx context.Context, db *DB, logger *slog.Logger) error {
	provider, err := goose.NewProvider(m.dialect, db.Write, m.folder,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w: its schema is at version %d and this binary knows %d; run the newer binary",
			ErrNewerSchema, have, want)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		logger.LogAttrs(ctx, slog.LevelInfo, "schema migrated", slog.Int64("version", r.Source.Version),
			slog.Duration("took", r.Duration.Round(time.Millisecond)))
	}
	if err != nil {
		if partial, ok := errors.AsType[*goose.PartialError](err); ok && partial.Failed != nil {
			return fmt.Errorf("migrate schema to version %d: %w%s", partial.Failed.Source.Version, partial.Err, m.leftOver())
		}
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}

// leftOver says what a migration that failed leaves.
func (m migrations) leftOver() string {
	if m.dialect != goose.DialectMySQL {
		return "" // nothing
	}
	return " (MySQL cannot undo what of it was done; it can be repeated, and is at the next start)"
}

// migrationsOf finds the folder of a dialect in a service's files, which embed either "migrations" or what is in it.
func migrationsOf(folder string, of goose.Dialect, files fs.FS) (migrations, error) {
	for _, path := range []string{"migrations/" + folder, folder} {
		if info, err := fs.Stat(files, path); err == nil && info.IsDir() {
			sub, err := fs.Sub(files, path)
			if err != nil {
				return migrations{}, fmt.Errorf("read migrations: %w", err)
			}
			return migrations{folder: sub, dialect: of}, nil
		}
	}
	return migrations{}, fmt.Errorf("no folder migrations/%s among the service's files", folder)
}
