package live_test

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
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/live"
)

const patience = 15 * time.Second

// Names of states, short.
const (
	starting    = livev1.BroadcastState_BROADCAST_STATE_STARTING
	onAir       = livev1.BroadcastState_BROADCAST_STATE_LIVE
	interrupted = livev1.BroadcastState_BROADCAST_STATE_INTERRUPTED
	ended       = livev1.BroadcastState_BROADCAST_STATE_ENDED
)

// world is all that a live service lives in, and outlives it.
type world struct {
	*authntest.House

	t        testing.TB
	storeURL string
	dataDir  string
	bus      bus.Bus
	registry registry.Registry
	users    *directory
	talks    *conversations
	settings *site
	ahead    atomic.Int64 // of the service's clock

	mu     sync.Mutex
	events []*livev1.BroadcastChanged
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		House: authntest.New(t), t: t, storeURL: storetest.URL(t), dataDir: t.TempDir(),
		users: &directory{}, talks: &conversations{owner: make(map[string]string)}, settings: &site{},
	}
	handlers, err := rpc.HandlerOptions(w.deps())
	w.must(err)
	w.bus, err = bus.Open(t.Context(), "mem:", slog.New(slog.DiscardHandler))
	w.must(err)
	w.registry, err = registry.Open(t.Context(), "static:")
	w.must(err)
	mux := http.NewServeMux()
	rpc.Handle(mux)(authv1connect.NewDirectoryServiceHandler(w.users, handlers))
	rpc.Handle(mux)(chatv1connect.NewConversationServiceHandler(w.talks, handlers))
	rpc.Handle(mux)(sitev1connect.NewSiteServiceHandler(w.settings, handlers))
	neighbours := memhttp.NewServer(mux, memhttp.WithName("neighbours"))
	for _, name := range []string{"auth", "chat", "site"} {
		w.must(w.registry.Register(t.Context(), name, registry.Endpoint{BaseURL: neighbours.URL(), Client: neighbours.Client()}))
	}
	subscription, err := bus.Subscribe(w.bus, "live.broadcast_changed", "", func(_ context.Context, _ string, e *livev1.BroadcastChanged) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
		return nil
	})
	w.must(err)
	t.Cleanup(func() {
		w.must(errors.Join(subscription.Close(), w.bus.Close(context.Background()), neighbours.Close(), w.registry.Close()))
	})
	return w
}

func (w *world) deps() rpc.Deps {
	return rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(), Verifier: w.Verifier, ServiceTokens: w.Services,
		Revocations: w.Revocations, Timeout: patience,
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// told returns the states of a room's broadcasts, as the bus was told.
func (w *world) told(roomID string) (states []livev1.BroadcastState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.GetBroadcast().GetRoomId() == roomID {
			states = append(states, e.GetBroadcast().GetState())
		}
	}
	return states
}

func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	tick := time.NewTicker(3 * time.Millisecond)
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

// node is a running live service.
type node struct {
	*world

	service *live.Service
	server  *memhttp.Server
	metrics *telemetry.Metrics
	end     func() error
}

// boot starts a live service that ends with the test, unless it is closed before.
func (w *world) boot(tune func(*live.Config)) *node {
	w.t.Helper()
	config := live.Config{
		RTMPAddr: "127.0.0.1:0", ReconnectWindow: time.Minute, CoverInterval: time.Minute, FFmpeg: "no such program",
		PlayKey: []byte(strings.Repeat("k", 32)),
	}
	if tune != nil {
		tune(&config)
	}
	deps := w.deps()
	clients, err := rpc.ClientOptions(deps, "live")
	w.must(err)
	handlers, err := rpc.HandlerOptions(deps)
	w.must(err)
	s, err := live.New(w.t.Context(), config, service.Deps{
		Logger: deps.Logger, Metrics: deps.Metrics, Bus: w.bus, Registry: w.registry, Client: clients,
		StoreURL: w.storeURL, DataDir: w.dataDir, Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	w.must(err)
	mux := http.NewServeMux()
	s.Mount(rpc.Handle(mux), handlers)
	n := &node{world: w, service: s, server: memhttp.NewServer(mux, memhttp.WithName("live")), metrics: deps.Metrics}
	w.must(s.Start(w.t.Context()))
	n.end = sync.OnceValue(func() error {
		s.Drain()
		return errors.Join(n.server.Close(), s.Close(context.Background()))
	})
	w.t.Cleanup(func() { w.must(n.end()) })
	return n
}

// as returns a user's client.
func (n *node) as(user string) livev1connect.LiveServiceClient {
	n.t.Helper()
	return n.withRole(user, authv1.Role_ROLE_USER)
}

func (n *node) withRole(user string, role authv1.Role) livev1connect.LiveServiceClient {
	n.t.Helper()
	return livev1connect.NewLiveServiceClient(n.server.Client(), n.server.URL(), n.As(n.t, n.User(user, role)))
}

func (n *node) control(options ...connect.ClientOption) livev1connect.ControlServiceClient {
	return livev1connect.NewControlServiceClient(n.server.Client(), n.server.URL(), options...)
}

var requests atomic.Int64

func requestID() string { return fmt.Sprint("request-", requests.Add(1)) }

// open opens a room.
func (n *node) open(owner string) *livev1.Room {
	n.t.Helper()
	return n.openIn(owner, "talk")
}

func (n *node) openIn(owner, category string) *livev1.Room {
	n.t.Helper()
	res, err := n.as(owner).CreateRoom(n.t.Context(), &livev1.CreateRoomRequest{Title: "A room", CategoryId: category, RequestId: requestID()})
	n.must(err)
	return res.GetRoom()
}

func (n *node) key(owner, roomID string) string {
	n.t.Helper()
	res, err := n.as(owner).IssueStreamKey(n.t.Context(), &livev1.IssueStreamKeyRequest{RoomId: roomID})
	n.must(err)
	return res.GetStreamKey()
}

func (n *node) get(roomID string) *livev1.GetRoomResponse {
	n.t.Helper()
	res, err := n.as("viewer").GetRoom(n.t.Context(), &livev1.GetRoomRequest{RoomId: roomID})
	n.must(err)
	return res
}

// until waits for a state of a room's broadcast and returns the broadcast.
func (n *node) until(roomID string, state livev1.BroadcastState) (b *livev1.Broadcast) {
	n.t.Helper()
	n.eventually("the broadcast is "+state.String(), func() bool {
		b = n.get(roomID).GetBroadcast()
		return b.GetState() == state
	})
	return b
}

// metric returns a figure by name and label values.
func (n *node) metric(name string, labels ...string) float64 {
	n.t.Helper()
	families, err := n.metrics.Registry.Gather()
	n.must(err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}
