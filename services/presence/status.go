package presence

import (
	"container/heap"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"

	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
)

const (
	// maxStatus is the length of a status, in characters, maxEmoji that of its emoji, which may be joined of several.
	maxStatus = 80
	maxEmoji  = 16
)

// Status is what a user says about themselves.
type Status struct {
	Text, Emoji string
	Until       time.Time // UTC; zero for one without an end
}

// empty reports whether nothing is said.
func (s Status) empty() bool { return s.Text == "" && s.Emoji == "" }

// holds reports whether there is a status at a time.
func (s Status) holds(now time.Time) bool {
	return !s.empty() && (s.Until.IsZero() || now.Before(s.Until))
}

func (s Status) proto() *presencev1.Status {
	out := &presencev1.Status{Text: s.Text, Emoji: s.Emoji}
	if !s.Until.IsZero() {
		out.Until = timestamppb.New(s.Until)
	}
	return out
}

// cleanStatus returns a status as it is stored. Its text and emoji keep the rule of nicknames, but that there may be none.
// Errors: INVALID_ARGUMENT.
func cleanStatus(s *presencev1.Status, now time.Time) (Status, error) {
	var out Status
	if text := s.GetText(); strings.TrimSpace(text) != "" {
		line, ok := words.Line(text, maxStatus)
		if !ok {
			return Status{}, invalid("status.text: a status is one line of at most %d characters, of which one is visible", maxStatus)
		}
		out.Text = line
	}
	if emoji := s.GetEmoji(); emoji != "" {
		line, ok := words.Line(emoji, maxEmoji)
		if !ok || line != emoji || strings.ContainsFunc(emoji, unicode.IsSpace) {
			return Status{}, invalid("status.emoji: this is no emoji")
		}
		out.Emoji = emoji
	}
	if s.GetUntil() == nil || out.empty() {
		return out, nil
	}
	// Binary messages can name years that no database and no clock understands.
	if err := s.GetUntil().CheckValid(); err != nil {
		return Status{}, invalid("status.until: this is no time").Because(err)
	}
	// Kept as precise as it is told.
	if out.Until = s.GetUntil().AsTime().Truncate(time.Second); !out.Until.After(now) {
		return Status{}, invalid("status.until: a status ends in the future")
	}
	return out, nil
}

func invalid(format string, args ...any) *errs.Error {
	return errs.InvalidArgument(errs.ReasonInvalidArgument, format, args...)
}

// endings are the ends of statuses that end by themselves.
type endings struct {
	mu    sync.Mutex
	until map[string]time.Time // by user
	next  endingHeap           // also holds what until has no more
}

type ending struct {
	user  string
	until time.Time
}

func newEndings() *endings { return &endings{until: make(map[string]time.Time)} }

// set notes when a user's status ends; zero means never.
func (e *endings) set(user string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if until.IsZero() {
		delete(e.until, user)
		return
	}
	e.until[user] = until
	heap.Push(&e.next, ending{user, until})
	if len(e.next) > 2*len(e.until)+1000 { // mostly replaced ones
		e.next = e.next[:0]
		for user, until := range e.until {
			e.next = append(e.next, ending{user, until})
		}
		heap.Init(&e.next)
	}
}

// over returns up to limit users whose status ended, each once, and when it did.
func (e *endings) over(now time.Time, limit int) map[string]time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	ended := make(map[string]time.Time)
	for len(ended) < limit && len(e.next) > 0 && !now.Before(e.next[0].until) {
		first, _ := heap.Pop(&e.next).(ending)
		if e.until[first.user].Equal(first.until) {
			delete(e.until, first.user)
			ended[first.user] = first.until
		}
	}
	return ended
}

// endingHeap is a heap.Interface, the earliest first.
type endingHeap []ending

func (h endingHeap) Len() int           { return len(h) }
func (h endingHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h endingHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *endingHeap) Push(x any) {
	if e, ok := x.(ending); ok {
		*h = append(*h, e)
	}
}

// Pop implements heap.Interface.
func (h *endingHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = ending{}
	*h = (*h)[:len(*h)-1]
	return last
}
