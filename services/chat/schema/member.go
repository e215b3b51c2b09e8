package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Member is a user in a direct conversation, a group or a system conversation. Who leaves keeps the row, with role 0, so
// that others learn of it.
type Member struct{ ent.Schema }

// Fields of a member.
func (Member) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.String("user_id").Immutable(),
		field.Int("role").Comment("stoa.chat.v1.MemberRole; 0 for one who went"),
		field.Int64("joined_at").Comment("Unix time in microseconds"),
		field.Int64("first_seq").Default(1).Comment("the first message that the conversation shows to the member"),
		field.Int64("cleared_seq").Default(0).Comment("what the member cleared for themselves, up to this message"),
		field.Int64("read_seq").Default(0),
		field.Int64("delivered_seq").Default(0),
		field.Int64("hidden_change").Default(0).Comment("number of the last change of what the member hid"),
		field.Int64("muted_until").Default(0).Comment("Unix time in microseconds"),
		field.Bool("silent").Default(false),
		field.Bool("pinned").Default(false),
		field.Bool("archived").Default(false),
		field.Int64("member_version").Default(0).Comment("the conversation's, at the last change that others see"),
		field.Int64("version").Default(0).Comment("number of the commit that last changed it"),
	}
}

// Indexes of members.
func (Member) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "user_id").Unique(),
		index.Fields("user_id"),
		index.Fields("conversation_id", "member_version"),
		index.Fields("conversation_id", "role", "joined_at"),
	}
}
