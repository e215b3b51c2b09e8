package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Outbox is what one transaction has to tell about a conversation or to a user, and that may not have been published yet:
// a run of new messages, or other events.
type Outbox struct{ ent.Schema }

// Fields of an outbox row.
func (Outbox) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Default("").Immutable(),
		field.Int64("first_seq").Default(0).Immutable().Comment("of new messages; 0 for other events"),
		field.Int64("last_seq").Default(0).Immutable(),
		field.String("user_id").Default("").Immutable().Comment("whom it is for, where it is no conversation's"),
		field.Bytes("events").SchemaType(column.Blob()).Optional().Nillable().Immutable().
			Comment("stoa.chat.v1.ConversationEvents or UserEvents"),
		field.String("claimed_by").Comment("the process that publishes it"),
		field.Int64("claimed_until").Comment("Unix time in milliseconds after which another may claim it"),
	}
}

// Indexes of the outbox.
func (Outbox) Indexes() []ent.Index {
	return []ent.Index{index.Fields("claimed_until")}
}
