package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Mute keeps a user from writing. One that is replaced gets a new row, so that ids are in the order of time.
type Mute struct{ ent.Schema }

// Fields of a mute.
func (Mute) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_id").Immutable(),
		field.String("conversation_id").Default("").Immutable().Comment("empty for everywhere"),
		field.String("reason").Default("").Immutable(),
		field.Time("until").SchemaType(column.Time()).Optional().Nillable().Immutable().Comment("null for a mute without an end"),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
	}
}

// Indexes of mutes.
func (Mute) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_id", "conversation_id").Unique()}
}
