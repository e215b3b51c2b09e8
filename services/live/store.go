package live

import (
	"context"
	"embed"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	"github.com/stoa-live/stoa/gen/ent/live/predicate"
	"github.com/stoa-live/stoa/gen/ent/live/room"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/words"
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
	out := Room{
		ID: r.ID, OwnerID: r.OwnerID, Title: r.Title, CategoryID: r.CategoryID, ConversationID: r.ConversationID, RequestID: r.RequestID,
		LastBroadcastID: r.LastBroadcastID, CoverMode: CoverMode(r.CoverMode), CoverVersion: r.CoverVersion,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
	if r.WarningID != "" && r.WarnedAt != nil {
		out.Warning = &Warning{ID: r.WarningID, Text: r.WarningText, At: r.WarnedAt.UTC()}
	}
	return out
}

// createRoom inserts a room. Where the owner has used the request id before, it returns the room of that time.
func (d *db) createRoom(ctx context.Context, r Room) (Room, error) {
	row, err := d.write.Room.Create().
		SetID(r.ID).SetOwnerID(r.OwnerID).SetTitle(r.Title).SetTitleFolded(words.Fold(r.Title)).SetCategoryID(r.CategoryID).
		SetConversationID(r.ConversationID).SetRequestID(r.RequestID).SetCreatedAt(r.CreatedAt).SetUpdatedAt(r.UpdatedAt).Save(ctx)
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
	update := d.write.Room.UpdateOneID(id).SetNillableCategoryID(category).SetUpdatedAt(now)
	if title != nil {
		update.SetTitle(*title).SetTitleFolded(words.Fold(*title))
	}
	row, err := update.Save(ctx)
	if ent.IsNotFound(err) {
		return Room{}, errRoomNotFound(id)
	}
	if err != nil {
		return Room{}, fmt.Errorf("update room: %w", err)
	}
	return roomFrom(row), nil
}

// foldTitles fills the column to search in where rows are older than it. No title is empty.
func (d *db) foldTitles(ctx context.Context) error {
	err := store.WithTx(ctx, d.write.Tx, func(tx *ent.Tx) error {
		rows, err := tx.Room.Query().Where(room.TitleFolded("")).All(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := tx.Room.UpdateOneID(r.ID).SetTitleFolded(words.Fold(r.Title)).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fold titles: %w", err)
	}
	return nil
}

// setKey replaces the stream key; nil revokes it.
func (d *db) setKey(ctx context.Context, id string, hash, sealed []byte) error {
	update := d.write.Room.UpdateOneID(id)
	if hash == nil {
		update.ClearKeyHash().ClearKeySealed()
	} else {
		update.SetKeyHash(hash).SetKeySealed(sealed)
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("set stream key: %w", err)
	}
	return nil
}

// sealedKey returns the stream key as it was sealed, or nil. Errors: ROOM_NOT_FOUND.
func (d *db) sealedKey(ctx context.Context, id string) ([]byte, error) {
	row, err := d.read.Room.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, errRoomNotFound(id)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream key: %w", err)
	}
	if row.KeySealed == nil {
		return nil, nil
	}
	return *row.KeySealed, nil
}

// setCover writes where the cover comes from and its version, 0 for none.
func (d *db) setCover(ctx context.Context, id string, mode CoverMode, version int64) (Room, error) {
	row, err := d.write.Room.UpdateOneID(id).SetCoverMode(int(mode)).SetCoverVersion(version).Save(ctx)
	if err != nil {
		return Room{}, fmt.Errorf("set cover: %w", err)
	}
	return roomFrom(row), nil
}

// setWarning replaces the warning of a room's owner. Errors: ROOM_NOT_FOUND.
func (d *db) setWarning(ctx context.Context, id string, w Warning) (Room, error) {
	row, err := d.write.Room.UpdateOneID(id).SetWarningID(w.ID).SetWarningText(w.Text).SetWarnedAt(w.At).Save(ctx)
	if ent.IsNotFound(err) {
		return Room{}, errRoomNotFound(id)
	}
	if err != nil {
		return Room{}, fmt.Errorf("set warning: %w", err)
	}
	return roomFrom(row), nil
}

// clearWarning takes a warning away, if it is the room's. It reports whether it was.
func (d *db) clearWarning(ctx context.Context, id, warningID string) (bool, error) {
	n, err := d.write.Room.Update().Where(room.ID(id), room.WarningID(warningID)).
		SetWarningID("").SetWarningText("").ClearWarnedAt().Save(ctx)
	if err != nil {
		return false, fmt.Errorf("clear warning: %w", err)
	}
	return n > 0, nil
}

// roomFilter selects rooms; zero values select all.
type roomFilter struct {
	categoryID string
	ownerID    string
	ids        []string // only these, where not nil
	notIDs     []string
	search     *search // all, where nil
	beforeID   string  // only older than this
	limit      int     // 0 for all
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
	if f.search != nil {
		where = append(where, room.Or(room.TitleFoldedContains(f.search.folded), room.OwnerIDIn(f.search.ownerIDs...)))
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
