// Package schema declares the tables of the admin service. No other service reads them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// AuditEntry is one act of the staff. Entries are only ever added.
type AuditEntry struct{ ent.Schema }

// Fields of an audit entry.
func (AuditEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("ULID, rising with time"),
		field.Time("at").SchemaType(column.Time()).Immutable(),
		field.String("actor_id").Immutable(),
		field.String("actor_name").Immutable().Default("").Comment("at the time of the act"),
		field.String("action").Immutable(),
		field.String("target_id").Immutable(),
		field.String("target_name").Immutable().Default("").Comment("at the time of the act"),
		field.String("detail").SchemaType(column.Text(2000)).Immutable(),
		field.String("error").SchemaType(column.Text(1000)).Immutable().Comment("empty when the act succeeded"),
	}
}

// Indexes of audit entries.
func (AuditEntry) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("actor_id", "id"),
		index.Fields("target_id", "id"),
		index.Fields("action", "id"),
	}
}
