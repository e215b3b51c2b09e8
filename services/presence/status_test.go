package presence_test

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/services/presence"
)

// in is a time from now.
func (w *world) in(d time.Duration) *timestamppb.Timestamp {
	return timestamppb.New(w.clock.now().Add(d))
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	own := s.setStatus("ann", &presencev1.Status{Text: "  at the harbour ", Emoji: "⛵"})
	if own.GetUserId() != "ann" || own.GetHidden() || own.GetStatus().GetText() != "at the harbour" ||
		own.GetStatus().GetEmoji() != "⛵" || own.GetStatus().GetUntil() != nil {
		t.Errorf("got %v", own)
	}
	s.settle("n1")
	s.assertTold("ann", 1)
	for name, p := range map[string]*presencev1.Presence{"told": s.last("ann"), "seen": s.look("bob", "ann")} {
		if p.GetStatus().GetText() != "at the harbour" || p.GetStatus().GetEmoji() != "⛵" || p.GetOnline() {
			t.Errorf("%s was %v", name, p)
		}
	}
	if own := s.setStatus("ann", &presencev1.Status{Text: " \t "}); own.GetStatus() != nil {
		t.Errorf("got %v", own)
	}
	s.settle("n1")
	s.assertTold("ann", 2)
	if p := s.last("ann"); p.GetStatus() != nil {
		t.Errorf("told was %v", p)
	}
	for _, status := range []*presencev1.Status{ // what is as good as any other
		{Text: strings.Repeat("字", 80)}, {Text: "مرحبا"}, {Emoji: "👩‍👩‍👧‍👦"}, {Emoji: "1️⃣"}, {Emoji: "🏴󠁧󠁢󠁥󠁮󠁧󠁿"},
	} {
		if own := s.setStatus("ann", status); own.GetStatus().GetText() != status.GetText() || own.GetStatus().GetEmoji() != status.GetEmoji() {
			t.Errorf("set %v, got %v", status, own.GetStatus())
		}
	}
	if own := s.setStatus("ann", nil); own.GetStatus() != nil {
		t.Errorf("got %v", own)
	}
}

// TestAStatusEndsByItself: it is not seen from that moment on, and that it ended is told.
func TestAStatusEndsByItself(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	until := s.in(time.Hour)
	if own := s.setStatus("ann", &presencev1.Status{Text: "lunch", Until: until}); own.GetStatus().GetUntil().AsTime() != until.AsTime() {
		t.Errorf("got %v", own)
	}
	s.setStatus("ben", &presencev1.Status{Text: "soon replaced", Until: s.in(time.Minute)})
	s.setStatus("ben", &presencev1.Status{Text: "lasting"})
	s.setStatus("cat", &presencev1.Status{Text: "soon prolonged", Until: s.in(time.Minute)})
	s.setStatus("cat", &presencev1.Status{Text: "prolonged", Until: s.in(2 * time.Hour)})
	s.settle("n1")
	told := len(s.told("ben")) + len(s.told("cat"))
	s.clock.advance(time.Hour - 1)
	s.settle("n1")
	s.assertTold("ann", 1)
	if p := s.look("bob", "ann"); p.GetStatus().GetText() != "lunch" {
		t.Errorf("got %v", p)
	}
	s.clock.advance(1)
	if p := s.look("bob", "ann"); p.GetStatus() != nil {
		t.Errorf("got %v", p)
	}
	s.settle("n1")
	s.assertTold("ann", 2)
	if p := s.last("ann"); p.GetStatus() != nil {
		t.Errorf("told was %v", p)
	}
	if n := len(s.told("ben")) + len(s.told("cat")); n != told {
		t.Errorf("the end of replaced ones was told: %v %v", s.told("ben"), s.told("cat"))
	}
	if p := s.look("bob", "cat"); p.GetStatus().GetText() != "prolonged" {
		t.Errorf("got %v", p)
	}
	s.clock.advance(time.Hour)
	s.settle("n1")
	if p := s.last("cat"); p.GetStatus() != nil {
		t.Errorf("told was %v", p)
	}
}

// TestAnEndIsFinal: what was told to be over does not come back when the clock goes back, nor with a restart.
func TestAnEndIsFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.setStatus("ann", &presencev1.Status{Text: "lunch", Until: s.in(time.Hour)})
	s.setStatus("ben", &presencev1.Status{Text: "longer", Until: s.in(3 * time.Hour)})
	s.settle("n1")
	s.clock.advance(2 * time.Hour)
	s.settle("n1")
	s.assertTold("ann", 2)
	s.clock.advance(-2 * time.Hour)
	for range 2 {
		s.settle("n1")
		if p := s.look("bob", "ann"); p.GetStatus() != nil {
			t.Errorf("what was over is seen again: %v", p)
		}
		if p := s.look("bob", "ben"); p.GetStatus().GetText() != "longer" {
			t.Errorf("what was not over is %v", p)
		}
		s.close()
		s = w.boot(quick())
	}
	s.assertTold("ann", 2)
}

