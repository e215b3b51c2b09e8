package chat_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/chat"
)

const (
	room     = "01JROOM0000000000000000000"
	patience = 10 * time.Second
)

// fast lets tests write as fast as they can.
func fast() chat.Config {
	return chat.Config{UserRate: 1e9, UserBurst: 1e9, RoomRate: 1e9, RoomBurst: 1e9, LikeRate: 1e9, LikeBurst: 1e9}
}

// directory is auth's side.
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	mu    sync.Mutex
	names map[string]string // nicknames that differ from the id
	gone  map[string]bool   // who was deleted
	down  bool
	asked int
}

func (d *directory) BatchGetUsers(
	_ context.Context, r *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "auth is away")
	}
	res := &authv1.BatchGetUsersResponse{}
	for _, id := range r.GetUserIds() {
		if id == "ghost" || d.gone[id] {
			continue
		}
		name := id
		if d.names[id] != "" {
			name = d.names[id]
		}
		res.Users = append(res.Users, &authv1.User{
			Id: id, Username: "secret-" + id, Nickname: name, AvatarUrl: "https://img/" + id, Role: authv1.Role_ROLE_USER,
		})
	}
	return res, nil
}

func (d *directory) set(change func(d *directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// faultyBus is a real bus that can be made to refuse or to lose messages, and to deny that it took likes.
type faultyBus struct {
	bus.Bus

	refuse, lose, deny atomic.Bool
	refused            atomic.Int64
}

func (b *faultyBus) Publish(ctx context.Context, topic, key string, payload []byte) error {
	if b.refuse.Load() && topic == chat.TopicConversationEvents {
		b.refused.Add(1)
		return errors.New("the bus is away")
	}
	if b.lose.Load() && topic == chat.TopicConversationEvents {
		return nil
	}
	err := b.Bus.Publish(ctx, topic, key, payload)
	if topic == chat.TopicConversationEvents && b.deny.Load() {
		return errors.New("some may have it and others not")
	}
	return err
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// world is all that a chat service lives in, and outlives it.
type world struct {
	*authntest.House

	t        testing.TB
	storeURL string
	bus      *faultyBus
	registry registry.Registry
	rpc      rpc.Deps
	users    *directory
	clock    *clock
	handlers connect.HandlerOption
}

func newWorld(t testing.TB) *world {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	w := &world{
		t: t, House: authntest.New(t), storeURL: storetest.URL(t),
		users: &directory{names: make(map[string]string), gone: make(map[string]bool)}, clock: &clock{},
	}
	w.rpc = rpc.Deps{
		Logger: logger, Metrics: telemetry.NewMetrics(), Verifier: w.Verifier, ServiceTokens: w.Services,
		Revocations: w.Revocations, Timeout: patience,
	}
	var err error
	w.handlers, err = rpc.HandlerOptions(w.rpc)
	w.must(err)
	inner, err := bus.Open(t.Context(), "mem:", logger)
	w.must(err)
	w.bus = &faultyBus{Bus: inner}
	w.registry, err = registry.Open(t.Context(), "static:")
	w.must(err)
	mux := http.NewServeMux()
	rpc.Handle(mux)(authv1connect.NewDirectoryServiceHandler(w.users, w.handlers))
	auth := memhttp.NewServer(mux, memhttp.WithName("auth"))
	w.must(w.registry.Register(t.Context(), "auth", registry.Endpoint{BaseURL: auth.URL(), Client: auth.Client()}))
	t.Cleanup(func() {
		w.must(errors.Join(w.bus.Close(context.Background()), auth.Close(), w.registry.Close()))
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// node is a running chat service.
type node struct {
	*world

	service *chat.Service
	server  *memhttp.Server
	end     func(ctx context.Context) error
}

// boot starts a chat service that ends with the test, unless it is closed before.
func (w *world) boot(cfg chat.Config) *node {
	w.t.Helper()
	clients, err := rpc.ClientOptions(w.rpc, "chat")
	w.must(err)
	s, err := chat.New(w.t.Context(), cfg, service.Deps{
		Logger: w.rpc.Logger, Metrics: w.rpc.Metrics, Bus: w.bus, Registry: w.registry, Client: clients,
		StoreURL: w.storeURL, Now: w.clock.now,
	})
	w.must(err)
	mux := http.NewServeMux()
	s.Mount(rpc.Handle(mux), w.handlers)
	n := &node{world: w, service: s, server: memhttp.NewServer(mux, memhttp.WithName("chat"))}
	w.must(s.Start(w.t.Context()))
	var once sync.Once
	n.end = func(ctx context.Context) (err error) {
		once.Do(func() {
			err = errors.Join(n.server.Close(), s.Close(ctx))
		})
		return err
	}
	w.t.Cleanup(func() { w.must(n.end(context.Background())) })
	n.create(room)
	return n
}

func (n *node) close() {
	n.t.Helper()
	n.must(n.end(context.Background()))
}

func (n *node) create(id string) {
	n.t.Helper()
	_, err := n.neighbour("live").CreateConversation(n.t.Context(), &chatv1.CreateConversationRequest{
		ConversationId: id, Kind: chatv1.ConversationKind_CONVERSATION_KIND_LIVE_ROOM, OwnerId: "owner",
	})
	n.must(err)
}

// neighbour returns the client of another service.
func (n *node) neighbour(name string) chatv1connect.ConversationServiceClient {
	return chatv1connect.NewConversationServiceClient(n.server.Client(), n.server.URL(), n.AsService(name))
}

// as returns a user's client.
func (n *node) as(user string, options ...connect.ClientOption) chatv1connect.ChatServiceClient {
	n.t.Helper()
	return n.client(n.server.Client(), user, authv1.Role_ROLE_USER, options...)
}

func (n *node) guest(user string) chatv1connect.ChatServiceClient {
	n.t.Helper()
	return n.client(n.server.Client(), user, authv1.Role_ROLE_GUEST)
}

func (n *node) client(
	h *http.Client, user string, role authv1.Role, options ...connect.ClientOption,
) chatv1connect.ChatServiceClient {
	n.t.Helper()
	options = append(options, n.As(n.t, n.User(user, role)))
	return chatv1connect.NewChatServiceClient(h, n.server.URL(), options...)
}

func text(s string) *chatv1.Content {
	return &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: s}}}
}

func sending(conversation, id, s string) *chatv1.SendMessageRequest {
	return &chatv1.SendMessageRequest{ConversationId: conversation, ClientMsgId: "message-" + id, Content: text(s)}
}

// send sends a message that must succeed.
func (n *node) send(user, id, s string) *chatv1.Message {
	n.t.Helper()
	res, err := n.as(user).SendMessage(n.t.Context(), sending(room, id, s))
	n.must(err)
	return res.GetMessage()
}

// fill stores messages, many at once, at the service's own door.
func (n *node) fill(count int) {
	n.t.Helper()
	who := n.User("filler", authv1.Role_ROLE_USER)
	var all sync.WaitGroup
	for from := range 16 {
		all.Go(func() {
			for i := from; i < count; i += 16 {
				if _, err := n.service.SendMessage(
					n.t.Context(), who, chat.Draft{
						ConversationID: room, ClientMsgID: fmt.Sprint("fill-message-", i), Content: text(fmt.Sprint(i)),
					},
				); err != nil {
					n.t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// raw opens the service's database behind its back.
func (w *world) raw() *sql.DB {
	w.t.Helper()
	return storetest.Behind(w.t, w.storeURL, "chat", os.DirFS("."))
}

func count(t testing.TB, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// metric returns the value of a metric without labels, and whether there is one.
func (w *world) metric(name string) (float64, bool) {
	w.t.Helper()
	families, err := w.rpc.Metrics.Registry.Gather()
	w.must(err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// assertMetric fails the test unless a metric has a value.
func (w *world) assertMetric(name string, want float64) {
	w.t.Helper()
	if got, _ := w.metric(name); got != want {
		w.t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// eventually waits for a condition that nothing announces.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("waited too long until %s", what)
		}
	}
}

// collect subscribes to a topic of the bus and returns what came so far.
func collect[T any, P interface {
	*T
	protoMessage
}](w *world, topic string) func() []P {
	w.t.Helper()
	var mu sync.Mutex
	var got []P
	s, err := bus.Subscribe(w.bus, topic, "", func(_ context.Context, _ string, event P) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, event)
		return nil
	})
	w.must(err)
	w.t.Cleanup(func() { w.must(s.Close()) })
	return func() []P {
		mu.Lock()
		defer mu.Unlock()
		return append([]P(nil), got...)
	}
}
