package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Broadcast is one going-live in a room.
type Broadcast struct{ ent.Schema }

// Fields of a broadcast.
func (Broadcast) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID"),
		field.String("room_id").Immutable(),
		field.Int("state").Comment("stoa.live.v1.BroadcastState"),
		field.Time("started_at").Immutable(),
		field.Time("ended_at").Optional().Nillable(),
	}
}

// Indexes of broadcasts.
func (Broadcast) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("room_id", "id"),
		index.Fields("state"),
	}
}
