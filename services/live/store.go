package live

import (
	"context"
	"embed"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	"github.com/stoa-live/stoa/gen/ent/live/broadcast"
	"github.com/stoa-live/stoa/gen/ent/live/predicate"
	"github.com/stoa-live/stoa/gen/ent/live/room"
	"github.com/stoa-live/stoa/internal/store"
)

// Migrations are the versioned schemas of the live service, a folder a dialect.
//
//go:embed migrations
var Migrations embed.FS

// db keeps rooms and broadcasts.
type db struct {
	store *store.DB
	write *ent.Client
	read  *ent.Client
}

func newDB(s *store.DB) *db {
	return &db{
		store: s,
		write: ent.NewClient(ent.Driver(s.WriteDriver())),
		read:  ent.NewClient(ent.Driver(s.ReadDriver())),
	}
}

func roomFrom(r *ent.Room) Room {
	return Room{
		ID: r.ID, OwnerID: r.OwnerID, Title: r.Title, CategoryID: r.CategoryID, ConversationID: r.ConversationID, RequestID: r.RequestID,
		LastBroadcastID: r.LastBroadcastID, CoverVersion: r.CoverVersion, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

func broadcastFrom(b *ent.Broadcast) Broadcast {
	out := Broadcast{ID: b.ID, RoomID: b.RoomID, State: State(b.State), StartedAt: b.StartedAt.UTC()}
	if b.EndedAt != nil {
		out.EndedAt = b.EndedAt.UTC()
	}
	return out
}

// createRoom inserts a room. Where the owner has used the request id before, it returns the room of that time.
func (d *db) createRoom(ctx context.Context, r Room) (Room, error) {
	row, err := d.write.Room.Create().
		SetID(r.ID).SetOwnerID(r.OwnerID).SetTitle(r.Title).SetCategoryID(r.CategoryID).SetConversationID(r.ConversationID).
		SetRequestID(r.RequestID).SetCreatedAt(r.CreatedAt).SetUpdatedAt(r.UpdatedAt).Save(ctx)
	if store.IsUnique(err) {
		if known, ok, err := d.roomByRequest(ctx, r.OwnerID, r.RequestID); err != nil || ok {
			return known, err
		}
	}
	if err != nil {
		return Room{}, fmt.Errorf("create room: %w", err)
	}
	return roomFrom(row), nil
}

func (d *db) roomByRequest(ctx context.Context, ownerID, requestID string) (Room, bool, error) {
	row, err := d.read.Room.Query().Where(room.OwnerID(ownerID), room.RequestID(requestID)).Only(ctx)
	if ent.IsNotFound(err) {
		return Room{}, false, nil
	}
	if err != nil {
		return Room{}, false, fmt.Errorf("find room by request: %w", err)
	}
	return roomFrom(row), true, nil
}

func (d *db) countRooms(ctx context.Context, ownerID string) (int, error) {
	n, err := d.read.Room.Query().Where(room.OwnerID(ownerID)).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count rooms: %w", err)
	}
	return n, nil
}

// room returns a room. Errors: ROOM_NOT_FOUND.
func (d *db) room(ctx context.Context, id string) (Room, error) {
	row, err := d.read.Room.Get(ctx, id)
	if ent.IsNotFound(err) {
		return Room{}, errRoomNotFound(id)
	}
	if err != nil {
		return Room{}, fmt.Errorf("read room: %w", err)
	}
	return roomFrom(row), nil
}

// roomByKey returns the room that a stream key opens.
func (d *db) roomByKey(ctx context.Context, hash []byte) (Room, bool, error) {
	row, err := d.read.Room.Query().Where(room.KeyHash(hash)).Only(ctx)
	if ent.IsNotFound(err) {
		return Room{}, false, nil
	}
	if err != nil {
		return Room{}, false, fmt.Errorf("find room by stream key: %w", err)
	}
	return roomFrom(row), true, nil
}

// updateRoom sets what is not nil.
func (d *db) updateRoom(ctx context.Context, id string, title, category *string, now time.Time) (Room, error) {
	row, err := d.write.Room.UpdateOneID(id).SetNillableTitle(title).SetNillableCategoryID(category).SetUpdatedAt(now).Save(ctx)
	if ent.IsNotFound(err) {
		return Room{}, errRoomNotFound(id)
	}
	if err != nil {
		return Room{}, fmt.Errorf("update room: %w", err)
	}
	return roomFrom(row), nil
}

// setKey replaces the stream key; nil revokes it.
func (d *db) setKey(ctx context.Context, id string, hash []byte) error {
	update := d.write.Room.UpdateOneID(id)
	if hash == nil {
		update.ClearKeyHash()
	} else {
		update.SetKeyHash(hash)
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("set stream key: %w", err)
	}
	return nil
}

func (d *db) setCover(ctx context.Context, id string, version int64) error {
	if err := d.write.Room.UpdateOneID(id).SetCoverVersion(version).Exec(ctx); err != nil {
		return fmt.Errorf("set cover: %w", err)
	}
	return nil
}

// roomFilter selects rooms; zero values select all.
type roomFilter struct {
	categoryID string
	ownerID    string
	ids        []string // only these, where not nil
	notIDs     []string
	beforeID   string // only older than this
	limit      int    // 0 for all
}

// rooms returns rooms, newest first.
func (d *db) rooms(ctx context.Context, f roomFilter) ([]Room, error) {
	var where []predicate.Room
	if f.categoryID != "" {
		where = append(where, room.CategoryID(f.categoryID))
	}
	if f.ownerID != "" {
		where = append(where, room.OwnerID(f.ownerID))
	}
	if f.ids != nil {
		where = append(where, room.IDIn(f.ids...))
	}
	if len(f.notIDs) > 0 {
		where = append(where, room.IDNotIn(f.notIDs...))
	}
	if f.beforeID != "" {
		where = append(where, room.IDLT(f.beforeID))
	}
	query := d.read.Room.Query().Where(where...).Order(room.ByID(sql.OrderDesc()))
	if f.limit > 0 {
		query.Limit(f.limit)
	}
	rows, err := query.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list rooms: %w", err)
	}
	out := make([]Room, len(rows))
	for i, r := range rows {
		out[i] = roomFrom(r)
	}
	return out, nil
}

// startBroadcast inserts a broadcast and makes it the room's last.
func (d *db) startBroadcast(ctx context.Context, b Broadcast) error {
	err := store.WithTx(ctx, d.write.Tx, func(tx *ent.Tx) error {
		if err := tx.Broadcast.Create().SetID(b.ID).SetRoomID(b.RoomID).SetState(int(b.State)).SetStartedAt(b.StartedAt).Exec(ctx); err != nil {
			return err
		}
		return tx.Room.UpdateOneID(b.RoomID).SetLastBroadcastID(b.ID).Exec(ctx)
	})
	if err != nil {
		return fmt.Errorf("start broadcast: %w", err)
	}
	return nil
}

// saveBroadcast writes the state and the end.
func (d *db) saveBroadcast(ctx context.Context, b Broadcast) error {
	update := d.write.Broadcast.UpdateOneID(b.ID).SetState(int(b.State))
	if !b.EndedAt.IsZero() {
		update.SetEndedAt(b.EndedAt)
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("save broadcast: %w", err)
	}
	return nil
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
