package chat_test

import (
	"database/sql"
	"fmt"
	"strings"

	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// insert puts very many rows into the store itself: into names the table and its columns.
func (w *world) insert(into string, rows int, row func(i int) []any) {
	w.t.Helper()
	const most = 500 // a statement
	w.behind(func(db *sql.DB) error {
		return store.InTx(w.t.Context(), db, func(tx *sql.Tx) error {
			for from := 0; from < rows; from += most {
				to := min(rows, from+most)
				var args []any
				columns := 0
				for i := from; i < to; i++ {
					values := row(i)
					columns = len(values)
					args = append(args, values...)
				}
				one := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
				query := "INSERT INTO " + into + " VALUES " + one + strings.Repeat(", "+one, to-from-1)
				if _, err := tx.ExecContext(w.t.Context(), query, args...); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// trigger has a statement run before or after each change of a row, such as "BEFORE UPDATE ON messages", under a condition on
// old and new.
func (w *world) trigger(name, when, condition, statement string) {
	w.t.Helper()
	if condition == "" {
		condition = "1 = 1"
	}
	switch storetest.Backend() {
	case storetest.Postgres:
		row := "NEW"
		if strings.Contains(when, "DELETE") {
			row = "OLD"
		}
		w.exec(fmt.Sprintf("CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s; RETURN %s; END $$", name, statement, row))
		w.exec(fmt.Sprintf("CREATE TRIGGER %s %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION %s()", name, when, condition, name))
	case storetest.MariaDB:
		w.exec(fmt.Sprintf("CREATE TRIGGER %s %s FOR EACH ROW BEGIN IF %s THEN %s; END IF; END", name, when, condition, statement))
	default:
		w.exec(fmt.Sprintf("CREATE TRIGGER %s %s WHEN %s BEGIN %s; END", name, when, condition, statement))
	}
}

// breaks lets changes of rows fail under a condition, until mend.
func (w *world) breaks(table, condition string) {
	w.t.Helper()
	w.trigger("faulty", "BEFORE UPDATE ON "+table, condition, map[string]string{
		storetest.SQLite:   "SELECT RAISE(ABORT, 'the disk is broken')",
		storetest.Postgres: "RAISE EXCEPTION 'the disk is broken'",
		storetest.MariaDB:  "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the disk is broken'",
	}[storetest.Backend()])
}

func (w *world) mend(table string) {
	w.t.Helper()
	if storetest.Backend() == storetest.Postgres {
		w.exec("DROP TRIGGER faulty ON " + table)
		w.exec("DROP FUNCTION faulty()")
		return
	}
	w.exec("DROP TRIGGER faulty")
}
