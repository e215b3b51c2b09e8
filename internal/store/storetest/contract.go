package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	"github.com/stoa-live/stoa/internal/store"
)

const (
	firstMigration = `-- +goose Up
CREATE TABLE users (id varchar(64) NOT NULL PRIMARY KEY, name varchar(64) NOT NULL);
CREATE UNIQUE INDEX user_name ON users (name);
`
	secondMigration = `-- +goose Up
CREATE TABLE devices (id varchar(64) NOT NULL PRIMARY KEY, user_id varchar(64) NOT NULL REFERENCES users (id));
`
)

// Migrations are files that say the same to every database.
func Migrations(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i, content := range files {
		for _, folder := range []string{"sqlite", "postgres", "mysql"} {
			out[fmt.Sprintf("migrations/%s/%04d_step.sql", folder, i+1)] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return out
}

// Contract holds a backend to what package store promises of all of them.
func Contract(t *testing.T, backend string) {
	for name, test := range map[string]func(*testing.T, *contract){
		"readers see commits":            readersSeeCommits,
		"transactions":                   transactions,
		"statements alone":               statementsAlone,
		"unique":                         unique,
		"writers take turns":             writersTakeTurns,
		"a writer holds up the others":   aWriterHoldsUpOthers,
		"reading does not write":         readingDoesNotWrite,
		"migrations run once each":       migrationsRunOnce,
		"two start at once":              twoStartAtOnce,
		"newer schema":                   newerSchema,
		"failed migration":               failedMigration,
		"services apart":                 servicesApart,
		"values":                         values,
		"texts compare by their bytes":   textsCompareByBytes,
		"ent":                            entDrivers,
		"drift from the schema is found": drift,
	} {
		t.Run(name, func(t *testing.T) { test(t, &contract{t: t, backend: backend, url: URLOf(t, backend)}) })
	}
}

type contract struct {
	t            *testing.T
	backend, url string
}

func (c *contract) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *contract) open(files ...string) *store.DB {
	c.t.Helper()
	if len(files) == 0 {
		files = []string{firstMigration}
	}
	return OpenAt(c.t, c.url, "auth", Migrations(files...))
}

// opens is open for one that is closed at once, or cannot be opened.
func (c *contract) opens(files ...string) error {
	c.t.Helper()
	return With(c.t, c.url, "auth", Migrations(files...), func(*sql.DB) error { return nil })
}

func (c *contract) exec(db *sql.DB, query string, args ...any) {
	c.t.Helper()
	_, err := db.ExecContext(c.t.Context(), query, args...)
	c.must(err)
}

func (c *contract) count(db *sql.DB) (n int) {
	c.t.Helper()
	c.must(db.QueryRowContext(c.t.Context(), "SELECT count(*) FROM users").Scan(&n))
	return n
}

const addUser = "INSERT INTO users (id, name) VALUES (?, ?)"

func readersSeeCommits(t *testing.T, c *contract) {
	db, other := c.open(), c.open()
	c.exec(db.Write, addUser, "1", "a")
	if n := c.count(db.Read); n != 1 {
		t.Errorf("read %d users after the commit", n)
	}
	c.must(store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), addUser, "2", "b"); err != nil {
			return err
		}
		if n := c.count(db.Read); n != 1 {
			t.Errorf("read %d users during the transaction", n)
		}
		return nil
	}))
	for _, reader := range []*store.DB{db, other} {
		if n := c.count(reader.Read); n != 2 {
			t.Errorf("read %d users after the transaction", n)
		}
		c.must(reader.Ping(t.Context()))
	}
	if n := db.Write.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d write connections", n)
	}
}

func transactions(t *testing.T, c *contract) {
	db := c.open()
	insert := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), addUser, "1", "a")
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
			c.must(insert(tx))
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
	if n := c.count(db.Read); n != 0 {
		t.Errorf("%d rows remain of what failed", n)
	}
	// Part of a transaction is undone.
	c.must(store.InTx(t.Context(), db.Write, func(tx *sql.Tx) error {
		for _, query := range []string{
			"SAVEPOINT attempt", "INSERT INTO users (id, name) VALUES ('2', 'b')", "ROLLBACK TO attempt", "RELEASE SAVEPOINT attempt",
		} {
			if _, err := tx.ExecContext(t.Context(), query); err != nil {
				return err
			}
		}
		return insert(tx)
	}))
	if n := c.count(db.Read); n != 1 {
		t.Errorf("%d rows are stored", n)
	}
}

