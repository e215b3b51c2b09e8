package chat_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

func TestOutboxIsDrainedAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := messagesTold(w)
	n := w.boot(fast())
	n.fill(10)
	n.eventually("ten were published", func() bool { return len(published()) == 10 })
	w.bus.refuse.Store(true)
	var all sync.WaitGroup
	for i := range 90 {
		all.Go(func() { n.send(fmt.Sprint("s", i%7), fmt.Sprint("dark-", i), "x") })
	}
	all.Wait()
	n.close() // as good as a crash for the outbox: the bus took none of them
	db := w.raw()
	if rows := count(t, db, "outboxes"); rows == 0 {
		t.Error("nothing waits in the outbox")
	}
	w.bus.refuse.Store(false)
	n = w.boot(fast())
	v := n.watch(n.guest("reader"), &chatv1.Position{Epoch: 1, Seq: 4})
	n.send("ann", "after", "x")
	v.saw(101)
	assertRun(t, seqs(v.all()), 5, 101)
	n.eventually("all were published", func() bool { return len(published()) >= 101 })
	var order []int64
	for _, e := range published() {
		order = append(order, e.GetSeq())
	}
	assertRun(t, order, 1, 101)
	n.eventually("the outbox is empty", func() bool { return count(t, db, "outboxes") == 0 })
}

func TestReaderGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.fill(30)
	v := n.watch(n.guest("reader"), nil)
	v.saw(30)
	v.stop()
	n.send("ann", "unheard", "x")
	n.close()
	n = w.boot(fast())
	again := n.watch(n.guest("reader"), &chatv1.Position{Epoch: 1, Seq: 30})
	n.send("ann", "after the restart", "x")
	again.saw(32)
	assertRun(t, append(seqs(v.all()), seqs(again.all())...), 1, 32)
}

func TestRepeatedAndLostEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	v := n.watch(n.guest("reader"), nil)
	var stored []*chatv1.Message
	for i := range 5 {
		stored = append(stored, n.send("ann", fmt.Sprint("event-", i), "x"))
	}
	v.saw(5)
	for _, m := range stored { // a bus delivers at least once
		n.must(tellAgain(t.Context(), w, m))
	}
	w.bus.lose.Store(true)
	lost := n.send("ann", "lost", "x")
	db := w.raw()
	n.eventually("the bus has lost it", func() bool { return count(t, db, "outboxes") == 0 })
	w.bus.lose.Store(false)
	n.send("ann", "found", "x")
	assertRun(t, seqs(v.saw(7)), 1, 7)
	for _, e := range v.all() {
		if m := e.GetMessage(); m.GetSeq() == lost.GetSeq() && !proto.Equal(m, lost) {
			t.Errorf("got %v for %v", m, lost)
		}
	}
}

func TestFailedBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.fill(3)
	db := w.raw()
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	n.eventually("the outbox is empty", func() bool { return count(t, db, "outboxes") == 0 })
	exec("ALTER TABLE outboxes RENAME TO hidden")
	if _, err := n.as("ann").SendMessage(t.Context(), sending(room, "unlucky", "x")); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) ||
		strings.Contains(err.Error(), "outbox") {
		t.Errorf("got %v", err)
	}
	exec("ALTER TABLE hidden RENAME TO outboxes")
	if m := n.send("ann", "unlucky", "x"); m.GetSeq() != 4 {
		t.Errorf("the failure left a gap: %v", m)
	}
	w.users.set(func(d *directory) { d.down = true })
	if _, err := n.as("new").SendMessage(t.Context(), sending(room, "no auth", "x")); !errs.Is(err, connect.CodeUnavailable, "") {
		t.Errorf("without auth: %v", err)
	}
}

func TestFailedDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.send("ann", "stays", "x")
	db := w.raw()
	n.eventually("the outbox is empty", func() bool { return count(t, db, "outboxes") == 0 })
	exec := func(query string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), query)
		w.must(err)
	}
	exec("ALTER TABLE outboxes RENAME TO hidden")
	_, err := n.neighbour("admin").DeleteMessage(t.Context(), &chatv1.DeleteMessageRequest{
		ConversationId: room, Position: at(1),
	})
	if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("got %v", err)
	}
	exec("ALTER TABLE hidden RENAME TO outboxes")
	if m := n.history()[0]; m.GetDeleted() {
		t.Errorf("half of it was done: %v", m)
	}
	if was := n.takeAway(1); was.GetDeleted() {
		t.Errorf("took away %v", was)
	}
}

func TestCallerWhoDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	n.send("ann", "warm up", "x")
	hold, err := w.raw().BeginTx(t.Context(), &sql.TxOptions{}) // the disk is busy
	n.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.as("ann").SendMessage(ctx, sending(room, "impatient", "x")); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("got %v", err)
	}
	n.must(hold.Rollback())
	if m := n.send("ann", "impatient", "x"); m.GetSeq() != 2 {
		t.Errorf("got %v", m)
	}
	if m := n.send("ann", "next", "x"); m.GetSeq() != 3 {
		t.Errorf("it was stored twice: %v", m)
	}
}

func TestCloseStoresWhatWasSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	who := n.User("ann", authv1.Role_ROLE_USER)
	var mu sync.Mutex
	var acked []*chatv1.Message
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := 0; ; k++ {
				m, err := n.service.SendMessage(context.Background(), who, chat.Draft{
					ConversationID: room, ClientMsgID: fmt.Sprint("closing-", i, "-", k), Content: text("x"),
				})
				if err != nil {
					if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) && !errors.Is(err, sql.ErrConnDone) &&
						!strings.Contains(err.Error(), "database is closed") {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				acked = append(acked, m)
				mu.Unlock()
			}
		})
	}
	n.eventually("some are stored", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acked) > 100
	})
	n.close()
	all.Wait()
	n = w.boot(fast())
	v := n.watch(n.guest("reader"), &chatv1.Position{Epoch: 1})
	stored := make(map[int64]string)
	for _, e := range v.all() {
		if m := e.GetMessage(); m != nil {
			stored[m.GetSeq()] = m.GetClientMsgId()
		}
	}
	for _, m := range acked {
		if stored[m.GetSeq()] != m.GetClientMsgId() {
			t.Errorf("%v was lost", m)
		}
	}
}

func TestCallsBeforeStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clients, err := rpc.ClientOptions(w.rpc, "chat")
	w.must(err)
	s, err := chat.New(t.Context(), chat.Config{}, service.Deps{
		Logger: w.rpc.Logger, Metrics: w.rpc.Metrics, Bus: w.bus, Registry: w.registry, Client: clients, StoreURL: w.storeURL,
	})
	w.must(err)
	if _, err := s.SendMessage(t.Context(), w.User("ann", authv1.Role_ROLE_USER), chat.Draft{
		ConversationID: room, ClientMsgID: "too early", Content: text("x"),
	}); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("got %v", err)
	}
	w.must(s.Close(t.Context()))
	if _, there := w.metric("stoa_chat_outbox_pending"); there {
		t.Error("its metrics are still there")
	}
}
