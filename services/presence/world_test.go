package presence_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/presence"
)

const (
	patience = time.Minute
	fence    = "fence-"

	web     = authv1.Platform_PLATFORM_WEB
	android = authv1.Platform_PLATFORM_ANDROID
	ios     = authv1.Platform_PLATFORM_IOS
)

// quick tells as often as tests like, and lets people change what they want as often.
func quick() presence.Config {
	return presence.Config{Pulse: 2 * time.Millisecond, ChangeRate: 1e9, ChangeBurst: 1e9}
}

// directory is auth's side: everybody exists but ghosts.
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	down  atomic.Bool
	asked atomic.Int64
}

func (d *directory) BatchGetUsers(
	_ context.Context, r *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	d.asked.Add(1)
	if d.down.Load() {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "auth is away")
	}
	res := &authv1.BatchGetUsersResponse{}
	for _, id := range r.GetUserIds() {
		if !strings.HasPrefix(id, "ghost") {
			res.Users = append(res.Users, &authv1.User{Id: id})
		}
	}
	return res, nil
}

// addressBook is chat's side: who has a direct conversation with whom.
type addressBook struct {
	chatv1connect.UnimplementedConversationServiceHandler

	down  atomic.Bool
	asked atomic.Int64
	pairs sync.Map // of [2]string
	pause func()   // before an answer; nil for none
}

func (b *addressBook) introduce(one, other string) {
	b.pairs.Store([2]string{one, other}, true)
	b.pairs.Store([2]string{other, one}, true)
}

func (b *addressBook) FilterContacts(
	_ context.Context, r *chatv1.FilterContactsRequest,
) (*chatv1.FilterContactsResponse, error) {
	b.asked.Add(1)
	if b.down.Load() {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "chat is away")
	}
	if b.pause != nil {
		b.pause()
	}
	res := &chatv1.FilterContactsResponse{}
	for _, id := range r.GetUserIds() {
		if _, ok := b.pairs.Load([2]string{r.GetUserId(), id}); ok {
			res.UserIds = append(res.UserIds, id)
		}
	}
	return res, nil
}

// watchedBus is a real bus that knows when something was published, and can be made to refuse it.
type watchedBus struct {
	bus.Bus

	stuck   atomic.Value // a topic whose events nobody takes
	refuse  atomic.Bool
	refused atomic.Int64

	mu    sync.Mutex
	at    map[string][]time.Time // by topic
	bytes map[string]int         // by topic
}

func (b *watchedBus) Publish(ctx context.Context, topic, key string, payload []byte) error {
	if strings.HasPrefix(topic, "presence.") {
		if b.refuse.Load() {
			b.refused.Add(1)
			return errors.New("the bus is away")
		}
		if b.stuck.Load() == topic {
			<-ctx.Done()
			return ctx.Err()
		}
		b.mu.Lock()
		b.at[topic] = append(b.at[topic], time.Now())
		b.bytes[topic] += len(payload)
		b.mu.Unlock()
	}
	return b.Bus.Publish(ctx, topic, key, payload)
}

// clock stands still unless it is moved.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC).Add(time.Duration(c.ahead.Load()))
}
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// world is all that a presence service lives in, and outlives it.
type world struct {
	*authntest.House

	t        testing.TB
	storeURL string
	bus      *watchedBus
	registry registry.Registry
	rpc      rpc.Deps
	users    *directory
	book     *addressBook
	clock    *clock
	handlers connect.HandlerOption
	fences   int

	mu     sync.Mutex
	events []*presencev1.PresenceChanged
	byUser map[string][]*presencev1.Presence
	counts []*presencev1.PeopleChanged
}

