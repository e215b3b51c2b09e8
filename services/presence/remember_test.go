package presence_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// here reports all devices of a node.
func (w *world) here(node string, devices ...*edgev1.DeviceReport) {
	w.t.Helper()
	w.report(&edgev1.NodeReport{Node: node, Complete: true, Devices: devices})
}

// persons are the columns of what is kept.
const persons = "id, online_audience, last_seen_audience, last_seen_at, platforms, status_text, status_emoji, status_until"

// kill ends a server as if its process had been killed: what comes next finds what was on disk.
func (s *server) kill() {
	s.t.Helper()
	if storetest.Backend() != storetest.SQLite {
		db := s.raw()
		before, err := storetest.Rows(s.t.Context(), db, "SELECT "+persons+" FROM persons")
		s.must(err)
		s.close()
		_, err = db.ExecContext(s.t.Context(), "DELETE FROM persons")
		s.must(err)
		for _, row := range before {
			_, err := db.ExecContext(s.t.Context(), "INSERT INTO persons ("+persons+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row...)
			s.must(err)
		}
		return
	}
	folder := s.t.TempDir()
	_, err := s.raw().ExecContext(s.t.Context(), "VACUUM INTO ?", filepath.Join(folder, "presence.db"))
	s.must(err)
	s.close()
	s.storeURL = (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(folder)}).String()
}

// TestARestartIsNoGoingAway: who comes back within the time that edges need was there all along, and who does not left when
// the server did.
func TestARestartIsNoGoingAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.here("n1", dev("ann", web), dev("ben", web), dev("ben", ios), dev("cat", authv1.Platform_PLATFORM_UNSPECIFIED))
	s.settle("n2")
	s.report(&edgev1.NodeReport{Node: "n1", Gone: true}) // edges stop first
	s.settle("n2")
	left := s.clock.now().Truncate(time.Minute)
	for range 2 { // and a second time before anybody is back
		s.close()
		s.clock.advance(40 * time.Second)
		s = w.boot(quick())
	}
	s.assertLooks(s.look("bob", "ann"), true, platforms(web), never)
	s.assertLooks(s.look("bob", "ben"), true, platforms(web, ios), never)
	s.assertLooks(s.look("bob", "cat"), true, nil, never)
	s.settle("n2")
	s.clock.advance(14 * time.Second)
	s.here("n1", dev("ann", web), dev("ben", web))
	s.settle("n1", "n2")
	for _, user := range []string{"ann", "ben", "cat"} {
		s.assertTold(user, 1)
	}
	s.clock.advance(time.Second)
	s.settle("n1", "n2")
	s.assertTold("ann", 1)
	s.assertTold("ben", 2)
	s.assertLooks(s.last("ben"), true, platforms(web), never)
	s.assertTold("cat", 2)
	s.assertLooks(s.look("bob", "cat"), false, nil, left)

	// From now on their grace is that of everybody.
	s.leave("n1", "ann", web)
	s.settle("n1")
	s.clock.advance(10 * time.Second)
	s.settle("n1")
	s.assertTold("ann", 2)
	db := w.raw()
	s.eventually("those who left are stored", func() bool { return w.rows(db, "id IN ('ann', 'cat') AND platforms = 0") == 2 })
}

// TestALongStopIsAGoingAway: nobody is shown online who was here long ago, and those who follow them hear it.
func TestALongStopIsAGoingAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	left := s.clock.now().Truncate(time.Minute)
	s.close()
	s.clock.advance(10 * time.Minute)
	s = w.boot(quick())
	s.assertLooks(s.look("bob", "ann"), false, nil, left)
	s.settle("n2")
	s.assertTold("ann", 2)
	s.assertLooks(s.last("ann"), false, nil, never)
	db := w.raw()
	s.eventually("it is stored", func() bool { return w.rows(db, "id = 'ann' AND platforms = 0") == 1 })
	s.clock.advance(-24 * time.Hour) // a clock that goes back keeps nobody here
	s.close()
	s = w.boot(quick())
	if p := s.look("bob", "ann"); p.GetOnline() {
		t.Errorf("got %v", p)
	}
}

// TestTheClockGoesBackAtARestart: those who were here do not stay until it is as late again.
func TestTheClockGoesBackAtARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	s.come("n1", "ann", web)
	s.settle("n1")
	s.close()
	s.clock.advance(-24 * time.Hour)
	s = w.boot(quick())
	s.settle("n2")
	s.clock.advance(-24 * time.Hour)
	s.settle("n2")
	for range 2 {
		s.clock.advance(15 * time.Second)
		s.settle("n2")
	}
	s.assertTold("ann", 2)
	if p := s.look("bob", "ann"); p.GetOnline() {
		t.Errorf("got %v", p)
	}
}

