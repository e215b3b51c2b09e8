package chat

import (
	"context"
	"database/sql"
	"strings"

	"entgo.io/ent/dialect"

	sqlstore "github.com/stoa-live/stoa/internal/store"
)

// sqlDialect is what the databases say differently. All else of the hand-written SQL is the same on all of them: names that one
// of them keeps for itself are quoted by `, and tables in FROM have names of their own.
type sqlDialect string

func (d sqlDialect) sqlite() bool   { return d == dialect.SQLite }
func (d sqlDialect) postgres() bool { return d == dialect.Postgres }
func (d sqlDialect) mysql() bool    { return d == dialect.MySQL }

// greatest is the greatest of several values.
func (d sqlDialect) greatest(values string) string {
	if d.sqlite() {
		return "max(" + values + ")"
	}
	return "greatest(" + values + ")"
}

// fromThis joins so that SQLite goes from the left to the right, and never through all of the right. The others know how
// many rows there are.
func (d sqlDialect) fromThis() string {
	if d.postgres() {
		return " JOIN "
	}
	return " CROSS JOIN "
}

// orNothing ends an INSERT that does nothing where the row is there; inserted tells. key are the columns of a unique index,
// or "" for any.
func (d sqlDialect) orNothing(key string) string {
	switch {
	case d.mysql(): // which would take other faults for nothing as well, and leaves the transaction alone when it refuses
		return ""
	case key == "":
		return " ON CONFLICT DO NOTHING"
	}
	return " ON CONFLICT (" + key + ") DO NOTHING"
}

// inserted reports whether an INSERT with orNothing added a row.
func (d sqlDialect) inserted(res sql.Result, err error) (bool, error) {
	if d.mysql() && sqlstore.IsUnique(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// takeNumber is an UPDATE that raises the number of the last commit by a value; number tells what it is then.
func (d sqlDialect) takeNumber() string {
	if d.mysql() {
		return "UPDATE counters SET number = last_insert_id(number + ?) WHERE id = 1"
	}
	return "UPDATE counters SET number = number + ? WHERE id = 1 RETURNING number"
}

// number runs takeNumber.
func (d sqlDialect) number(ctx context.Context, take *sql.Stmt, by int64) (number int64, err error) {
	if !d.mysql() {
		err = take.QueryRowContext(ctx, by).Scan(&number)
		return number, err
	}
	res, err := take.ExecContext(ctx, by)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// seqsOf is a query for the numbers of a JSON array, which is its one argument.
func (d sqlDialect) seqsOf() string {
	switch {
	case d.postgres():
		return "SELECT value::bigint FROM jsonb_array_elements_text(?::jsonb)"
	case d.mysql():
		return "SELECT value FROM json_table(?, '$[*]' COLUMNS (value bigint PATH '$')) list"
	}
	return "SELECT value FROM json_each(?)"
}

// ownSigns looks for what a JSON array of askedSign names among the signs of a user in a conversation: it returns the
// places in the array, counted from 0.
func (d sqlDialect) ownSigns() string {
	const same = "r.conversation_id = ? AND r.user_id = ? AND r.seq = a.s AND r.`key` = a.k"
	switch {
	case d.postgres():
		return "SELECT a.n - 1 FROM (SELECT n, (value ->> 's')::bigint AS s, value ->> 'k' AS k " +
			"FROM jsonb_array_elements(?::jsonb) WITH ORDINALITY AS list (value, n)) a JOIN reactions r ON " + same
	case d.mysql():
		return "SELECT a.n - 1 FROM json_table(?, '$[*]' COLUMNS (n FOR ORDINALITY, s bigint PATH '$.s', " +
			"k varchar(255) PATH '$.k')) a CROSS JOIN reactions r ON " + same
	}
	return "SELECT a.key FROM json_each(?) a CROSS JOIN reactions r ON " +
		strings.NewReplacer("a.s", "a.value ->> 's'", "a.k", "a.value ->> 'k'").Replace(same)
}
