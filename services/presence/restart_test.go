package presence_test

import (
	"database/sql"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/presence"
)

// raw opens the service's database behind its back.
func (w *world) raw() *sql.DB {
	w.t.Helper()
	return storetest.Behind(w.t, w.storeURL, "presence", os.DirFS("."))
}

func (w *world) rows(db *sql.DB, where string) (n int) {
	w.t.Helper()
	w.must(db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM persons WHERE "+where).Scan(&n))
	return n
}

// TestARestartForgetsNothing: neither what people chose nor when they were seen, of those too who were there at the end.
func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.come("n1", "left", web)
	s.settle("n1")
	s.leave("n1", "left", web)
	s.settle("n1")
	first := w.clock.now().Truncate(time.Minute)
	w.clock.advance(5 * time.Minute)
	s.settle("n1")
	s.come("n1", "leaving", web)
	s.come("n1", "here", web)
	s.settle("n1")
	s.leave("n1", "leaving", web)
	s.settle("n1")
	second := w.clock.now().Truncate(time.Minute)
	w.clock.advance(5 * time.Second)
	s.setPrivacy("shy", nobody, contacts)
	s.setStatus("here", &presencev1.Status{Text: "kept", Emoji: "⛵"})
	s.setStatus("left", &presencev1.Status{Text: "ends meanwhile", Until: s.in(time.Minute)})
	s.settle("n1")
	third := w.clock.now().Truncate(time.Minute)
	s.close()

	told := len(w.told("left"))
	w.clock.advance(10 * time.Minute)
	s = w.boot(quick())
	s.assertLooks(s.look("bob", "left"), false, nil, first)
	s.assertLooks(s.look("bob", "leaving"), false, nil, second)
	s.assertLooks(s.look("bob", "here"), false, nil, third)
	if p := s.look("bob", "here"); p.GetStatus().GetText() != "kept" || p.GetStatus().GetEmoji() != "⛵" {
		t.Errorf("got %v", p)
	}
	res, err := s.as("shy").GetPrivacy(t.Context(), &presencev1.GetPrivacyRequest{})
	s.must(err)
	if res.GetPrivacy().GetOnline() != nobody || res.GetPrivacy().GetLastSeen() != contacts {
		t.Errorf("got %v", res)
	}
	// That a status ended while nobody was there to tell it is told now.
	s.settle("n2")
	s.assertTold("left", told+1)
	if p := s.last("left"); p.GetStatus() != nil {
		t.Errorf("told was %v", p)
	}
	// And once: the row is cleared.
	db := w.raw()
	s.eventually("the row is cleared", func() bool { return w.rows(db, "status_until > 0") == 0 })
	s.close()
	s = w.boot(quick())
	s.settle("n3")
	s.assertTold("left", told+1)

	// Edges tell within ten seconds who is here.
	s.report(&edgev1.NodeReport{Node: "n1", Complete: true, Devices: []*edgev1.DeviceReport{dev("here", web)}})
	s.settle("n1")
	s.assertLooks(s.look("bob", "here"), true, platforms(web), never)
}

// TestWhileTheStoreIsBusy: when somebody was last seen is shown before it is stored, and stored when it can be.
func TestWhileTheStoreIsBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	s.leave("n1", "ann", web)
	s.settle("n1")
	left := w.clock.now().Truncate(time.Minute)
	db := w.raw()
	tx, err := db.BeginTx(t.Context(), nil) // takes the write lock
	w.must(err)
	w.clock.advance(10 * time.Second)
	s.eventually("ann is away", func() bool { return s.last("ann") != nil && !s.last("ann").GetOnline() })
	s.assertLooks(s.look("bob", "ann"), false, nil, left)
	if n := s.metric("stoa_presence_last_seen_stored_total"); n != 0 {
		t.Errorf("%v are stored already", n)
	}
	w.must(tx.Rollback())
	s.untilMetric("stoa_presence_last_seen_stored_total", 1)
	s.assertLooks(s.look("bob", "ann"), false, nil, left)
	if n := w.rows(db, fmt.Sprintf("id = 'ann' AND last_seen_at = %d", left.Unix())); n != 1 {
		t.Errorf("%d rows are stored", n)
	}
}