// TestEndsWaitForTheStore: that a status is over is told when it is stored.
func TestEndsWaitForTheStore(t *testing.T) {
	t.Parallel()
	cfg := quick()
	cfg.Timeout = 100 * time.Millisecond
	s := newWorld(t).boot(cfg)
	s.setStatus("ann", &presencev1.Status{Text: "lunch", Until: s.in(time.Hour)})
	s.settle("n1")
	tx, err := s.raw().BeginTx(t.Context(), nil) // takes the write lock
	s.must(err)
	s.clock.advance(time.Hour)
	s.eventually("it could not be stored", func() bool { return s.metric("stoa_presence_pulse_failures_total") > 2 })
	if p := s.look("bob", "ann"); p.GetStatus() != nil {
		t.Errorf("what is over is seen: %v", p)
	}
	s.assertTold("ann", 1)
	s.must(tx.Rollback())
	s.settle("n1")
	s.assertTold("ann", 2)
}

// TestManyEndsAtOnce: a thousand a pulse, each once.
func TestManyEndsAtOnce(t *testing.T) {
	t.Parallel()
	const many = 1200
	s := newWorld(t).boot(quick())
	db := s.raw()
	s.close()
	s.must(store.InTx(t.Context(), db, func(tx *sql.Tx) error {
		for i := range many {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO persons (id, status_text, status_until) VALUES (?, 'lunch', ?)",
				fmt.Sprint("user-", i+1), s.in(time.Hour).GetSeconds()); err != nil {
				return err
			}
		}
		return nil
	}))
	s = s.boot(quick())
	s.clock.advance(time.Hour)
	s.eventually("all are over", func() bool { return s.rows(db, "status_until > 0 OR status_text <> ''") == 0 })
	s.settle("n1")
	for i := range many {
		s.assertTold(fmt.Sprint("user-", i+1), 1)
	}
}

// TestManyEnds: whoever replaces a status that ends again and again makes nothing grow, and the last end counts.
func TestManyEnds(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	ann := s.as("ann")
	for i := range 1500 {
		if _, err := ann.SetStatus(t.Context(), &presencev1.SetStatusRequest{
			Status: &presencev1.Status{Text: strconv.Itoa(i), Until: s.in(time.Hour + time.Duration(i)*time.Second)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.settle("n1")
	told := len(s.told("ann"))
	s.clock.advance(time.Hour + 1498*time.Second)
	s.settle("n1")
	s.assertTold("ann", told)
	s.clock.advance(time.Second)
	s.settle("n1")
	s.assertTold("ann", told+1)
}

func TestStatusesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(quick())
	s.setStatus("ann", &presencev1.Status{Text: "stays"})
	for name, status := range map[string]*presencev1.Status{
		"too long":             {Text: strings.Repeat("字", 81)},
		"two lines":            {Text: "one\ntwo"},
		"a line separator":     {Text: "one\u2028two"},
		"nothing visible":      {Text: "\u200b\u3164"},
		"turned around":        {Text: "abc\u202edef"},
		"a private character":  {Text: "\ue000"},
		"long emoji":           {Emoji: strings.Repeat("⛵", 17)},
		"an emoji of spaces":   {Emoji: "⛵ ⛵"},
		"a blank emoji":        {Emoji: " "},
		"an unseen emoji":      {Emoji: "\u200b"},
		"an emoji that turns":  {Emoji: "\u202e⛵"},
		"an emoji with a line": {Emoji: "⛵\n"},
		"over already":         {Text: "x", Until: s.in(-time.Hour)},
		"over now":             {Text: "x", Until: s.in(0)},
		"no time":              {Text: "x", Until: &timestamppb.Timestamp{Seconds: 1 << 60}},
		"no time at all":       {Text: "x", Until: &timestamppb.Timestamp{Seconds: 4_000_000_000, Nanos: -1}},
	} {
		_, err := s.as("ann").SetStatus(t.Context(), &presencev1.SetStatusRequest{Status: status})
		if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p := s.look("bob", "ann"); p.GetStatus().GetText() != "stays" {
		t.Errorf("got %v", p)
	}
}

func TestChangesAreLimited(t *testing.T) {
	t.Parallel()
	s := newWorld(t).boot(presence.Config{Pulse: time.Millisecond, ChangeRate: 0.5, ChangeBurst: 3})
	status := func(user string) error {
		_, err := s.as(user).SetStatus(t.Context(), &presencev1.SetStatusRequest{Status: &presencev1.Status{Text: "x"}})
		return err
	}
	privacy := func(user string) error {
		_, err := s.as(user).UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{Privacy: &presencev1.Privacy{}})
		return err
	}
	for name, call := range map[string]func(string) error{"SetStatus": status, "UpdatePrivacy": privacy} {
		for range 3 {
			s.must(call("ann"))
		}
		err := call("ann")
		if !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
			t.Fatalf("%s: %v", name, err)
		}
		if got := errs.Metadata(err)["retry_after_ms"]; got != "2000" {
			t.Errorf("%s: retry after %q ms", name, got)
		}
		s.must(call("ben")) // another's
		s.clock.advance(2*time.Second - time.Millisecond)
		if err := call("ann"); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
			t.Errorf("%s: too early: %v", name, err)
		}
		s.clock.advance(time.Millisecond)
		s.must(call("ann"))
	}
}
