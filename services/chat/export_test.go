package chat

import (
	"context"
	"fmt"
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
