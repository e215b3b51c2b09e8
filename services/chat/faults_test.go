package chat_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

func TestOutboxIsDrainedAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := collect[chatv1.MessageStored](w, chat.TopicMessageStored)
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
		order = append(order, e.GetMessage().GetSeq())
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
	n.service.Drain()
	if err := v.ended(); !errs.Is(err, connect.CodeUnavailable, chat.ReasonDraining) {
		t.Errorf("the stream ended with %v", err)
	}
	if err := n.subscribeError(n.guest("reader"), room); !errs.Is(err, connect.CodeUnavailable, chat.ReasonDraining) {
		t.Errorf("a stream while draining: %v", err)
	}
	n.send("ann", "while draining", "x") // still taken
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
	v.greeted()
	var stored []*chatv1.Message
	for i := range 5 {
		stored = append(stored, n.send("ann", fmt.Sprint("event-", i), "x"))
	}
	v.saw(5)
	for _, m := range stored { // a bus delivers at least once
		n.must(bus.Publish(t.Context(), w.bus, chat.TopicMessageStored, room, &chatv1.MessageStored{Message: m}))
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

// everyHTTP runs a test over both versions of HTTP, with so little room between the server and its client that one that
// does not read is soon felt.
func everyHTTP(t *testing.T, run func(t *testing.T, n *node, h *http.Client)) {
	t.Helper()
	for name, version := range map[string]func(p *http.Protocols){
		"HTTP 1": func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP 2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fast()
			cfg.Queue = 16
			n := newWorld(t).boot(cfg)
			transport := &http.Transport{
				Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.server.Dial(ctx) },
			}
			version(transport.Protocols)
			t.Cleanup(transport.CloseIdleConnections)
			run(t, n, &http.Client{Transport: transport})
		})
	}
}

// stalledStream opens a subscription and reads no more than its greeting.
func (n *node) stalledStream(h *http.Client) *connect.ServerStreamForClient[chatv1.SubscribeResponse] {
	n.t.Helper()
	c := n.client(h, "slow", authv1.Role_ROLE_GUEST)
	ctx, cancel := context.WithCancel(n.t.Context())
	n.t.Cleanup(cancel)
	stream, err := c.Subscribe(ctx, &chatv1.SubscribeRequest{ConversationId: room})
	n.must(err)
	if !stream.Receive() || stream.Msg().GetEvent().GetSubscribed() == nil {
		n.t.Fatalf("no greeting: %v", stream.Err())
	}
	return stream
}

// noise is a long text that gzip cannot make small.
func noise() string {
	runes := make([]rune, 500)
	for i := range runes {
		runes[i] = 0x4E00 + rand.Int32N(20_000)
	}
	return string(runes)
}

// flood sends long messages, calling after each with its number, until a slow consumer was cut; it returns how many.
func (n *node) flood(each func(sent int64)) (sent int64) {
	n.t.Helper()
	who := n.User("flood", authv1.Role_ROLE_USER)
	n.eventually("a slow consumer is cut", func() bool {
		for range 10 {
			sent++
			_, err := n.service.SendMessage(
				n.t.Context(), who, room, fmt.Sprint("flood-", sent), text(noise()),
			)
			n.must(err)
			each(sent)
		}
		cut, _ := n.metric("stoa_chat_slow_consumers_total")
		return cut == 1
	})
	return sent
}

func TestSlowConsumerIsCutAndResumes(t *testing.T) {
	t.Parallel()
	everyHTTP(t, func(t *testing.T, n *node, h *http.Client) {
		slow := n.stalledStream(h)
		defer slow.Close() //nolint:errcheck // a test
		quick := n.watch(n.guest("quick"), nil)
		quick.greeted()
		sent := n.flood(func(sent int64) { quick.saw(sent) }) // the others are never held up
		if dropped, _ := n.metric("stoa_chat_events_dropped_total"); dropped == 0 {
			t.Error("no dropped events were counted")
		}
		var all []int64
		for slow.Receive() {
			if m := slow.Msg().GetEvent().GetMessage(); m != nil {
				all = append(all, m.GetSeq())
			}
		}
		if !errs.Is(slow.Err(), connect.CodeResourceExhausted, chat.ReasonSlowConsumer) {
			t.Errorf("it was cut with %v", slow.Err())
		}
		assertRun(t, all, 1, int64(len(all)))
		if len(all) == 0 || int64(len(all)) == sent {
			t.Errorf("it saw %d of %d messages", len(all), sent)
		}
		back := n.watch(n.guest("slow"), &chatv1.Position{Epoch: 1, Seq: int64(len(all))})
		assertRun(t, append(all, seqs(back.saw(sent))...), 1, sent)
	})
}

func TestReaderThatNeverReadsIsLetGo(t *testing.T) {
	t.Parallel()
	everyHTTP(t, func(t *testing.T, n *node, h *http.Client) {
		dead := n.stalledStream(h)
		defer dead.Close() //nolint:errcheck // a test
		quick := n.watch(n.guest("quick"), nil)
		quick.greeted()
		n.flood(func(sent int64) { quick.saw(sent) }) // at a pace that any reader keeps
		n.untilMetric("stoa_chat_subscribers", 1)
	})
}

func TestRevokedSessionsStream(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ann, bob := n.watch(n.as("ann"), nil), n.watch(n.as("bob"), nil)
	ann.greeted()
	bob.greeted()
	n.Revocations.Add("session-ann", time.Now())
	if err := ann.ended(); !errs.Is(err, connect.CodeUnauthenticated, "SESSION_REVOKED") {
		t.Errorf("ended with %v", err)
	}
	n.send("bob", "still here", "x")
	bob.saw(1)
	n.untilMetric("stoa_chat_subscribers", 1)
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
				m, err := n.service.SendMessage(context.Background(), who, room, fmt.Sprint("closing-", i, "-", k), text("x"))
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
	v.greeted()
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
	if _, err := s.SendMessage(t.Context(), w.User("ann", authv1.Role_ROLE_USER), room, "too early", text("x")); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("got %v", err)
	}
	w.must(s.Close(t.Context()))
	if _, there := w.metric("stoa_chat_subscribers"); there {
		t.Error("its metrics are still there")
	}
}

func TestStreamOverHTTP1IsReusable(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	h := n.server.HTTP1Client()
	transport, _ := h.Transport.(*http.Transport)
	transport.DisableKeepAlives = false
	transport.MaxConnsPerHost = 1
	defer transport.CloseIdleConnections()
	c := chatv1connect.NewChatServiceClient(h, n.server.URL(), n.As(t, n.User("ann", authv1.Role_ROLE_GUEST)))
	if err := n.subscribeError(c, "01JNOBODY00000000000000000"); !errs.Is(err, connect.CodeNotFound, "") {
		t.Errorf("got %v", err)
	}
	if _, err := c.ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: room}); err != nil {
		t.Error(err)
	}
}
