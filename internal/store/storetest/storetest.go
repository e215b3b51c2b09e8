// Package storetest opens real databases for tests and holds hand-written migrations to the ent schemas.
package storetest

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"ariga.io/atlas/sql/postgres"
	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect/sql/schema"

	"github.com/stoa-live/stoa/internal/store"
)

// Open opens a fresh database of service with all migrations, closed after the test.
func Open(t testing.TB, service string, migrations fs.FS) *store.DB {
	t.Helper()
	return OpenAt(t, URL(t), service, migrations)
}

// OpenAt is Open at a URL of the caller, for tests that open a database twice.
func OpenAt(t testing.TB, rawURL, service string, migrations fs.FS) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), rawURL, service, migrations, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Schema is the Schema field of a generated ent client.
type Schema interface {
	WriteTo(ctx context.Context, w io.Writer, opts ...schema.MigrateOption) error
}

// AssertMatches fails the test unless the migrated database behind an ent client has exactly the tables, columns and
// indexes that its ent schema declares: entSchema is client.Schema of a client on db.WriteDriver(). It prints the SQL
// that a next migration would have to contain.
func AssertMatches(t testing.TB, entSchema Schema) {
	t.Helper()
	if diff := Diff(t, entSchema); diff != "" {
		t.Errorf("the migrations do not lead to the ent schema; missing:\n%s", diff)
	}
}

// Diff returns the SQL that leads from the migrated database to the ent schema, "" when they agree.
func Diff(t testing.TB, entSchema Schema) string {
	t.Helper()
	var out strings.Builder
	if err := entSchema.WriteTo(t.Context(), &out, schema.WithDropColumn(true), schema.WithDropIndex(true),
		schema.WithDiffHook(alike)); err != nil {
		t.Fatalf("compare schemas: %v", err)
	}
	var diff []string
	for line := range strings.Lines(out.String()) {
		switch strings.TrimSpace(line) {
		case "", "BEGIN;", "COMMIT;", "PRAGMA foreign_keys = off;", "PRAGMA foreign_keys = on;":
		default:
			diff = append(diff, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(diff, "\n")
}

// alike takes differences away that are none: how texts are sorted is the migrations' and the port's to say, and PostgreSQL
// writes the condition of an index with parentheses of its own.
func alike(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		for _, s := range []*atlas.Schema{current, desired} {
			s.Attrs = withoutSorting(s.Attrs)
			for _, table := range s.Tables {
				table.Attrs = withoutSorting(table.Attrs)
				for _, column := range table.Columns {
					column.Attrs = withoutSorting(column.Attrs)
				}
				for _, index := range table.Indexes {
					for _, attr := range index.Attrs {
						if where, ok := attr.(*postgres.IndexPredicate); ok {
							where.P = strings.NewReplacer("(", "", ")", "").Replace(where.P)
						}
					}
				}
			}
		}
		return next.Diff(current, desired)
	})
}

func withoutSorting(attrs []atlas.Attr) []atlas.Attr {
	return slices.DeleteFunc(attrs, func(attr atlas.Attr) bool {
		switch attr.(type) {
		case *atlas.Charset, *atlas.Collation:
			return true
		}
		return false
	})
}
