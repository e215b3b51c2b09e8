package stoa_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	stoa "github.com/stoa-live/stoa/clients/go"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// log keeps what a connection told.
type log struct {
	mu    sync.Mutex
	told  []string
	block chan struct{} // OnEvents waits for it where it is set
}

func (l *log) add(what ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, what...)
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

// into has a connection tell a log: numbers of notices, and syncs.
func (l *log) into(o stoa.Options) stoa.Options {
	o.OnSync = func(*edgev1.SignedIn) { l.add("sync") }
	o.OnEvents = func(events []*edgev1.Event) {
		for _, event := range events {
			l.add(string(event.GetNotice().GetData()))
		}
		if l.block != nil {
			<-l.block
		}
	}
	return o
}

// numbers is what a log holds that was told everything once.
func numbers(from, to int) []string {
	var out []string
	for n := from; n <= to; n++ {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// TestResume cuts a connection again and again: each push comes once and in order, with no sync but the first.
func TestResume(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.packs = e.scheme == "tcp"
		l := &log{}
		dial(t, l.into(e.options()))
		const all = 400
		for n := 1; n <= all; n++ {
			e.push(notice(n))
			if n%37 == 0 && n < 300 {
				e.cut()
			}
		}
		want := append([]string{"sync"}, numbers(1, all)...)
		eventually(t, "all was told", func() bool { return len(l.all()) >= len(want) })
		if got := l.all(); !slices.Equal(got, want) {
			t.Errorf("it was told %v", got)
		}
		eventually(t, "the last fifty are acknowledged", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.acks) > 0 && slices.IsSorted(e.acks) && e.acks[len(e.acks)-1] > all-50
		})
	})
}

// TestNewSession restarts the server: the client is told to sync between what it heard before and after.
func TestNewSession(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		l := &log{}
		conn := dial(t, l.into(e.options()))
		for round := range 3 {
			n := round * 10
			for i := 1; i <= 10; i++ {
				e.push(notice(n + i))
			}
			eventually(t, "all was told", func() bool { return len(l.all()) == (round+1)*11 })
			before := conn.Session().GetSessionId()
			e.forget()
			eventually(t, "there is a new session", func() bool {
				s := conn.Session()
				return s != nil && s.GetSessionId() != before
			})
		}
		want := slices.Concat([]string{"sync"}, numbers(1, 10), []string{"sync"}, numbers(11, 20), []string{"sync"},
			numbers(21, 30))
		if got := l.all()[:33]; !slices.Equal(got, want) {
			t.Errorf("it was told %v", got)
		}
	})
}

// TestSlowCallback lets events wait: those above the bound are dropped and a sync stands in their place, and meanwhile calls
// are answered.
func TestSlowCallback(t *testing.T) {
	transports(t, func(t *testing.T, e *edge) {
		e.handle = me
		l := &log{block: make(chan struct{})}
		o := l.into(e.options())
		o.QueueEvents = 10
		conn := dial(t, o)
		for n := 1; n <= 1000; n++ {
			e.push(notice(n))
		}
		if err := conn.Call(within(t), authv1connect.AuthServiceGetMeProcedure, &authv1.GetMeRequest{},
			&authv1.GetMeResponse{}); err != nil {
			t.Errorf("a call behind a thousand pushes ended by %v", err)
		}
		close(l.block)
		eventually(t, "a second sync was told", func() bool { return slices.Contains(l.all()[1:], "sync") })
		e.push(notice(1001))
		eventually(t, "what came later was told", func() bool { return slices.Contains(l.all(), "1001") })
		got := l.all()
		again := slices.Index(got[1:], "sync") + 1
		if want := append([]string{"sync"}, numbers(1, again-1)...); !slices.Equal(got[:again], want) {
			t.Errorf("before the second sync it was told %v", got[:again])
		}
		if again > 13 {
			t.Errorf("%d events waited", again)
		}
		if got[len(got)-1] != "1001" {
			t.Errorf("it was told %v", got)
		}
	})
}
