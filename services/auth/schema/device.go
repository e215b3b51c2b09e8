package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Device is one installation of a client.
type Device struct{ ent.Schema }

// Fields of a device.
func (Device) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("dev_ and 128 random bits"),
		field.Int("platform").Immutable().Comment("stoa.auth.v1.Platform"),
		field.String("model").Immutable(),
		field.String("app_version").Immutable(),
		field.String("user_id").Optional().Nillable().Comment("who signed in on it last; null before the first time"),
		field.Time("created_at").SchemaType(column.Time()).Immutable(),
	}
}

// Indexes of devices.
func (Device) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "created_at"),
	}
}
