// Package column names column types for ent schemas, where a database's own choice would not do: MySQL would cut times to
// the second, and has no index on bytes of any length. SQLite and PostgreSQL need no help.
package column

import (
	"fmt"

	"entgo.io/ent/dialect"
)

// Time keeps microseconds.
func Time() map[string]string { return mysql("datetime(6)") }

// Text is for texts of more than 255 characters, the length that MySQL's other texts have.
func Text(characters int) map[string]string { return mysql(fmt.Sprintf("varchar(%d)", characters)) }

// Bytes is for few bytes, which may be in an index.
func Bytes(most int) map[string]string { return mysql(fmt.Sprintf("varbinary(%d)", most)) }

// Blob is for any number of bytes.
func Blob() map[string]string { return mysql("longblob") }

func mysql(name string) map[string]string { return map[string]string{dialect.MySQL: name} }
