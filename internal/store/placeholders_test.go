package store_test

import (
	"fmt"
	"testing"

	"github.com/stoa-live/stoa/internal/store"
)

func TestPlaceholders(t *testing.T) {
	for query, want := range map[string][2]string{ // for PostgreSQL, for MySQL
		"":                                {"", ""},
		"SELECT 1":                        {"SELECT 1", "SELECT 1"},
		"a = ? AND b = ?":                 {"a = $1 AND b = $2", "a = ? AND b = ?"},
		"a = ?2 AND b = ?1 AND c = ?2":    {"a = $2 AND b = $1 AND c = $2", "a = ? AND b = ? AND c = ?[1 0 1]"},
		"a = '?' AND b = ?":               {"a = '?' AND b = $1", "a = '?' AND b = ?"},
		"a = 'it''s ?' AND b = ?":         {"a = 'it''s ?' AND b = $1", "a = 'it''s ?' AND b = ?"},
		`a = '\' AND b = ? -- '`:          {`a = '\' AND b = $1 -- '`, `a = '\' AND b = ? -- '`},
		`a = E'\'?' AND b = ?`:            {`a = E'\'?' AND b = $1`, `a = E'\'?' AND b = ?`},
		`"a?" = ? AND "b""?" = ?`:         {`"a?" = $1 AND "b""?" = $2`, `"a?" = ? AND "b""?" = ?`},
		"`change` = ? AND `?` = ?":        {`"change" = $1 AND "?" = $2`, "`change` = ? AND `?` = ?"},
		"a = ? -- what?\nAND b = ?":       {"a = $1 -- what?\nAND b = $2", "a = ? -- what?\nAND b = ?"},
		"a = ? /* what? */ AND b = ?":     {"a = $1 /* what? */ AND b = $2", "a = ? /* what? */ AND b = ?"},
		"a = $$?$$ AND b = $x$ ?$$ $x$ ?": {"a = $$?$$ AND b = $x$ ?$$ $x$ $1", "a = $$?$$ AND b = $x$ ?$$ $x$ ?"},
		"a = ? AND b = $2":                {"a = $1 AND b = $2", "a = ? AND b = $2"},
		"a = '?":                          {"a = '?", "a = '?"},
		"a = ? /*":                        {"a = $1 /*", "a = ? /*"},
		"a=?,b=?,c=?,d=?,e=?,f=?,g=?,h=?,i=?,j=?,k=?": {
			"a=$1,b=$2,c=$3,d=$4,e=$5,f=$6,g=$7,h=$8,i=$9,j=$10,k=$11", "a=?,b=?,c=?,d=?,e=?,f=?,g=?,h=?,i=?,j=?,k=?",
		},
		"a = '1?' AND b = ?10":   {"a = '1?' AND b = $10", "a = '1?' AND b = ?[9]"},
		"naïve = ? AND '一?' = ?": {"naïve = $1 AND '一?' = $2", "naïve = ? AND '一?' = ?"},
	} {
		for i, dollar := range []bool{true, false} {
			got, order := store.Translate(query, dollar)
			if order != nil {
				got += fmt.Sprint(order)
			}
			if got != want[i] {
				t.Errorf("%s becomes\n%s, want\n%s", query, got, want[i])
			}
		}
	}
}
