package chat

import (
	"context"
	"strings"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/pagination"
)

// DeleteMessage takes a message away for everyone: its place stays, without sender and content, and whoever listens is
// told. It returns the message as it was; taking it away again is no error and returns what is left. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), UNAVAILABLE.
func (s *Service) DeleteMessage(ctx context.Context, conversationID string, at Position) (*chatv1.Message, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return nil, err
	}
	if at.Epoch != c.Epoch {
		return nil, messageNotFound()
	}
	var was *chatv1.Message
	err = s.writer.change(ctx, func(b *batch) error {
		m, err := b.message(c.ID, at.Seq)
		if err != nil {
			return err
		}
		if was = m; m.GetDeleted() && !m.GetRecalled() {
			return nil
		}
		left, err := b.takeAway(m, false)
		if err != nil {
			return err
		}
		return b.change(left)
	})
	if err != nil {
		return nil, err
	}
	return was, nil
}

// MuteUser keeps a user from writing until a time (zero for ever), in one conversation or, with none, in all. A mute that
// was there is replaced. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) MuteUser(
	ctx context.Context, userID, conversationID, reason string, until time.Time,
) (Mute, error) {
	if conversationID != "" {
		if _, err := s.conversation(ctx, conversationID); err != nil {
			return Mute{}, err
		}
	}
	return s.mutes.put(ctx, Mute{
		muteKey: muteKey{userID, conversationID}, Reason: strings.TrimSpace(reason), Until: until.UTC().Truncate(time.Microsecond),
		CreatedAt: s.deps.Now().UTC().Truncate(time.Microsecond),
	})
}

// UnmuteUser lifts a mute. Errors: NOT_FOUND (MUTE_NOT_FOUND).
func (s *Service) UnmuteUser(ctx context.Context, userID, conversationID string) error {
	return s.mutes.lift(ctx, muteKey{userID, conversationID})
}

// ListMutes returns a page of the mutes that hold, newest first, of one user if userID is not empty. Errors:
// INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListMutes(
	ctx context.Context, userID string, size int, token string,
) (mutes []Mute, next string, err error) {
	cursor, _, err := pagination.Decode[rowCursor](token)
	if err != nil {
		return nil, "", err
	}
	mutes, err = s.store.listMutes(ctx, userID, s.deps.Now(), int(cursor.Row), size+1)
	if err != nil {
		return nil, "", err
	}
	mutes, next = pagination.Page(mutes, size, func(last Mute) rowCursor { return rowCursor{int64(last.ID)} })
	return mutes, next, nil
}

// Stored returns how many messages were stored since the service was made.
func (s *Service) Stored() int64 { return s.writer.stored.Load() }
