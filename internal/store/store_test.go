package store_test

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

const first = `-- +goose Up
CREATE TABLE users (id varchar(64) NOT NULL PRIMARY KEY, name text NOT NULL);
`

func migrations(files ...string) fstest.MapFS { return storetest.Migrations(files...) }

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

func TestContract(t *testing.T) {
	for _, backend := range storetest.Backends {
		t.Run(backend, func(t *testing.T) { storetest.Contract(t, backend) })
	}
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
