package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Counter has one row, which counts commits: what changed last is found by it.
type Counter struct{ ent.Schema }

// Fields of the counter.
func (Counter) Fields() []ent.Field { return []ent.Field{field.Int64("number").Default(0)} }

// Reaction is one user's sign under a message.
type Reaction struct{ ent.Schema }

// Fields of a reaction.
func (Reaction) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.Int64("seq").Immutable(),
		field.String("key").Immutable(),
		field.String("user_id").Immutable(),
	}
}

// Indexes of reactions.
func (Reaction) Indexes() []ent.Index {
	return []ent.Index{index.Fields("conversation_id", "seq", "key", "user_id").Unique()}
}

// Pin is a message on a conversation's board.
type Pin struct{ ent.Schema }

// Fields of a pin.
func (Pin) Fields() []ent.Field {
	return []ent.Field{field.String("conversation_id").Immutable(), field.Int64("seq").Immutable()}
}

// Indexes of pins.
func (Pin) Indexes() []ent.Index { return []ent.Index{index.Fields("conversation_id", "seq").Unique()} }

// Hidden is a message that a user deleted for themselves.
type Hidden struct{ ent.Schema }

// Fields of a hidden message.
func (Hidden) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.String("user_id").Immutable(),
		field.Int64("seq").Immutable(),
		field.Int64("change").Immutable().Comment("the member's hidden_change when it was hidden"),
	}
}

// Indexes of hidden messages.
func (Hidden) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "user_id", "seq").Unique(),
		index.Fields("conversation_id", "user_id", "change"),
	}
}

// Mention is a message that means a user, or everyone (an empty user).
type Mention struct{ ent.Schema }

// Fields of a mention.
func (Mention) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.String("user_id").Immutable(),
		field.Int64("seq").Immutable(),
	}
}

// Indexes of mentions.
func (Mention) Indexes() []ent.Index {
	return []ent.Index{index.Fields("conversation_id", "user_id", "seq").Unique()}
}

// GroupBan keeps a user out of a group.
type GroupBan struct{ ent.Schema }

// Fields of a ban.
func (GroupBan) Fields() []ent.Field {
	return []ent.Field{
		field.String("conversation_id").Immutable(),
		field.String("user_id").Immutable(),
		field.String("reason").Default("").Immutable(),
		field.Int64("banned_at").Immutable().Comment("Unix time in microseconds"),
	}
}

// Indexes of bans.
func (GroupBan) Indexes() []ent.Index {
	return []ent.Index{index.Fields("conversation_id", "user_id").Unique()}
}

// Erasure is a message that was taken away and whose words still stand in the quotes of answers.
type Erasure struct{ ent.Schema }

// Fields of an erasure.
func (Erasure) Fields() []ent.Field {
	return []ent.Field{field.String("conversation_id").Immutable(), field.Int64("seq").Immutable()}
}

// Indexes of erasures.
func (Erasure) Indexes() []ent.Index {
	return []ent.Index{index.Fields("conversation_id", "seq").Unique()}
}
