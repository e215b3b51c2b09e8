package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Message is one stored utterance. Its epoch is its conversation's: a new epoch renumbers nothing that is left.
type Message struct{ ent.Schema }

// Fields of a message.
func (Message) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.Int64("seq").Immutable().Comment("place in the conversation, from 1, without gaps"),
		field.String("sender_id").Immutable(),
		field.String("client_msg_id").Immutable().Comment("chosen by the sender; makes a repeated send harmless"),
		field.Bytes("sender").Comment("stoa.auth.v1.User as it was at that time; empty once deleted"),
		field.Bytes("content").Comment("stoa.chat.v1.Content; empty once deleted"),
		field.Int64("sent_at").Immutable().Comment("Unix time in microseconds"),
		field.Bool("deleted").Default(false).Comment("taken away; sender_id and client_msg_id stay, to know a repeated send"),
	}
}

// Indexes of messages.
func (Message) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "seq").Unique(),
		index.Fields("conversation_id", "sender_id", "client_msg_id").Unique(),
	}
}
