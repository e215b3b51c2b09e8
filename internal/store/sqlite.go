package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"entgo.io/ent/dialect"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// busyTimeout is how long a connection waits for a lock of another process, in milliseconds. Within the process nobody
// waits: there is one writer, and WAL readers need no lock.
const busyTimeout = "5000"

// writerCache is the page cache of the write connection, in KiB when negative: indexes of what was stored long ago stay in
// reach.
const writerCache = "-65536"

func openSQLite(ctx context.Context, u *url.URL, service string, migrateTo migrations, logger *slog.Logger) (*DB, error) {
	folder, err := sqliteFolder(u)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(folder, service+".db")
	// SQLite would make the file readable by all; its -wal and -shm files take over the mode of this one.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, fmt.Errorf("make database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("make database file: %w", err)
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), write.Close())
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	db := &DB{Write: write, Read: read, dialect: dialect.SQLite}
	// The writer first: it turns WAL on, which readers may not.
	if err := errors.Join(write.PingContext(ctx), read.PingContext(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	if db.checkpoints, err = startCheckpointer(path, sqliteDSN(path, false), logger); err != nil {
		return nil, errors.Join(fmt.Errorf("watch log of %s: %w", path, err), db.Close())
	}
	if err := migrateTo.apply(ctx, db, logger); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func sqliteFolder(u *url.URL) (string, error) {
	if u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("sqlite: takes no options")
	}
	if u.Host != "" {
		return "", fmt.Errorf("sqlite://%s: want sqlite:///abs/dir or sqlite:./rel/dir", u.Host)
	}
	folder := u.Path
	if u.Opaque != "" {
		var err error
		if folder, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("folder: %w", err)
		}
	}
	if folder == "" {
		return "", errors.New("sqlite: names no folder")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("folder: %w", err)
	}
	return folder, nil
}

// sqliteDSN sets every connection up alike. synchronous=FULL is what makes a commit durable in WAL mode: the log is
// fsynced before COMMIT returns, while the usual NORMAL would fsync at checkpoints only.
func sqliteDSN(path string, readOnly bool) string {
	query := url.Values{"_time_format": {"sqlite"}}
	query.Add("_pragma", "busy_timeout("+busyTimeout+")")
	query.Add("_pragma", "foreign_keys(1)")
	if readOnly {
		query.Add("_pragma", "query_only(1)")
	} else {
		query.Add("_pragma", "journal_mode(WAL)")
		query.Add("_pragma", "synchronous(FULL)")
		query.Add("_pragma", "wal_autocheckpoint("+strconv.Itoa(walPages)+")")
		query.Add("_pragma", "cache_size("+writerCache+")")
		query.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String()
}
