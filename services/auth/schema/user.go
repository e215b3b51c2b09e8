// Package schema declares the tables of the auth service. No other service reads them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// User is a person, a guest, or the operator.
type User struct{ ent.Schema }

// Fields of a user.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID, or \"operator\""),
		field.String("username").Optional().Nillable().Comment("in lower case; null for guests"),
		field.String("nickname"),
		field.String("nickname_folded").Default("").Comment("the nickname without case, to search in; empty in rows older than the column"),
		field.String("avatar_url").SchemaType(column.Text(2000)).Default("").Comment("relative to the API's address; empty without a picture"),
		field.Int("role").Comment("stoa.auth.v1.Role"),
		field.String("password_hash").Optional().Nillable().Sensitive().Comment("PHC string; null for who has none"),
		field.Time("banned_at").SchemaType(column.Time()).Optional().Nillable().Comment("null without a ban"),
		field.Time("ban_until").SchemaType(column.Time()).Optional().Nillable().Comment("null for a ban without an end"),
		field.String("ban_reason").SchemaType(column.Text(1000)).Default(""),
		field.Time("guest_seen_at").SchemaType(column.Time()).Optional().Nillable().
			Comment("when a guest was last issued a token; null for everybody else"),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
		field.Time("updated_at").SchemaType(column.Time()),
	}
}

// Indexes of users.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("username").Unique(),
		index.Fields("role"),
		index.Fields("banned_at"),
		index.Fields("guest_seen_at"),
	}
}