func newWorld(t testing.TB) *world {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	w := &world{
		t: t, House: authntest.New(t), storeURL: storetest.URL(t), users: &directory{}, book: &addressBook{}, clock: &clock{},
		byUser: make(map[string][]*presencev1.Presence),
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
	w.bus = &watchedBus{Bus: inner, at: make(map[string][]time.Time), bytes: make(map[string]int)}
	w.registry, err = registry.Open(t.Context(), "static:")
	w.must(err)
	mux := http.NewServeMux()
	rpc.Handle(mux)(authv1connect.NewDirectoryServiceHandler(w.users, w.handlers))
	rpc.Handle(mux)(chatv1connect.NewConversationServiceHandler(w.book, w.handlers))
	neighbours := memhttp.NewServer(mux, memhttp.WithName("neighbours"))
	for _, name := range []string{"auth", "chat"} {
		w.must(w.registry.Register(t.Context(), name, registry.Endpoint{BaseURL: neighbours.URL(), Client: neighbours.Client()}))
	}
	_, err = bus.Subscribe(w.bus, presence.TopicChanged, "", func(_ context.Context, _ string, e *presencev1.PresenceChanged) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
		for _, p := range e.GetPresences() {
			if p.GetHidden() || p.GetLastSeenAt() != nil { // not all who follow may see when somebody was last seen
				t.Errorf("told was %v", p)
			}
			w.byUser[p.GetUserId()] = append(w.byUser[p.GetUserId()], p)
		}
		return nil
	})
	w.must(err)
	_, err = bus.Subscribe(w.bus, presence.TopicPeopleChanged, "", func(_ context.Context, _ string, e *presencev1.PeopleChanged) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.counts = append(w.counts, e)
		return nil
	})
	w.must(err)
	t.Cleanup(func() {
		w.must(errors.Join(w.bus.Close(context.Background()), neighbours.Close(), w.registry.Close()))
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// server is a presence service with a door, running.
type server struct {
	*world

	http *memhttp.Server
	end  func() error
}

// open makes a presence service that is not started.
func (w *world) open(cfg presence.Config) (*presence.Service, *memhttp.Server) {
	w.t.Helper()
	clients, err := rpc.ClientOptions(w.rpc, "presence")
	w.must(err)
	s, err := presence.New(w.t.Context(), cfg, service.Deps{
		Logger: w.rpc.Logger, Metrics: w.rpc.Metrics, Bus: w.bus, Registry: w.registry, Client: clients,
		StoreURL: w.storeURL, Now: w.clock.now,
	})
	w.must(err)
	mux := http.NewServeMux()
	s.Mount(rpc.Handle(mux), w.handlers)
	return s, memhttp.NewServer(mux, memhttp.WithName("presence"))
}

// boot starts a presence service that ends with the test, unless it is closed before.
func (w *world) boot(cfg presence.Config) *server {
	w.t.Helper()
	service, door := w.open(cfg)
	w.must(service.Start(w.t.Context()))
	var once sync.Once
	s := &server{world: w, http: door}
	s.end = func() (err error) {
		once.Do(func() { err = errors.Join(door.Close(), service.Close(context.Background())) })
		return err
	}
	w.t.Cleanup(func() { w.must(s.end()) })
	return s
}

func (s *server) close() {
	s.t.Helper()
	s.must(s.end())
}

func (s *server) as(user string) presencev1connect.PresenceServiceClient {
	return s.withRole(user, authv1.Role_ROLE_USER)
}

func (s *server) withRole(user string, role authv1.Role) presencev1connect.PresenceServiceClient {
	s.t.Helper()
	return presencev1connect.NewPresenceServiceClient(s.http.Client(), s.http.URL(), s.As(s.t, s.User(user, role)))
}

// look returns a user as a viewer sees them.
func (s *server) look(viewer, user string) *presencev1.Presence {
	s.t.Helper()
	return s.lookAs(s.as(viewer), user)
}

func (s *server) lookAs(viewer presencev1connect.PresenceServiceClient, user string) *presencev1.Presence {
	s.t.Helper()
	res, err := viewer.BatchGetPresence(s.t.Context(), &presencev1.BatchGetPresenceRequest{UserIds: []string{user}})
	s.must(err)
	if len(res.GetPresences()) != 1 || res.GetPresences()[0].GetUserId() != user {
		s.t.Fatalf("asked for %s, got %v", user, res)
	}
	return res.GetPresences()[0]
}

func (s *server) setPrivacy(user string, online, lastSeen presencev1.Audience) {
	s.t.Helper()
	_, err := s.as(user).UpdatePrivacy(s.t.Context(), &presencev1.UpdatePrivacyRequest{
		Privacy: &presencev1.Privacy{Online: online, LastSeen: lastSeen},
	})
	s.must(err)
}

// people returns how many are in a conversation.
func (s *server) people(conversation string) int {
	s.t.Helper()
	res, err := s.withRole("guest", authv1.Role_ROLE_GUEST).CountPeople(s.t.Context(),
		&presencev1.CountPeopleRequest{ConversationIds: []string{conversation}})
	s.must(err)
	return int(res.GetCounts()[0].GetCount())
}

func (w *world) report(r *edgev1.NodeReport) {
	w.t.Helper()
	w.must(bus.Publish(w.t.Context(), w.bus, "edge.node_report", r.GetNode(), r))
}

// dev is one device of a user.
func dev(user string, platform authv1.Platform) *edgev1.DeviceReport {
	return &edgev1.DeviceReport{UserId: user, DeviceId: "device-" + user, Platform: platform}
}

func (w *world) come(node, user string, platform authv1.Platform) {
	w.t.Helper()
	w.report(&edgev1.NodeReport{Node: node, Devices: []*edgev1.DeviceReport{dev(user, platform)}})
}

func (w *world) leave(node, user string, platform authv1.Platform) {
	w.t.Helper()
	d := dev(user, platform)
	d.Offline = true
	w.report(&edgev1.NodeReport{Node: node, Devices: []*edgev1.DeviceReport{d}})
}

func (w *world) enter(node, room string, users ...string) {
	w.t.Helper()
	w.report(&edgev1.NodeReport{Node: node, Rooms: []*edgev1.RoomReport{{ConversationId: room, Entered: users}}})
}

func (w *world) exit(node, room string, users ...string) {
	w.t.Helper()
	w.report(&edgev1.NodeReport{Node: node, Rooms: []*edgev1.RoomReport{{ConversationId: room, Left: users}}})
}

// settle waits until everything that was reported for nodes, and all that time has brought, is told: a change that comes
// after all those is told, and then another one, so that a whole pulse lies between.
func (w *world) settle(nodes ...string) {
	w.t.Helper()
	for range 2 {
		for _, node := range nodes {
			w.fences++
			name := fmt.Sprint(fence, w.fences)
			w.come(node, name, web)
			w.eventually(name+" is told", func() bool { return w.last(name) != nil })
		}
	}
}

// told returns what was told of a user so far.
func (w *world) told(user string) []*presencev1.Presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.byUser[user])
}

// last returns what was told of a user last, nil for nothing.
func (w *world) last(user string) *presencev1.Presence {
	if list := w.told(user); len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// toldAll returns the events so far without what was told of fences.
func (w *world) toldAll() (list []*presencev1.PresenceChanged) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		rest := &presencev1.PresenceChanged{PrivacyChanged: e.GetPrivacyChanged()}
		for _, p := range e.GetPresences() {
			if !strings.HasPrefix(p.GetUserId(), fence) {
				rest.Presences = append(rest.Presences, p)
			}
		}
		if len(rest.GetPresences())+len(rest.GetPrivacyChanged()) > 0 {
			list = append(list, rest)
		}
	}
	return list
}
