package live

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	"github.com/stoa-live/stoa/gen/ent/live/broadcast"
	"github.com/stoa-live/stoa/gen/ent/live/predicate"
	"github.com/stoa-live/stoa/gen/ent/live/room"
	"github.com/stoa-live/stoa/internal/store"
)

func broadcastFrom(b *ent.Broadcast) Broadcast {
	out := Broadcast{
		ID: b.ID, RoomID: b.RoomID, State: State(b.State), Title: b.Title, StartedAt: b.StartedAt.UTC(),
		Counts: Counts{
			PeakViewers: b.PeakViewers, Messages: b.Messages, Likes: b.Likes,
			messageEpoch: b.MessageEpoch, messageSeq: b.MessageSeq,
		},
	}
	if b.EndedAt != nil {
		out.EndedAt = b.EndedAt.UTC()
	}
	return out
}

// startBroadcast inserts a broadcast and makes it the room's last.
func (d *db) startBroadcast(ctx context.Context, b Broadcast) error {
	err := store.WithTx(ctx, d.write.Tx, func(tx *ent.Tx) error {
		if err := tx.Broadcast.Create().SetID(b.ID).SetRoomID(b.RoomID).SetState(int(b.State)).SetTitle(b.Title).
			SetStartedAt(b.StartedAt).Exec(ctx); err != nil {
			return err
		}
		// A cover that was taken down stays away for the rest of the broadcast of that time, not for the next.
		err := tx.Room.Update().Where(room.ID(b.RoomID), room.CoverMode(int(TakenDownCover))).SetCoverMode(int(AutomaticCover)).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.Room.UpdateOneID(b.RoomID).SetLastBroadcastID(b.ID).Exec(ctx)
	})
	if err != nil {
		return fmt.Errorf("start broadcast: %w", err)
	}
	return nil
}

// saveBroadcast writes the state, what it came to and the end.
func (d *db) saveBroadcast(ctx context.Context, b Broadcast) error {
	update := d.write.Broadcast.UpdateOneID(b.ID).SetState(int(b.State)).SetPeakViewers(b.Counts.PeakViewers).
		SetMessages(b.Counts.Messages).SetLikes(b.Counts.Likes).
		SetMessageEpoch(b.Counts.messageEpoch).SetMessageSeq(b.Counts.messageSeq)
	if !b.EndedAt.IsZero() {
		update.SetEndedAt(b.EndedAt)
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("save broadcast: %w", err)
	}
	return nil
}

// saveCounts writes what running broadcasts came to so far. It leaves ended ones alone: theirs are final.
func (d *db) saveCounts(ctx context.Context, all map[*tally]Counts) error {
	err := store.WithTx(ctx, d.write.Tx, func(tx *ent.Tx) error {
		for t, c := range all {
			err := tx.Broadcast.Update().Where(broadcast.ID(t.broadcastID), broadcast.StateNEQ(int(Ended))).
				SetPeakViewers(c.PeakViewers).SetMessages(c.Messages).SetLikes(c.Likes).
				SetMessageEpoch(c.messageEpoch).SetMessageSeq(c.messageSeq).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save counts: %w", err)
	}
	return nil
}

// roomBroadcasts returns a room's broadcasts that began before the one named by beforeID, or all, newest first.
func (d *db) roomBroadcasts(ctx context.Context, roomID, beforeID string, limit int) ([]Broadcast, error) {
	where := []predicate.Broadcast{broadcast.RoomID(roomID)}
	if beforeID != "" {
		where = append(where, broadcast.IDLT(beforeID))
	}
	rows, err := d.read.Broadcast.Query().Where(where...).Order(broadcast.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list broadcasts: %w", err)
	}
	out := make([]Broadcast, len(rows))
	for i, b := range rows {
		out[i] = broadcastFrom(b)
	}
	return out, nil
}

// broadcasts returns broadcasts by their ids.
func (d *db) broadcasts(ctx context.Context, ids []string) (map[string]Broadcast, error) {
	rows, err := d.read.Broadcast.Query().Where(broadcast.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read broadcasts: %w", err)
	}
	out := make(map[string]Broadcast, len(rows))
	for _, b := range rows {
		out[b.ID] = broadcastFrom(b)
	}
	return out, nil
}

// unfinished returns the broadcasts that had not ended when the process last stopped.
func (d *db) unfinished(ctx context.Context) ([]Broadcast, error) {
	rows, err := d.read.Broadcast.Query().Where(broadcast.StateNEQ(int(Ended))).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read unfinished broadcasts: %w", err)
	}
	out := make([]Broadcast, len(rows))
	for i, b := range rows {
		out[i] = broadcastFrom(b)
	}
	return out, nil
}