// statementsAlone: what is outside of a transaction is stored, whole or not at all.
func statementsAlone(t *testing.T, c *contract) {
	db := c.open()
	statement, err := db.Write.PrepareContext(t.Context(), "INSERT INTO users (name, id) VALUES (?2, ?1)")
	c.must(err)
	defer statement.Close() //nolint:errcheck // with the database
	for i := range 3 {
		_, err := statement.ExecContext(t.Context(), fmt.Sprint(i), fmt.Sprint("name-", i))
		c.must(err)
	}
	if _, err := db.Write.ExecContext(t.Context(), "INSERT INTO users (id, name) VALUES ('8', 'x'), ('9', 'x')"); !store.IsUnique(err) {
		t.Errorf("a double name: %v", err)
	}
	var name string
	c.must(db.Write.QueryRowContext(t.Context(), "SELECT name FROM users WHERE id = ? -- ? is no argument here\n AND name <> '?'", "1").Scan(&name))
	if n := c.count(db.Read); name != "name-1" || n != 3 {
		t.Errorf("read %q of %d", name, n)
	}
	rows, err := Rows(t.Context(), db.Write, "SELECT id FROM users ORDER BY id")
	if err != nil || fmt.Sprint(rows) != "[[0] [1] [2]]" {
		t.Errorf("read %v, %v", rows, err)
	}
	if rows, err := db.Write.QueryContext(t.Context(), "SELECT nothing FROM users"); err == nil {
		t.Error("read what is not there", rows.Close(), rows.Err())
	}
	c.exec(db.Write, "DELETE FROM users")
	if n := c.count(db.Read); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func unique(t *testing.T, c *contract) {
	db := c.open()
	c.exec(db.Write, addUser, "1", "a")
	for what, args := range map[string][]any{"key": {"1", "b"}, "name": {"2", "a"}} {
		_, err := db.Write.ExecContext(t.Context(), addUser, args...)
		if !store.IsUnique(fmt.Errorf("add user: %w", err)) || store.IsUnavailable(err) {
			t.Errorf("a double %s: %v", what, err)
		}
	}
	_, other := db.Write.ExecContext(t.Context(), "INSERT INTO users (id, name) VALUES ('3', NULL)")
	if other == nil || store.IsUnique(other) || store.IsUnique(io.EOF) || store.IsUnique(nil) || store.IsUnavailable(nil) {
		t.Errorf("another fault: %v", other)
	}
}

// writersTakeTurns: what a transaction reads is true until its commit, whoever else writes.
func writersTakeTurns(t *testing.T, c *contract) {
	first, second := c.open(), c.open()
	c.exec(first.Write, addUser, "n", "0")
	var all sync.WaitGroup
	for i := range 8 {
		db := []*store.DB{first, second}[i%2]
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
	if err := first.Read.QueryRowContext(t.Context(), "SELECT name FROM users").Scan(&n); err != nil || n != "40" {
		t.Errorf("counted %s of 40, %v", n, err)
	}
}

// aWriterHoldsUpOthers, in transactions and outside of them, until it ends or they give up.
func aWriterHoldsUpOthers(t *testing.T, c *contract) {
	first, second := c.open(), c.open()
	hold, err := first.Write.BeginTx(t.Context(), nil)
	c.must(err)
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := store.InTx(impatient, second.Write, func(*sql.Tx) error { return nil }); err == nil {
		t.Error("a second writer wrote")
	}
	done := make(chan error, 1)
	go func() {
		_, err := second.Write.ExecContext(context.WithoutCancel(t.Context()), addUser, "1", "a")
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("a second writer wrote: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if n := c.count(second.Read); n != 0 {
		t.Errorf("read %d", n)
	}
	_, err = hold.ExecContext(t.Context(), addUser, "2", "b")
	c.must(errors.Join(err, hold.Commit(), <-done))
	if n := c.count(first.Read); n != 2 {
		t.Errorf("read %d, want both", n)
	}
}

func readingDoesNotWrite(t *testing.T, c *contract) {
	db := c.open()
	if _, err := db.Read.ExecContext(t.Context(), addUser, "1", "a"); err == nil {
		t.Error("the read pool wrote")
	}
	if err := store.InTx(t.Context(), db.Read, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), addUser, "1", "a")
		return err
	}); err == nil {
		t.Error("the read pool wrote in a transaction")
	}
	if n := c.count(db.Read); n != 0 {
		t.Errorf("%d rows are stored", n)
	}
}