// TestWhoExistsNoLongerIsForgotten: a guest who did not come back, but nobody else.
func TestWhoExistsNoLongerIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	db := w.raw()
	for i := range 450 { // more than auth is asked for at once
		s.come("n1", fmt.Sprintf("ghost-%03d", i), web)
		s.come("n1", fmt.Sprintf("user-%03d", i), web)
	}
	s.setPrivacy("ghost-who-chose", nobody, nobody)
	s.come("n1", "ghost-who-chose", web)
	s.settle("n1")
	s.report(&edgev1.NodeReport{Node: "n1", Gone: true})
	s.settle("n2")
	w.clock.advance(10 * time.Second)
	s.settle("n2")
	s.come("n2", "ghost-late", web)
	s.eventually("all are stored", func() bool { return w.rows(db, "last_seen_at > 0 AND id NOT LIKE 'fence%'") == 901 })
	w.clock.advance(29 * 24 * time.Hour)
	s.leave("n2", "ghost-late", web)
	s.settle("n2")
	if n := s.metric("stoa_presence_pruned_total"); n != 0 {
		t.Errorf("%v were forgotten too early", n)
	}
	w.users.down.Store(true) // nobody is forgotten because nobody knows them at the moment
	asked := w.users.asked.Load()
	w.clock.advance(25 * time.Hour)
	s.eventually("auth was asked", func() bool { return w.users.asked.Load() > asked })
	w.users.down.Store(false)
	w.clock.advance(25 * time.Hour)
	s.untilMetric("stoa_presence_pruned_total", 450)
	for where, want := range map[string]int{
		"id LIKE 'ghost-0%' OR id LIKE 'ghost-4%'": 0, "id LIKE 'user-%'": 450, "id = 'ghost-who-chose'": 1, "id = 'ghost-late'": 1,
	} {
		if n := w.rows(db, where); n != want {
			t.Errorf("%d rows with %s, want %d", n, where, want)
		}
	}
	if p := s.look("bob", "ghost-001"); !p.GetHidden() {
		t.Errorf("got %v", p)
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, cfg := range map[string]presence.Config{
		"grace":       {Grace: -1},
		"lost":        {Lost: -time.Second},
		"pulse":       {Pulse: -1},
		"remember":    {Remember: -1},
		"settle":      {Settle: -1},
		"timeout":     {Timeout: -1},
		"keep":        {Keep: -1},
		"rate":        {ChangeRate: -1},
		"no rate":     {ChangeRate: math.NaN()},
		"burst":       {ChangeBurst: -1},
		"bad storage": {},
	} {
		deps := service.Deps{Logger: w.rpc.Logger, Metrics: w.rpc.Metrics, Bus: w.bus, Registry: w.registry, StoreURL: w.storeURL}
		if name == "bad storage" {
			deps.StoreURL = "unknown:"
		}
		if s, err := presence.New(t.Context(), cfg, deps); err == nil {
			t.Errorf("%s: it was made", name)
			w.must(s.Close(t.Context()))
		}
	}
	// What was refused left nothing behind, and neither does what was never started.
	s, door := w.open(presence.Config{})
	w.must(door.Close())
	w.must(s.Close(t.Context()))
	w.boot(quick())
}

// TestBeforeTheStart: handlers are there before neighbours are.
func TestBeforeTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service, door := w.open(quick())
	s := &server{world: w, http: door}
	ann := s.as("ann")
	_, get := ann.BatchGetPresence(t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: []string{"ben"}})
	_, count := ann.CountPeople(t.Context(), &presencev1.CountPeopleRequest{ConversationIds: []string{"room"}})
	_, status := ann.SetStatus(t.Context(), &presencev1.SetStatusRequest{Status: &presencev1.Status{Text: "x"}})
	_, privacy := ann.UpdatePrivacy(t.Context(), &presencev1.UpdatePrivacyRequest{Privacy: &presencev1.Privacy{}})
	for call, err := range map[string]error{
		"BatchGetPresence": get, "CountPeople": count, "SetStatus": status, "UpdatePrivacy": privacy,
	} {
		if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
			t.Errorf("%s: %v", call, err)
		}
	}
	w.must(door.Close())
	w.must(service.Close(t.Context()))
}
