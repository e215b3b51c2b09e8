package chat

import (
	"context"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	"github.com/stoa-live/stoa/gen/ent/chat/mute"
	"github.com/stoa-live/stoa/gen/ent/chat/predicate"
	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// putMute stores a mute in place of the one that is there, and returns it with its id.
func (s *store) putMute(ctx context.Context, m Mute) (Mute, error) {
	err := sqlstore.WithTx(ctx, s.write.Tx, func(tx *ent.Tx) error {
		if _, err := tx.Mute.Delete().Where(sameMute(m.muteKey)...).Exec(ctx); err != nil {
			return err
		}
		row := tx.Mute.Create().SetUserID(m.UserID).SetConversationID(m.ConversationID).SetReason(m.Reason).
			SetCreatedAt(m.CreatedAt)
		if !m.Until.IsZero() {
			row.SetUntil(m.Until)
		}
		stored, err := row.Save(ctx)
		if err != nil {
			return err
		}
		m.ID = stored.ID
		return nil
	})
	if err != nil {
		return Mute{}, fmt.Errorf("store mute: %w", err)
	}
	return m, nil
}

// deleteMute removes a mute and reports whether one was there that holds at now.
func (s *store) deleteMute(ctx context.Context, key muteKey, now time.Time) (bool, error) {
	n, err := s.write.Mute.Delete().Where(append(sameMute(key), mutesAt(now))...).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("delete mute: %w", err)
	}
	return n > 0, nil
}

// pruneMutes removes mutes that are over at now.
func (s *store) pruneMutes(ctx context.Context, now time.Time) error {
	if _, err := s.write.Mute.Delete().Where(mute.Not(mutesAt(now))).Exec(ctx); err != nil {
		return fmt.Errorf("prune mutes: %w", err)
	}
	return nil
}

// allMutes returns every mute that is stored, those that are over, too.
func (s *store) allMutes(ctx context.Context) ([]Mute, error) {
	rows, err := s.read.Mute.Query().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read mutes: %w", err)
	}
	return toMutes(rows), nil
}

// listMutes returns up to limit mutes that hold at now, of one user if userID is not empty, newest first, older than the
// mute before (0 for the newest).
func (s *store) listMutes(ctx context.Context, userID string, now time.Time, before, limit int) ([]Mute, error) {
	query := s.read.Mute.Query().Where(mutesAt(now))
	if userID != "" {
		query.Where(mute.UserID(userID))
	}
	if before != 0 {
		query.Where(mute.IDLT(before))
	}
	rows, err := query.Order(mute.ByID(entsql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list mutes: %w", err)
	}
	return toMutes(rows), nil
}

func sameMute(key muteKey) []predicate.Mute {
	return []predicate.Mute{mute.UserID(key.UserID), mute.ConversationID(key.ConversationID)}
}

// mutesAt picks the mutes that hold at a time.
func mutesAt(now time.Time) predicate.Mute {
	return mute.Or(mute.UntilIsNil(), mute.UntilGT(now.UTC()))
}

func toMutes(rows []*ent.Mute) []Mute {
	mutes := make([]Mute, len(rows))
	for i, r := range rows {
		mutes[i] = Mute{
			ID: r.ID, muteKey: muteKey{UserID: r.UserID, ConversationID: r.ConversationID}, Reason: r.Reason,
			CreatedAt: r.CreatedAt.UTC(),
		}
		if r.Until != nil {
			mutes[i].Until = r.Until.UTC()
		}
	}
	return mutes
}