func migrationsRunOnce(t *testing.T, c *contract) {
	for _, files := range [][]string{{firstMigration}, {firstMigration}, {firstMigration, secondMigration}, {firstMigration, secondMigration}} {
		c.must(With(t, c.url, "auth", Migrations(files...), func(db *sql.DB) error {
			if len(files) < 2 {
				return nil
			}
			n := c.count(db)
			_, err := db.ExecContext(t.Context(), addUser, fmt.Sprint(n), fmt.Sprint(n))
			return err
		}))
	}
	if n := c.count(c.open(firstMigration, secondMigration).Read); n != 2 {
		t.Errorf("%d rows survived, want 2", n)
	}
}

func twoStartAtOnce(t *testing.T, c *contract) {
	if c.backend == SQLite {
		t.Skip("SQLite's file belongs to one process")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := c.opens(firstMigration, secondMigration); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var steps int
	c.must(c.open(firstMigration, secondMigration).Read.QueryRowContext(t.Context(),
		"SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&steps))
	if steps != 2 {
		t.Errorf("%d steps were taken, want 2", steps)
	}
}

func newerSchema(t *testing.T, c *contract) {
	c.must(c.opens(firstMigration, secondMigration))
	err := c.opens(firstMigration)
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
	c.must(c.opens(firstMigration, secondMigration)) // untouched
}

// failedMigration leaves nothing, where a database can undo it; where it cannot, the next start repeats it.
func failedMigration(t *testing.T, c *contract) {
	const half = "-- +goose Up\nCREATE TABLE IF NOT EXISTS half (id varchar(64));\n"
	err := c.opens(firstMigration, half+"CREATE NONSENSE;\n")
	if err == nil || !strings.Contains(err.Error(), "migrate schema to version 2") {
		t.Fatalf("got %v", err)
	}
	left := func() bool {
		_, err := Rows(t.Context(), c.open().Read, "SELECT id FROM half")
		return err == nil
	}
	if c.backend == MariaDB {
		if !left() || !strings.Contains(err.Error(), "can be repeated") {
			t.Errorf("got %v", err)
		}
	} else if left() {
		t.Error("half a migration remains")
	}
	c.must(c.opens(firstMigration, half))
	if err := c.opens(firstMigration); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("got %v", err)
	}
}

func servicesApart(t *testing.T, c *contract) {
	auth, live := c.open(), OpenAt(t, c.url, "live", Migrations(firstMigration, secondMigration))
	c.exec(auth.Write, addUser, "1", "a")
	if n := c.count(live.Read); n != 0 {
		t.Errorf("live sees %d users of auth", n)
	}
	tx, err := auth.Write.BeginTx(t.Context(), nil)
	c.must(err)
	c.exec(live.Write, addUser, "1", "a") // does not wait for auth
	c.must(tx.Rollback())
}

// values come back as they were.
func values(t *testing.T, c *contract) {
	blob, precise := "blob", "datetime"
	switch c.backend {
	case Postgres:
		blob, precise = "bytea", "timestamp with time zone"
	case MariaDB:
		blob, precise = "longblob", "datetime(6)"
	}
	db := c.open("-- +goose Up\nCREATE TABLE things (id varchar(64) PRIMARY KEY, big bigint, yes boolean, raw " + blob + " NULL, at " + precise + " NULL);\n")
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_012_345, time.FixedZone("there", 3600))
	raw := []byte("\x00\xff'\"\\?")
	const text = "a'b\"c`d\\e?f\n😀 $1 %s "
	c.exec(db.Write, "INSERT INTO things (id, big, yes, raw, at) VALUES (?, ?, ?, ?, ?)", text, int64(-1<<63), true, raw, at)
	c.exec(db.Write, "INSERT INTO things (id, big, yes, raw, at) VALUES (?, ?, ?, ?, ?)", "", int64(1<<63-1), false, nil, nil)
	for _, pool := range []*sql.DB{db.Read, db.Write} {
		var id string
		var big int64
		var yes bool
		var gotRaw []byte
		var gotAt sql.NullTime
		c.must(pool.QueryRowContext(t.Context(), "SELECT * FROM things WHERE id = ? AND yes AND at <= ?", text, at).Scan(&id, &big, &yes, &gotRaw, &gotAt))
		if id != text || big != -1<<63 || !yes || string(gotRaw) != string(raw) ||
			!gotAt.Time.Truncate(time.Microsecond).Equal(at.Truncate(time.Microsecond)) || gotAt.Time.Location() != time.UTC && c.backend != SQLite {
			t.Errorf("got %q %d %v %q %v", id, big, yes, gotRaw, gotAt)
		}
		c.must(pool.QueryRowContext(t.Context(), "SELECT * FROM things WHERE id = ''").Scan(&id, &big, &yes, &gotRaw, &gotAt))
		if id != "" || big != 1<<63-1 || yes || gotRaw != nil || gotAt.Valid {
			t.Errorf("got %q %d %v %q %v", id, big, yes, gotRaw, gotAt)
		}
	}
	res, err := db.Write.ExecContext(t.Context(), "UPDATE things SET yes = yes")
	c.must(err)
	if n, err := res.RowsAffected(); n != 2 || err != nil {
		t.Errorf("an update that changes nothing finds %d rows, %v", n, err)
	}
}

// textsCompareByBytes: neither capitals nor accents nor spaces at the end are the same.
func textsCompareByBytes(t *testing.T, c *contract) {
	column := ""
	if c.backend == Postgres {
		column = ` COLLATE "C"` // as migrations for it say
	}
	db := c.open("-- +goose Up\nCREATE TABLE texts (id varchar(64)" + column + " NOT NULL PRIMARY KEY);\n")
	want := []string{"", "A", "B", "a", "a ", "a_", "b", "à", "一", "😀"}
	for i := range want {
		c.exec(db.Write, "INSERT INTO texts (id) VALUES (?)", want[(i*7)%len(want)])
	}
	rows, err := Rows(t.Context(), db.Read, "SELECT id FROM texts ORDER BY id")
	c.must(err)
	var got []string
	for _, row := range rows {
		got = append(got, fmt.Sprint(row...))
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("their order is %q", got)
	}
}

func entDrivers(t *testing.T, c *contract) {
	db := c.open()
	query := "INSERT INTO users VALUES (?, ?)"
	if err := db.WriteDriver().Exec(t.Context(), query, []any{"1", "a"}, nil); err != nil {
		t.Fatal(err)
	}
	var rows entsql.Rows
	if err := db.ReadDriver().Query(t.Context(), "SELECT name FROM users", []any{}, &rows); err != nil {
		t.Fatal(err)
	}
	name, err := entsql.ScanString(rows)
	if want := map[string]string{SQLite: "sqlite3", Postgres: "postgres", MariaDB: "mysql"}[c.backend]; err != nil || name != "a" || db.Dialect() != want {
		t.Errorf("got %q, %v, on %s", name, err, db.Dialect())
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

func drift(t *testing.T, c *contract) {
	text := map[string]string{"mysql": "varchar(64)", "postgres": "varchar(64)", "sqlite3": "varchar(64)"}
	id := &schema.Column{Name: "id", Type: field.TypeString, Unique: true, SchemaType: text}
	name := &schema.Column{Name: "name", Type: field.TypeString, SchemaType: text}
	users := func(columns ...*schema.Column) *schema.Table {
		table := &schema.Table{Name: "users", Columns: columns, PrimaryKey: []*schema.Column{id}}
		table.Indexes = []*schema.Index{{Name: "user_name", Unique: true, Columns: []*schema.Column{name}}}
		return table
	}
	db := c.open()
	AssertMatches(t, tables{db, []*schema.Table{users(id, name)}})

	more := users(id, name, &schema.Column{Name: "age", Type: field.TypeInt64})
	if diff := Diff(t, tables{db, []*schema.Table{more}}); !strings.Contains(diff, "age") {
		t.Errorf("a missing column: %q", diff)
	}
	less := users(id, name)
	less.Indexes = nil
	if diff := Diff(t, tables{db, []*schema.Table{less}}); !strings.Contains(diff, "DROP INDEX") {
		t.Errorf("an index too many: %q", diff)
	}
	other := users(id, &schema.Column{Name: "name", Type: field.TypeInt64})
	if diff := Diff(t, tables{db, []*schema.Table{other}}); diff == "" {
		t.Error("a column of another type went unnoticed")
	}
	if n := c.count(db.Read); n != 0 {
		t.Error("comparing changed something")
	}
}
