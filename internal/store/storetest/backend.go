package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // drivers of database/sql
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/store"
)

// Variable is the environment variable that names the backend of tests: sqlite, which is the default, postgres or mariadb.
const Variable = "STOA_TEST_STORE"

// Backends are the names of all of them.
var Backends = []string{SQLite, Postgres, MariaDB}

// Names of backends.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MariaDB  = "mariadb"
)

// Backend is the one that tests run on.
func Backend() string {
	if name := os.Getenv(Variable); name != "" {
		return name
	}
	return SQLite
}

// OnlySQLite skips a test of SQLite's own files on another backend; why says what it looks at.
func OnlySQLite(t testing.TB, why string) {
	t.Helper()
	if name := Backend(); name != SQLite {
		t.Skipf("not on %s: %s", name, why)
	}
}

// Folder is the folder of migrations of the backend: "sqlite", "postgres" or "mysql".
func Folder() string {
	if name := Backend(); name != MariaDB {
		return name
	}
	return "mysql"
}

// URL returns the URL of an empty store that is removed after the test.
func URL(t testing.TB) string {
	t.Helper()
	return URLOf(t, Backend())
}

// URLOf is URL of one backend; the test is skipped where there is none.
func URLOf(t testing.TB, backend string) string {
	t.Helper()
	switch backend {
	case SQLite:
		return (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(t.TempDir())}).String()
	case Postgres:
		return postgresURL(t)
	case MariaDB:
		return mariadbURL(t)
	}
	t.Fatalf("%s: there is no backend %q, want one of %s", Variable, backend, strings.Join(Backends, ", "))
	return ""
}

// postgresURL makes a database of its own.
func postgresURL(t testing.TB) string {
	t.Helper()
	u := parse(t, partstest.URL(t, "postgres"))
	name := "test_" + strings.ToLower(rand.Text()[:16])
	server := connect(t, "pgx", u.String())
	exec(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { exec(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

// mariadbURL makes up a prefix of its own.
func mariadbURL(t testing.TB) string {
	t.Helper()
	u := parse(t, partstest.URL(t, "mariadb"))
	password, _ := u.User.Password()
	server := connect(t, "mysql", fmt.Sprintf("%s:%s@tcp(%s)/", u.User.Username(), password, u.Host))
	prefix := "test_" + strings.ToLower(rand.Text()[:16])
	t.Cleanup(func() {
		rows, err := server.Query("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?", prefix+"%") //nolint:noctx // the test's has ended
		if err != nil {
			t.Error(err)
			return
		}
		var names []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Error(err)
			}
			names = append(names, name)
		}
		if err := rows.Err(); err != nil {
			t.Error(err)
		}
		for _, name := range names {
			exec(t, server, "DROP DATABASE "+name)
		}
	})
	u.Path = "/" + prefix
	return u.String()
}

func parse(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func connect(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
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

func exec(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.Exec(query); err != nil { //nolint:noctx // the test's has ended in a cleanup
		t.Errorf("%s: %v", query, err)
	}
}

// Behind opens the database of service behind the back of the service that has it open, and returns what writes: a
// transaction of it keeps the service from writing, as another process would.
func Behind(t testing.TB, rawURL, service string, migrations fs.FS) *sql.DB {
	t.Helper()
	return OpenAt(t, rawURL, service, migrations).Write
}

// With is Behind for one act, after which no connection is left.
func With(t testing.TB, rawURL, service string, migrations fs.FS, act func(db *sql.DB) error) error {
	t.Helper()
	db, err := store.Open(t.Context(), rawURL, service, migrations, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(act(db.Write), db.Close())
}

// Contents is everything that a service wrote: SQLite's files as they are, and what stands in the tables of a server.
func Contents(t testing.TB, rawURL, service string, migrations fs.FS) []byte {
	t.Helper()
	if u := parse(t, rawURL); u.Scheme == SQLite {
		files, err := filepath.Glob(filepath.Join(u.Path, service+".db*"))
		if err != nil || len(files) == 0 {
			t.Fatal("no database files", err)
		}
		var all []byte
		for _, file := range files {
			content, err := os.ReadFile(file) //nolint:gosec // of the test
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, content...)
		}
		return all
	}
	var all bytes.Buffer
	if err := With(t, rawURL, service, migrations, func(db *sql.DB) error {
		tables, err := Rows(t.Context(), db, "SELECT table_name FROM information_schema.tables WHERE table_schema = "+
			map[bool]string{true: "current_schema()", false: "database()"}[strings.HasPrefix(rawURL, "postgres:")])
		if err != nil {
			return err
		}
		for _, table := range tables {
			rows, err := Rows(t.Context(), db, fmt.Sprintf("SELECT * FROM %s", table[0])) //nolint:gosec // names of ours
			if err != nil {
				return err
			}
			for _, row := range rows {
				for _, value := range row {
					fmt.Fprintln(&all, value)
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// Rows returns all rows of a query; texts are strings.
func Rows(ctx context.Context, db *sql.DB, query string, args ...any) (all [][]any, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		for i, value := range row {
			if b, ok := value.([]byte); ok {
				row[i] = string(b)
			}
		}
		all = append(all, row)
	}
	return all, nil
}
