package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Broadcast is one going-live in a room.
type Broadcast struct{ ent.Schema }

// Fields of a broadcast.
func (Broadcast) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID"),
		field.String("room_id").Immutable(),
		field.Int("state").Comment("stoa.live.v1.BroadcastState"),
		field.String("title").Immutable().Default("").Comment("of the room when it began"),
		field.Time("started_at").SchemaType(column.Time()).Immutable(),
		field.Time("ended_at").SchemaType(column.Time()).Optional().Nillable(),
		field.Int("peak_viewers").Default(0).Comment("most people at one time"),
		field.Int64("messages").Default(0),
		field.Int64("likes").Default(0),
		field.Int64("message_epoch").Default(0).Comment("of the last message that was counted"),
		field.Int64("message_seq").Default(0).Comment("of the last message that was counted; 0 before the first"),
	}
}

// Indexes of broadcasts.
func (Broadcast) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("room_id", "id"),
		index.Fields("state"),
	}
}
