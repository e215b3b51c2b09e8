// Package schema declares the tables of the chat service. No other service reads them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Conversation is a place in which messages are numbered.
type Conversation struct{ ent.Schema }

// Fields of a conversation.
func (Conversation) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID, chosen by the service that made it"),
		field.Int("kind").Immutable().Comment("stoa.chat.v1.ConversationKind"),
		field.String("owner_id").Immutable(),
		field.Int64("epoch").Default(1).Comment("generation of the history; a new one after messages were lost"),
		field.Int64("last_seq").Default(0).Comment("number of the last message; 0 before the first"),
		field.Int64("likes").Default(0),
		field.Time("created_at").Immutable(),
	}
}
