package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Session is one user's stay on one device, from sign-in until it is revoked or expires.
type Session struct{ ent.Schema }

// Fields of a session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID"),
		field.String("user_id").Immutable(),
		field.String("device_id").Immutable(),
		field.Bytes("family_hash").SchemaType(column.Bytes(32)).Optional().Nillable().Immutable().
			Comment("SHA-256 of what all refresh tokens of the session share; null when it has none"),
		field.Bytes("token_hash").SchemaType(column.Bytes(32)).Optional().Nillable().Comment("SHA-256 of the refresh token that is good now"),
		field.Bytes("former_hash").SchemaType(column.Bytes(32)).Optional().Nillable().
			Comment("SHA-256 of the refresh token before that one; null before the first refresh"),
		field.Time("replaced_at").SchemaType(column.Time()).Optional().Nillable().
			Comment("when the former token was first replaced; null before the first refresh"),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
		field.Time("refreshed_at").SchemaType(column.Time()).Comment("when the last token was issued"),
		field.Time("expires_at").SchemaType(column.Time()).Comment("moves with each refresh"),
		field.Time("revoked_at").SchemaType(column.Time()).Optional().Nillable(),
	}
}

// Indexes of sessions.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("family_hash").Unique(),
		index.Fields("user_id", "refreshed_at"),
		index.Fields("device_id"),
		index.Fields("revoked_at"),
		index.Fields("expires_at"),
	}
}
