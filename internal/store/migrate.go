package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"entgo.io/ent/dialect"
	"github.com/pressly/goose/v3"
)

// migrate brings the schema to the newest version that files knows.
func migrate(ctx context.Context, db *DB, files fs.FS, logger *slog.Logger) error {
	folder, gooseDialect, err := migrationsOf(db.dialect, files)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(gooseDialect, db.Write, folder,
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
			return fmt.Errorf("migrate schema to version %d: %w", partial.Failed.Source.Version, partial.Err)
		}
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}

// migrationsOf finds the folder of a dialect in a service's files, which embed either "migrations" or what is in it.
func migrationsOf(name string, files fs.FS) (fs.FS, goose.Dialect, error) {
	var folder string
	var of goose.Dialect
	switch name {
	case dialect.SQLite:
		folder, of = "sqlite", goose.DialectSQLite3
	default:
		return nil, "", fmt.Errorf("no migrations for dialect %q", name)
	}
	for _, path := range []string{"migrations/" + folder, folder} {
		if info, err := fs.Stat(files, path); err == nil && info.IsDir() {
			sub, err := fs.Sub(files, path)
			if err != nil {
				return nil, "", fmt.Errorf("read migrations: %w", err)
			}
			return sub, of, nil
		}
	}
	return nil, "", fmt.Errorf("no folder migrations/%s among the service's files", folder)
}
