package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"time"
)

// How the write-ahead log of SQLite is brought into the database. Left to itself, SQLite does it within the commit that
// makes the log 1,000 pages long, and everybody who writes then waits for hundreds of random writes and two fsyncs. So a
// goroutine does it beside the writer, page by page; and the writer does the rest, which is little by then, when the log is
// walPages long, after which the log begins anew.
const (
	walPages       = 16_000 // 64 MiB
	checkpointFrom = 1_000  // pages that wait
	checkpointPoll = 100 * time.Millisecond
)

// checkpointer copies the log of one database into it, until close.
type checkpointer struct {
	db     *sql.DB // one connection of its own
	shm    *os.File
	logger *slog.Logger
	stop   context.CancelFunc
	done   chan struct{}
}

// startCheckpointer begins to watch the log of the database at path, which must be open.
func startCheckpointer(path, dsn string, logger *slog.Logger) (*checkpointer, error) {
	shm, err := os.Open(path + "-shm") //nolint:gosec // beside the database
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, errors.Join(err, shm.Close())
	}
	db.SetMaxOpenConns(1)
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{db: db, shm: shm, logger: logger, stop: stop, done: make(chan struct{})}
	go c.run(ctx)
	return c, nil
}

func (c *checkpointer) close() error {
	c.stop()
	<-c.done
	return errors.Join(c.shm.Close(), c.db.Close())
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.done)
	poll := time.NewTicker(checkpointPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
			if c.waiting() < checkpointFrom {
				continue
			}
			// PASSIVE waits for nobody and lets nobody wait. What it could not copy is copied another time.
			if _, err := c.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil && ctx.Err() == nil {
				c.logger.LogAttrs(ctx, slog.LevelWarn, "log not brought into the database",
					slog.String("cause", err.Error()))
			}
		}
	}
}

// waiting returns how many pages of the log are not in the database yet. They are counted in the log's index, whose format
// is documented (https://www.sqlite.org/walformat.html, section 2.1): mxFrame and nBackfill, in the machine's byte order.
// Another process's change in between makes the answer old, which harms nothing.
func (c *checkpointer) waiting() int64 {
	var header [100]byte
	if n, err := c.shm.ReadAt(header[:], 0); err != nil || n < len(header) {
		return 0
	}
	return int64(binary.NativeEndian.Uint32(header[16:])) - int64(binary.NativeEndian.Uint32(header[96:]))
}
