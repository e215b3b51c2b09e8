// Package store is the port to the database: it opens a service's own database, brings its schema up to date and hands
// out connections.
//
// The contract of every backend:
//
//   - A commit that returned without an error is on disk: it survives a crash of the process and of the machine.
//   - Each service has a database of its own. No other service opens it.
//   - Open applies the service's versioned migrations in order, each once. A database that a newer binary has migrated
//     is refused (ErrNewerSchema) and left as it is.
//   - Writes go through DB.Write, one at a time, also between processes; reads go through DB.Read and see every commit made
//     before they began.
//   - SQL that is written by hand has the placeholders ? or ?1 everywhere. Times are kept to the microsecond, in UTC.
//   - An error of a database that is away is told by IsUnavailable, and the connection is made anew by the next call.
//
// What must never happen here: a schema that grows by itself (no automatic migration from ent), and a backend that is
// chosen because another one failed.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"regexp"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/pressly/goose/v3"
)

// ErrNewerSchema is returned by Open when a newer binary has migrated the database.
var ErrNewerSchema = errors.New("the database was written by a newer version")

var servicePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// DB is a service's database. It is safe for concurrent use.
type DB struct {
	// Write is for changes and for reads that decide about one. It is a single connection whose transactions take the
	// service's lock when they begin, as do statements outside of one; whoever holds it makes all others wait, those of other
	// processes, too, so do no other work meanwhile.
	Write *sql.DB
	// Read is a pool for everything else. It refuses changes.
	Read *sql.DB

	dialect     string
	checkpoints *checkpointer // of SQLite
}

// Open opens the database of service at rawURL and migrates it with the files of migrations, which holds one folder a
// dialect: migrations/sqlite/0001_init.sql, or sqlite/0001_init.sql when the root is the folder itself.
//
//	sqlite:///abs/dir                              the file /abs/dir/<service>.db
//	sqlite:./rel/dir                               the same, relative to the working directory
//	postgres://user:password@host:port/db          the schema stoa_<service> of a database that is there
//	mysql://user:password@host:port/prefix         the database <prefix>_<service>
//
// PostgreSQL takes the options sslmode (disable, require, verify-ca, verify-full; require is the default), sslrootcert,
// sslcert and sslkey; MySQL and MariaDB take tls (true, skip-verify, false; false is the default).
//
// Errors, which never show a password: ErrNewerSchema; an unknown scheme or option, a folder that cannot be written, a server
// that cannot be reached, is too old or may lose a commit, a migration that fails.
func Open(ctx context.Context, rawURL, service string, migrations fs.FS, logger *slog.Logger) (*DB, error) {
	if !servicePattern.MatchString(service) {
		return nil, fmt.Errorf("open store: bad service name %q", service)
	}
	db, err := open(ctx, rawURL, service, migrations, logger.With(slog.String("service", service)))
	if err != nil {
		return nil, fmt.Errorf("open store of %s: %w", service, err)
	}
	return db, nil
}

func open(ctx context.Context, rawURL, service string, files fs.FS, logger *slog.Logger) (*DB, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the URL cannot be read; special characters of a password are written as %40 and the like")
	}
	backend, ok := map[string]struct {
		folder  string
		dialect goose.Dialect
		open    func(context.Context, *url.URL, string, migrations, *slog.Logger) (*DB, error)
	}{
		"sqlite":   {"sqlite", goose.DialectSQLite3, openSQLite},
		"postgres": {"postgres", goose.DialectPostgres, openPostgres},
		"mysql":    {"mysql", goose.DialectMySQL, openMySQL},
	}[u.Scheme]
	if !ok {
		// The URL is not shown: those of other databases hold passwords.
		return nil, fmt.Errorf("unknown scheme %q, want sqlite, postgres or mysql", u.Scheme)
	}
	to, err := migrationsOf(backend.folder, backend.dialect, files)
	if err != nil {
		return nil, err
	}
	return backend.open(ctx, u, service, to, logger)
}

// Dialect is ent's name of the database: "sqlite3", "postgres" or "mysql".
func (db *DB) Dialect() string { return db.dialect }

// WriteDriver is Write for an ent client.
func (db *DB) WriteDriver() *entsql.Driver { return entsql.OpenDB(db.dialect, db.Write) }

// ReadDriver is Read for an ent client.
func (db *DB) ReadDriver() *entsql.Driver { return entsql.OpenDB(db.dialect, db.Read) }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.Read.PingContext(ctx); err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Close closes every connection, after those in use are given back.
func (db *DB) Close() error {
	var first error
	if db.checkpoints != nil {
		first = db.checkpoints.close()
	}
	if err := errors.Join(first, db.Read.Close(), db.Write.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
