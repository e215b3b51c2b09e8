// Package schema declares the tables of the chat service. No other service reads them.
//
// The table of messages is not among them: its key has two columns, and it is read and written by prepared SQL alone.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Conversation is a place in which messages are numbered.
type Conversation struct{ ent.Schema }

// Fields of a conversation.
func (Conversation) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID, for rooms chosen by the service that made it"),
		field.Int("kind").Immutable().Comment("stoa.chat.v1.ConversationKind"),
		field.String("owner_id").Comment("empty for direct and system conversations"),
		field.Int64("epoch").Default(1).Comment("generation of the history; a new one after messages were lost"),
		field.Int64("last_seq").Default(0).Comment("number of the last message; 0 before the first"),
		field.Int64("likes").Default(0),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
		field.Int64("version").Default(0).Comment("number of the commit that last changed it"),
		field.Int64("last_change").Default(0).Comment("number of the last change of a message"),
		field.Int64("shared_from").Default(1).
			Comment("the highest first_seq that any member was given: from here on everybody sees everything"),
		field.Int64("member_version").Default(0).Comment("number of the last change of members"),
		field.Int("member_count").Default(0),
		field.String("title").Default(""),
		field.String("avatar_url").SchemaType(column.Text(2000)).Default(""),
		field.String("announcement").SchemaType(column.Text(5000)).Default(""),
		field.Int("history").Default(0).Comment("stoa.chat.v1.HistoryVisibility"),
		field.Int("join_policy").Default(0).Comment("stoa.chat.v1.JoinPolicy"),
		field.Bool("muted_all").Default(false),
		field.Bool("disbanded").Default(false),
		field.String("unique_key").Optional().Nillable().Unique().Immutable().
			Comment("what there is one of: a pair of users, a request to make a group"),
	}
}

// Indexes of conversations.
func (Conversation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("owner_id").Annotations(entsql.IndexWhere("kind = 3 AND NOT disbanded")), // groups that live
	}
}
