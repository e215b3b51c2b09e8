package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// traced are the calls that bring a message to the disk and its answer to a socket.
const traced = "trace=pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg"

// tracer is the command that has strace write down the calls of a server. It is the server's child in name only (-D):
// signals reach the server itself.
func tracer(file string) []string {
	return []string{"strace", "-D", "-f", "-qq", "-y", "-xx", "-s", "5000", "-e", traced, "-e", "signal=none", "-o", file}
}

// call is a system call of a server. A line of the trace is written when a call begins and when it has ended, and what one
// thread does because another one's call has ended comes after it.
type call struct {
	name, file string // file is the path, or what kind of socket it is
	data       []byte // what it writes
	began      int    // number of the line
	ended      int    // so; 0 while it has not
	failed     bool
}

// readTrace returns the calls of a trace in the order in which they began. Its last line may not be whole yet.
func readTrace(t *testing.T, file string) (calls []*call) {
	t.Helper()
	in, err := os.Open(file)
	must(t, err)
	defer func() { _ = in.Close() }()
	open := make(map[string]*call) // by thread
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		thread, line, _ := strings.Cut(lines.Text(), " ")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "<... ") {
			if c := open[thread]; c != nil {
				c.end(n, line)
				delete(open, thread)
			}
			continue
		}
		c := parseCall(line)
		if c == nil {
			continue
		}
		c.began = n
		if calls = append(calls, c); strings.HasSuffix(line, "<unfinished ...>") {
			open[thread] = c
		} else {
			c.end(n, line)
		}
	}
	must(t, lines.Err())
	return calls
}

func (c *call) end(line int, text string) {
	at := strings.LastIndex(text, ") = ")
	if at < 0 {
		at = strings.LastIndex(text, ") ") // strace puts = into a column
	}
	if at < 0 {
		return // the line is not whole
	}
	result := strings.TrimLeft(text[at+1:], " =")
	c.ended, c.failed = line, strings.HasPrefix(result, "-") || strings.HasPrefix(result, "?")
}

// parseCall reads the beginning of a call, such as: pwrite64(12</data/db/chat.db-wal>, "\x37\x7f", 24, 0) = 24
func parseCall(line string) *call {
	name, rest, ok := strings.Cut(line, "(")
	if !ok {
		return nil
	}
	_, rest, ok = strings.Cut(rest, "<")
	if !ok {
		return nil
	}
	file, rest, ok := strings.Cut(rest, ">")
	if !ok {
		return nil
	}
	c := &call{name: name, file: fromHex(file)}
	for _, part := range strings.Split(rest, `"`) { // of a writev there are several
		if strings.HasPrefix(part, `\x`) {
			c.data = append(c.data, fromHex(part)...)
		}
	}
	return c
}

// fromHex decodes \x41\x42; anything else is as it is.
func fromHex(s string) string {
	if !strings.HasPrefix(s, `\x`) {
		return s
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return s
	}
	return string(b)
}

// toSocket reports whether a call sends something to a client.
func (c *call) toSocket() bool {
	return c.name != "pwrite64" && (strings.HasPrefix(c.file, "TCP") || strings.HasPrefix(c.file, "socket"))
}

// transaction is what was written into a log of SQLite up to the frame that makes it whole.
type transaction struct {
	pages []*call
}

func (x transaction) says(text string) bool {
	return slices.ContainsFunc(x.pages, func(c *call) bool { return bytes.Contains(c.data, []byte(text)) })
}

// story is what a trace tells of one log: its transactions and syncs, and what clients were told.
type story struct {
	transactions []transaction
	syncs, told  []*call
}

func storyOf(calls []*call, log string) (s story) {
	const head = 24 // of a frame; then comes its page
	var now transaction
	last := false // of the transaction
	for _, c := range calls {
		switch {
		case c.toSocket():
			s.told = append(s.told, c)
		case filepath.Base(c.file) != log:
		case c.name == "fsync" || c.name == "fdatasync":
			if c.ended > 0 && !c.failed {
				s.syncs = append(s.syncs, c)
			}
		case c.name == "pwrite64" && len(c.data) == head:
			last = binary.BigEndian.Uint32(c.data[4:]) != 0 // the size of the database, where it ends a transaction
		case c.name == "pwrite64" && len(c.data) > head && c.ended > 0 && !c.failed:
			if now.pages = append(now.pages, c); last {
				s.transactions = append(s.transactions, now)
				now, last = transaction{}, false
			}
		}
	}
	return s
}

// kept holds the story to the promise: a message's transaction was whole in the log, then the log was brought to the disk,
// and only after that somebody was told of the message.
func (s story) kept(text string) error {
	t := slices.IndexFunc(s.told, func(c *call) bool { return bytes.Contains(c.data, []byte(text)) })
	if t < 0 {
		return fmt.Errorf("nobody is told of %q", text)
	}
	told := s.told[t].began
	x := slices.IndexFunc(s.transactions, func(x transaction) bool { return x.says(text) })
	if x < 0 {
		return fmt.Errorf("in line %d somebody is told of %q, which no transaction holds", told, text)
	}
	pages := s.transactions[x].pages
	whole := pages[len(pages)-1].ended
	if !slices.ContainsFunc(s.syncs, func(c *call) bool { return c.began > whole && c.ended < told }) {
		return fmt.Errorf("%q is written in line %d and told in line %d, and there is no sync between", text, whole, told)
	}
	return nil
}
