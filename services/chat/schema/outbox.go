package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Outbox is a run of messages that one transaction stored, or a message that it took away, and that may not have been
// published yet.
type Outbox struct{ ent.Schema }

// Fields of an outbox row.
func (Outbox) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.Int64("first_seq").Immutable(),
		field.Int64("last_seq").Immutable(),
		field.Bool("deletion").Default(false).Immutable().Comment("the one message was taken away"),
		field.String("claimed_by").Comment("the process that publishes it"),
		field.Int64("claimed_until").Comment("Unix time in milliseconds after which another may claim it"),
	}
}

// Indexes of the outbox.
func (Outbox) Indexes() []ent.Index {
	return []ent.Index{index.Fields("claimed_until")}
}
