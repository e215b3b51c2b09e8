package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/stoa-live/stoa/internal/store/column"
)

// Site is the settings that administrators change while the installation runs. It has one row, which the migration put
// there.
type Site struct{ ent.Schema }

// Fields of the site.
func (Site) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable().Comment("always 1"),
		field.String("name"),
		field.String("announcement").SchemaType(column.Text(1000)),
		field.Bool("sign_up_enabled"),
		field.Bool("room_creation_enabled"),
	}
}
