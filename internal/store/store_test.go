package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

const (
	first = `-- +goose Up
CREATE TABLE users (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
CREATE UNIQUE INDEX user_name ON users (name);
`
	second = `-- +goose Up
CREATE TABLE devices (id TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id));
`
)

func migrations(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i, content := range files {
		out[fmt.Sprintf("migrations/sqlite/%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func pragma(t *testing.T, db *sql.DB, name string) string {
	t.Helper()
	var value string
	if err := db.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM users").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConnectionsAreSetUpForDurability(t *testing.T) {
	db := storetest.Open(t, "auth", migrations(first))
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2" /* FULL: fsync before COMMIT returns */, "foreign_keys": "1",
		"busy_timeout": "5000", "query_only": "0",
	} {
		if got := pragma(t, db.Write, name); got != want {
			t.Errorf("write connection: %s = %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "query_only": "1"} {
		if got := pragma(t, db.Read, name); got != want {
			t.Errorf("read connection: %s = %s, want %s", name, got, want)
		}
	}
	if n := db.Write.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d write connections", n)
	}
	if _, err := db.Read.ExecContext(t.Context(), "INSERT INTO users VALUES ('1', 'a')"); err == nil {
		t.Error("the read pool wrote")
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadersSeeCommitsAndDoNotWait(t *testing.T) {
	db := storetest.Open(t, "auth", migrations(first))
	exec(t, db.Write, "INSERT INTO users VALUES ('1', 'a')")
	if n := count(t, db.Read); n != 1 {
		t.Errorf("read %d users after the commit", n)
	}
	err := store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO users VALUES ('2', 'b')"); err != nil {
			return err
		}
		if n := count(t, db.Read); n != 1 {
			t.Errorf("read %d users during the transaction", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db.Read); n != 2 {
		t.Errorf("read %d users after the transaction", n)
	}
}

func TestInTx(t *testing.T) {
	db := storetest.Open(t, "auth", migrations(first))
	insert := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO users VALUES ('1', 'a')")
		return err
	}
	if err := store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
		return errors.Join(insert(tx), io.ErrUnexpectedEOF)
	}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
			if err := insert(tx); err != nil {
				t.Error(err)
			}
			panic("oh no")
		})
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := store.InTx(ctx, db.Write, func(tx *sql.Tx) error {
		err := insert(tx)
		cancel()
		return err
	}); err == nil {
		t.Error("a commit after the context's end succeeded")
	}
	if n := count(t, db.Read); n != 0 {
		t.Errorf("%d rows remain of what failed", n)
	}
	if err := store.InTx(t.Context(), db.Write, insert); err != nil {
		t.Fatal(err)
	}
	err := store.InTx(t.Context(), db.Write, insert)
	if !store.IsUnique(err) || store.IsUnique(io.EOF) || store.IsUnique(nil) {
		t.Errorf("a double row: %v", err)
	}
	exec(t, db.Write, "INSERT INTO users VALUES ('2', 'b')")
	_, err = db.Write.ExecContext(t.Context(), "INSERT INTO users VALUES ('3', 'b')")
	if !store.IsUnique(fmt.Errorf("add user: %w", err)) {
		t.Errorf("a double name: %v", err)
	}
}

func TestConcurrentWritersTakeTurns(t *testing.T) {
	db := storetest.Open(t, "auth", migrations(first))
	exec(t, db.Write, "INSERT INTO users VALUES ('n', '0')")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
					var n int
					if err := tx.QueryRowContext(t.Context(), "SELECT name FROM users WHERE id = 'n'").Scan(&n); err != nil {
						return err
					}
					_, err := tx.ExecContext(t.Context(), "UPDATE users SET name = ? WHERE id = 'n'", fmt.Sprint(n+1))
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var n string
	if err := db.Read.QueryRowContext(t.Context(), "SELECT name FROM users").Scan(&n); err != nil || n != "40" {
		t.Errorf("counted %s of 40, %v", n, err)
	}
}

func TestMigrationsRunOnceEach(t *testing.T) {
	url := storetest.URL(t)
	for _, files := range [][]string{{first}, {first}, {first, second}, {first, second}} {
		db, err := store.Open(t.Context(), url, "auth", migrations(files...), discard())
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 2 {
			exec(t, db.Write, "INSERT INTO users SELECT count(*), count(*) FROM users")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := storetest.OpenAt(t, url, "auth", migrations(first, second))
	if n := count(t, db.Read); n != 2 {
		t.Errorf("%d rows survived, want 2", n)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	url := storetest.URL(t)
	db, err := store.Open(t.Context(), url, "auth", migrations(first, second), discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), url, "auth", migrations(first), discard())
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
	storetest.OpenAt(t, url, "auth", migrations(first, second)) // untouched
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	url := storetest.URL(t)
	bad := "-- +goose Up\nCREATE TABLE half (id TEXT);\nCREATE NONSENSE;\n"
	_, err := store.Open(t.Context(), url, "auth", migrations(first, bad), discard())
	if err == nil || !strings.Contains(err.Error(), "migrate schema to version 2") {
		t.Fatalf("got %v", err)
	}
	db := storetest.OpenAt(t, url, "auth", migrations(first))
	var n int
	if err := db.Read.QueryRowContext(t.Context(),
		"SELECT count(*) FROM sqlite_master WHERE name = 'half'").Scan(&n); err != nil || n != 0 {
		t.Errorf("half a migration remains: %d, %v", n, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, service, want string }{
		{"oracle://u:hunter2@h/db", "auth", `unknown scheme "oracle"`},
		{"", "auth", `unknown scheme ""`},
		{"sqlite:", "auth", "names no folder"},
		{"sqlite://data", "auth", "want sqlite:///abs/dir"},
		{"sqlite:///tmp?mode=memory", "auth", "takes no options"},
		{"sqlite://" + file, "auth", "make data folder"},
		{storetest.URL(t), "../auth", "bad service name"},
		{storetest.URL(t), "", "bad service name"},
	} {
		_, err := store.Open(t.Context(), c.url, c.service, migrations(first), discard())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q, %q): %v, want %q", c.url, c.service, err, c.want)
		}
	}
	if _, err := store.Open(t.Context(), storetest.URL(t), "auth", fstest.MapFS{}, discard()); err == nil ||
		!strings.Contains(err.Error(), "migrations/sqlite") {
		t.Errorf("without migrations: %v", err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, service := range []string{"auth", "live"} {
		db := storetest.OpenAt(t, "sqlite:./da%20ta/deep", service, migrations(first))
		exec(t, db.Write, "INSERT INTO users VALUES ('1', 'a')") // the -wal file is there now
	}
	info, err := os.Stat("da ta/deep")
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("folder: %v, %v", info, err)
	}
	files, err := os.ReadDir("da ta/deep")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// tables stands for the Schema field of a generated ent client.
type tables struct {
	db     *store.DB
	tables []*schema.Table
}

func (s tables) WriteTo(ctx context.Context, w io.Writer, opts ...schema.MigrateOption) error {
	migrate, err := schema.NewMigrate(&schema.WriteDriver{Writer: w, Driver: s.db.WriteDriver()}, opts...)
	if err != nil {
		return err
	}
	return migrate.Create(ctx, s.tables...)
}

func TestDriftFromTheEntSchemaIsFound(t *testing.T) {
	id := &schema.Column{Name: "id", Type: field.TypeString, Unique: true}
	name := &schema.Column{Name: "name", Type: field.TypeString}
	users := func(columns ...*schema.Column) *schema.Table {
		table := &schema.Table{Name: "users", Columns: columns, PrimaryKey: []*schema.Column{id}}
		table.Indexes = []*schema.Index{{Name: "user_name", Unique: true, Columns: []*schema.Column{name}}}
		return table
	}
	db := storetest.Open(t, "auth", migrations(first))
	storetest.AssertMatches(t, tables{db, []*schema.Table{users(id, name)}})

	more := users(id, name, &schema.Column{Name: "age", Type: field.TypeInt64})
	if diff := storetest.Diff(t, tables{db, []*schema.Table{more}}); !strings.Contains(diff, "age") {
		t.Errorf("a missing column: %q", diff)
	}
	less := users(id, name)
	less.Indexes = nil
	if diff := storetest.Diff(t, tables{db, []*schema.Table{less}}); !strings.Contains(diff, "DROP INDEX") {
		t.Errorf("an index too many: %q", diff)
	}
	other := users(id, &schema.Column{Name: "name", Type: field.TypeInt64})
	if diff := storetest.Diff(t, tables{db, []*schema.Table{other}}); diff == "" {
		t.Error("a column of another type went unnoticed")
	}
	if n := count(t, db.Read); n != 0 {
		t.Error("comparing changed something")
	}
}

func TestEntDrivers(t *testing.T) {
	db := storetest.Open(t, "auth", migrations(first))
	if err := db.WriteDriver().Exec(t.Context(), "INSERT INTO users VALUES (?, ?)", []any{"1", "a"}, nil); err != nil {
		t.Fatal(err)
	}
	var rows entsql.Rows
	if err := db.ReadDriver().Query(t.Context(), "SELECT name FROM users", []any{}, &rows); err != nil {
		t.Fatal(err)
	}
	name, err := entsql.ScanString(rows)
	if err != nil || name != "a" || db.Dialect() != "sqlite3" {
		t.Errorf("got %q, %v", name, err)
	}
}
