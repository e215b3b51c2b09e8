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
	"google.golang.org/protobuf/types/known/timestamppb"

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

// TestCallerWhoDoesNotWait gives every kind of change up while the disk is busy. What is done later for a caller who is gone
// touches nothing that the caller returns: the race detector would see it.
func TestCallerWhoDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.boot(fast()).cast(nil)
	other := c.direct("owner", "dan")
	c.say("owner", other, "there", "x")
	mine := c.say("owner", c.id, "mine", "x").GetSeq()
	hold, err := w.raw().BeginTx(t.Context(), &sql.TxOptions{}) // the disk is busy
	c.must(err)
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	acts := map[string]func(ctx context.Context) error{
		"send": func(ctx context.Context) error {
			m, err := c.as("owner").SendMessage(ctx, sending(c.id, "impatient", "x"))
			if err == nil && m.GetMessage().GetSeq() != mine+1 {
				t.Errorf("it was stored twice: %v", m)
			}
			return err
		},
		"forward": func(ctx context.Context) error {
			_, err := c.as("owner").ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
				FromConversationId: c.id, Seqs: []int64{mine}, ToConversationId: other, RequestId: "impatient",
			})
			return err
		},
		"edit": func(ctx context.Context) error {
			_, err := c.as("owner").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: c.id, Seq: mine, Content: text("y")})
			return err
		},
		"react": func(ctx context.Context) error {
			_, err := c.as("owner").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: c.id, Seq: mine, Key: "+1"})
			return err
		},
		"pin": func(ctx context.Context) error {
			_, err := c.as("owner").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: other, Seq: 1})
			return err
		},
		"advance": func(ctx context.Context) error {
			_, err := c.as("member").AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{
				Advances: []*chatv1.Advance{{ConversationId: c.id, ReadSeq: mine}},
			})
			return err
		},
		"settings": func(ctx context.Context) error {
			_, err := c.as("owner").UpdateSettings(ctx, &chatv1.UpdateSettingsRequest{
				ConversationId: c.id, Settings: &chatv1.MemberSettings{Silent: true},
			})
			return err
		},
		"hide": func(ctx context.Context) error {
			_, err := c.as("member2").HideMessages(ctx, &chatv1.HideMessagesRequest{ConversationId: c.id, Seqs: []int64{mine}})
			return err
		},
		"mute": func(ctx context.Context) error {
			_, err := c.groups("owner").MuteMember(ctx, &chatv1.MuteMemberRequest{
				ConversationId: c.id, UserId: "member2", Until: timestamppb.New(time.Now().Add(time.Hour)),
			})
			return err
		},
		"make admin": func(ctx context.Context) error {
			_, err := c.groups("owner").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
				ConversationId: c.id, UserId: "member", Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
			})
			return err
		},
		"take away": func(ctx context.Context) error {
			_, err := c.neighbour("admin").DeleteMessage(ctx, &chatv1.DeleteMessageRequest{ConversationId: c.id, Position: at(c.said)})
			return err
		},
		"open": func(ctx context.Context) error {
			_, err := c.as("owner").OpenDirect(ctx, &chatv1.OpenDirectRequest{UserId: "eve"})
			return err
		},
		"make a group": func(ctx context.Context) error {
			_, err := c.groups("owner").CreateGroup(ctx, &chatv1.CreateGroupRequest{RequestId: "impatient", Title: "x", UserIds: []string{"eve"}})
			return err
		},
	}
	var all sync.WaitGroup
	for name, act := range acts {
		all.Go(func() {
			if err := act(impatient); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	c.must(hold.Rollback())
	for name, act := range acts { // again, with patience
		if err := act(t.Context()); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
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
