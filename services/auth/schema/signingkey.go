package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// SigningKey is an Ed25519 key that signs access tokens from active_at until the next one is active.
type SigningKey struct{ ent.Schema }

// Fields of a signing key.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("kid"),
		field.Int("serial").Immutable().Comment("1, 2, 3 …: two processes that rotate at once make one key"),
		field.Bytes("seed").SchemaType(column.Bytes(64)).Immutable().Sensitive().Comment("32 bytes, RFC 8032"),
		field.Time("created_at").SchemaType(column.Time()).Immutable().Comment("when it was published"),
		field.Time("active_at").SchemaType(column.Time()).Immutable().Comment("when it begins to sign"),
	}
}

// Indexes of signing keys.
func (SigningKey) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("serial").Unique(),
	}
}