// TestAKillForgetsFiveMinutes, and no more: neither of who is here for long, nor of who left.
func TestAKillForgetsFiveMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.boot(quick())
	db := w.raw()
	s.here("n1", dev("ann", web), dev("ben", ios))
	s.settle("n2")
	for minute := range 7 {
		s.clock.advance(time.Minute)
		s.here("n1", dev("ann", web), dev("ben", ios)) // in time, for the clock stands now
		s.settle("n2")
		if minute < 4 {
			if n := w.rows(db, "id IN ('ann', 'ben')"); n != 0 {
				t.Fatalf("%d are stored after %d minutes", n, minute+1)
			}
		}
	}
	s.eventually("they are stored", func() bool { return w.rows(db, "id IN ('ann', 'ben') AND platforms <> 0") == 2 })
	left := s.clock.now().Truncate(time.Minute)
	s.here("n1", dev("ann", web), dev("late", web)) // without ben
	s.settle("n2")
	s.clock.advance(2 * time.Minute)
	s.here("n1", dev("ann", web), dev("late", web))
	s.settle("n2")
	s.eventually("it is stored", func() bool { return w.rows(db, "id = 'ben' AND platforms = 0") == 1 })
	killed := s.clock.now()
	s.kill()

	s = w.boot(quick())
	s.assertLooks(s.look("bob", "ann"), true, platforms(web), never)
	s.assertLooks(s.look("bob", "ben"), false, nil, left)
	s.assertLooks(s.look("bob", "late"), false, nil, never) // forgotten
	s.settle("n2")
	s.clock.advance(15 * time.Second)
	s.settle("n2")
	p := s.look("bob", "ann")
	if at := p.GetLastSeenAt().AsTime(); p.GetOnline() || at.After(killed) || at.Before(killed.Add(-6*time.Minute)) {
		t.Errorf("killed at %v, and got %v", killed, p)
	}
}

// TestLastSeenIsStoredManyAtOnce: of those who left, of those who stay, and at the end, in transactions of 2,000.
func TestLastSeenIsStoredManyAtOnce(t *testing.T) {
	t.Parallel()
	const nodes, each, batch = 3, 1500, 2000
	w := newWorld(t)
	s := w.boot(quick())
	db := w.raw()
	stored := func(where string) {
		t.Helper()
		s.eventually("all are stored", func() bool {
			n := w.rows(db, "id LIKE 'user%' AND "+where)
			if n%batch != 0 && n != nodes*each {
				t.Fatalf("%d rows with %s were stored", n, where)
			}
			return n == nodes*each
		})
	}
	s.crowd(nodes, each)
	s.eventually("all are told", func() bool { return s.metric("stoa_presence_told_total") == nodes*each })
	s.clock.advance(5*time.Minute - 1)
	s.crowd(nodes, each)
	s.settle("fences")
	if n := s.metric("stoa_presence_last_seen_stored_total"); n != 0 {
		t.Errorf("%v rows were stored of people who just came", n)
	}
	tx, err := db.BeginTx(t.Context(), nil) // takes the write lock, so that what cannot be stored is tried again
	s.must(err)
	s.clock.advance(1)
	s.settle("fences")
	s.must(tx.Rollback())
	stored("platforms <> 0")
	for range 3 { // once in five minutes
		s.settle("fences")
	}
	if n := s.metric("stoa_presence_last_seen_stored_total"); n != nodes*each {
		t.Errorf("%v rows were stored of %d people", n, nodes*each)
	}

	for n := range nodes {
		s.report(&edgev1.NodeReport{Node: fmt.Sprint("n", n), Gone: true})
	}
	s.settle("fences")
	tx, err = db.BeginTx(t.Context(), nil)
	s.must(err)
	s.clock.advance(10 * time.Second)
	s.eventually("all are told", func() bool { return s.last("user-2-1499") != nil && !s.last("user-2-1499").GetOnline() })
	s.must(tx.Rollback())
	stored("platforms = 0")

	s.crowd(nodes, each)
	s.settle("fences")
	s.close()
	if n := w.rows(db, "id LIKE 'user%' AND platforms <> 0"); n != nodes*each {
		t.Errorf("%d of %d who were here at the end are stored", n, nodes*each)
	}
}
