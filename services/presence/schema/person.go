// Package schema declares the tables of the presence service. No other service reads them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Person is what is kept of a user's presence.
type Person struct{ ent.Schema }

// Fields of a person.
func (Person) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("the user's"),
		field.Int("online_audience").Default(1).Comment("stoa.presence.v1.Audience"),
		field.Int("last_seen_audience").Default(1).Comment("stoa.presence.v1.Audience"),
		field.Int64("last_seen_at").Default(0).Comment("Unix time in seconds, to the minute; 0 for never"),
		field.Int("platforms").Default(0).
			Comment("by which they were here at last_seen_at, a bit for each stoa.auth.v1.Platform; 0 for those who had left"),
		field.String("status_text").Default(""),
		field.String("status_emoji").Default(""),
		field.Int64("status_until").Default(0).Comment("Unix time in seconds; 0 for a status without an end"),
	}
}

// Indexes of persons.
func (Person) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("status_until"),
		index.Fields("platforms").Annotations(entsql.IndexWhere("platforms <> 0")),
	}
}
