// Package schema declares the tables of the live service. No other service reads them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Room is the lasting place.
type Room struct{ ent.Schema }

// Fields of a room.
func (Room) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID"),
		field.String("owner_id").Immutable(),
		field.String("title"),
		field.String("title_folded").Default("").Comment("the title without case, to search in; empty in rows older than the column"),
		field.String("category_id"),
		field.String("conversation_id").Immutable(),
		field.String("request_id").Immutable().Comment("chosen by the client; unique an owner"),
		field.Bytes("key_hash").SchemaType(column.Bytes(32)).Optional().Nillable().Comment("SHA-256 of the stream key; null without one"),
		field.Bytes("key_sealed").SchemaType(column.Bytes(512)).Optional().Nillable().Comment("the stream key, encrypted; null without one and in rows older than the column"),
		field.String("last_broadcast_id").Optional().Comment("ULID; empty before the first"),
		field.Int64("cover_version").Default(0).Comment("Unix ms of the latest change of the cover; 0 without one"),
		field.Int("cover_mode").Default(1).Comment("stoa.live.v1.CoverMode"),
		field.String("warning_id").Default("").Comment("ULID of the warning that was not acknowledged; empty without one"),
		field.String("warning_text").SchemaType(column.Text(1000)).Default(""),
		field.Time("warned_at").SchemaType(column.Time()).Optional().Nillable(),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
		field.Time("updated_at").SchemaType(column.Time()),
	}
}

// Indexes of rooms.
func (Room) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("owner_id", "request_id").Unique(),
		index.Fields("key_hash").Unique(),
		index.Fields("category_id"),
	}
}
