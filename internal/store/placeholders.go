package store

import (
	"database/sql/driver"
	"strconv"
	"strings"
	"sync"
)

// statement is hand-written SQL as a server takes it.
type statement struct {
	text string
	// order says which argument each placeholder takes, counted from 0, where that is not simply the next one.
	order []int
	// inputs is how many arguments it takes; -1 where order is nil.
	inputs int
}

// arguments brings arguments into the order of the statement's placeholders.
func (s statement) arguments(args []driver.NamedValue) []driver.NamedValue {
	if s.order == nil || len(args) != s.inputs {
		return args
	}
	out := make([]driver.NamedValue, len(s.order))
	for i, from := range s.order {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: args[from].Value}
	}
	return out
}

// translationsKept is how many statements are kept: hand-written ones are few, and lists of any length are not to fill
// the memory.
const translationsKept = 1024

// translator turns the placeholders of SQLite, ? and ?1, into those of a server: $1 where dollar is set, for PostgreSQL, and
// ? elsewhere. Names quoted by ` are quoted by " there. It is safe for concurrent use.
type translator struct {
	dollar bool

	mu    sync.RWMutex
	known map[string]statement
}

func (t *translator) translate(query string) statement {
	if !strings.ContainsAny(query, "?`") {
		return statement{text: query, inputs: -1}
	}
	t.mu.RLock()
	s, ok := t.known[query]
	t.mu.RUnlock()
	if ok {
		return s
	}
	s = translate(query, t.dollar)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) < translationsKept {
		if t.known == nil {
			t.known = make(map[string]statement)
		}
		t.known[query] = s
	}
	return s
}

// translate leaves texts, quoted names and comments as they are. A query has either kind of placeholder, and not both.
func translate(query string, dollar bool) statement {
	var out strings.Builder
	out.Grow(len(query) + 16)
	var order []int
	numbered, next := false, 0
	for i := 0; i < len(query); {
		if end := quotedEnd(query, i, dollar); end > i {
			if quoted := query[i:end]; dollar && quoted[0] == '`' {
				out.WriteString(strings.ReplaceAll(quoted, "`", `"`))
			} else {
				out.WriteString(quoted)
			}
			i = end
			continue
		}
		if query[i] != '?' {
			out.WriteByte(query[i])
			i++
			continue
		}
		i++
		digits := i
		for digits < len(query) && query[digits] >= '0' && query[digits] <= '9' {
			digits++
		}
		next++
		number := next
		if digits > i {
			if n, err := strconv.Atoi(query[i:digits]); err == nil && n > 0 {
				number, numbered = n, true
			}
			i = digits
		}
		order = append(order, number-1)
		if dollar {
			out.WriteByte('$')
			out.WriteString(strconv.Itoa(number))
		} else {
			out.WriteByte('?')
		}
	}
	s := statement{text: out.String(), inputs: -1}
	if numbered && !dollar { // PostgreSQL has numbers of its own
		s.order = order
		for _, from := range order {
			s.inputs = max(s.inputs, from+1)
		}
	}
	return s
}

// quotedEnd returns where the text, the quoted name or the comment ends that begins at i, or i where none does.
func quotedEnd(query string, i int, dollar bool) int {
	rest := query[i:]
	switch {
	case rest[0] == '\'' || rest[0] == '"' || rest[0] == '`':
		// Two quotes within are a quote, which reads as an end and a beginning. MySQL and E'…' know a backslash as well.
		escapes := rest[0] == '\'' && (!dollar || (i > 0 && (query[i-1] == 'E' || query[i-1] == 'e')))
		for k := 1; k < len(rest); k++ {
			switch {
			case rest[k] == '\\' && escapes:
				k++
			case rest[k] == rest[0]:
				return i + k + 1
			}
		}
		return len(query)
	case strings.HasPrefix(rest, "--"):
		return endAfter(query, i, "\n")
	case strings.HasPrefix(rest, "/*"):
		return endAfter(query, i, "*/")
	case dollar && rest[0] == '$':
		if tag := dollarTag(rest); tag != "" {
			return endAfter(query, i+len(tag), tag)
		}
	}
	return i
}

func endAfter(query string, from int, end string) int {
	if k := strings.Index(query[from:], end); k >= 0 {
		return from + k + len(end)
	}
	return len(query)
}

// dollarTag returns what opens a text of PostgreSQL, $$ or $word$, or "".
func dollarTag(rest string) string {
	for k := 1; k < len(rest); k++ {
		c := rest[k]
		switch {
		case c == '$':
			return rest[:k+1]
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || k > 1 && c >= '0' && c <= '9':
		default:
			return ""
		}
	}
	return ""
}
