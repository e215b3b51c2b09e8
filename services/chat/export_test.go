package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// Hold keeps the writer inside of a batch until release is called, so that what comes meanwhile makes up the next one.
func (s *Service) Hold() (release func(), err error) {
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- s.writer.change(context.Background(), func(*batch) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	select {
	case <-entered:
		return func() {
			close(leave)
			<-left
		}, nil
	case err := <-left:
		return nil, err
	}
}

// Waiting is how many changes wait for the writer.
func (s *Service) Waiting() int { return len(s.writer.jobs) }

// Hear has the service know that a user is muted everywhere for ever, as from its next look at the table of mutes.
func (s *Service) Hear(userID string) {
	s.mutes.mu.Lock()
	defer s.mutes.mu.Unlock()
	key := muteKey{UserID: userID}
	s.mutes.all[key] = Mute{muteKey: key}
}

// LeaveRoom gives the database room for so many pages more and no others, as a disk that fills up.
func (s *Service) LeaveRoom(ctx context.Context, pages int64) error {
	var now int64
	if err := s.store.db.Write.QueryRowContext(ctx, "PRAGMA page_count").Scan(&now); err != nil {
		return err
	}
	return s.store.db.Write.QueryRowContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", now+pages)).Scan(&now)
}

// PagesRead is how many pages of the database its connections have looked at, the one that writes and the one that reads:
// from now on there is one of each. Only SQLite counts them: elsewhere there are none.
func (s *Service) PagesRead(ctx context.Context) (written, read int64, err error) {
	s.store.db.Read.SetMaxOpenConns(1)
	count := func(db *sql.DB) (sum int64, err error) {
		conn, err := db.Conn(ctx)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		return sum, conn.Raw(func(driver any) error {
			for _, counter := range []sqlite.DBStatusOp{sqlite.DBStatusCacheHit, sqlite.DBStatusCacheMiss} {
				status, ok := driver.(sqlite.DBStatus)
				if !ok {
					return nil
				}
				now, _, err := status.Status(counter, false)
				if err != nil {
					return err
				}
				sum += int64(now)
			}
			return nil
		})
	}
	written, first := count(s.store.db.Write)
	read, second := count(s.store.db.Read)
	return written, read, errors.Join(first, second)
}
