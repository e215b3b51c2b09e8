package edge_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gateway/edge"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
)

const patience = 20 * time.Second

// largeAnswer is how many bytes the title has of the conversation "large", which may be answered by a call, just so.
const largeAnswer = 8<<20 - 100

// neighbours are chat and presence, as far as an edge asks them.
type neighbours struct {
	chatv1connect.UnimplementedConversationServiceHandler
	chatv1connect.UnimplementedChatServiceHandler
	presencev1connect.UnimplementedPresenceServiceHandler

	mu            sync.Mutex
	conversations map[string][]string // by user
	rooms         map[string]bool
	presence      presenceBook
	reading       chan struct{} // a list of conversations that waits until this lets it go on; nil for none
	slowRoom      chan struct{} // rooms are told when it is closed; nil for at once
	down          bool
}

func (n *neighbours) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *neighbours) ListConversationIds( //nolint:revive // the contract's name
	_ context.Context, r *chatv1.ListConversationIdsRequest,
) (*chatv1.ListConversationIdsResponse, error) {
	n.mu.Lock()
	ids, reading, down := n.conversations[r.GetUserId()], n.reading, n.down
	n.mu.Unlock()
	if down {
		return nil, errs.Unavailable(errs.ReasonUnavailable, "chat is away")
	}
	if reading != nil {
		<-reading // the list is read, and on its way
	}
	return &chatv1.ListConversationIdsResponse{ConversationIds: ids}, nil
}

func (n *neighbours) GetRoom(_ context.Context, r *chatv1.GetRoomRequest) (*chatv1.GetRoomResponse, error) {
	n.mu.Lock()
	known, slow := n.rooms[r.GetConversationId()], n.slowRoom
	n.mu.Unlock()
	if slow != nil {
		<-slow
	}
	if !known {
		return nil, errs.NotFound("CONVERSATION_NOT_FOUND", "there is no such conversation")
	}
	return &chatv1.GetRoomResponse{Position: &chatv1.Position{Epoch: 1, Seq: 7}, LikeCount: 9, LastChange: 4}, nil
}

func (n *neighbours) GetConversation(
	ctx context.Context, r *chatv1.GetConversationRequest,
) (*chatv1.GetConversationResponse, error) {
	switch r.GetConversationId() {
	case "refused":
		return nil, errs.ResourceExhausted(errs.ReasonRateLimited, "slow down").With("retry_after_ms", "250")
	case "large":
		return &chatv1.GetConversationResponse{State: &chatv1.ConversationState{
			Conversation: &chatv1.Conversation{Title: strings.Repeat("x", largeAnswer)},
		}}, nil
	case "too large":
		return &chatv1.GetConversationResponse{State: &chatv1.ConversationState{
			Conversation: &chatv1.Conversation{Title: strings.Repeat("x", 8<<20)},
		}}, nil
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &chatv1.GetConversationResponse{State: &chatv1.ConversationState{
		Conversation: &chatv1.Conversation{Id: r.GetConversationId(), OwnerId: authn.MustFrom(ctx).UserID},
	}}, nil
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// world is an edge with its neighbours, on real ports.
type world struct {
	*authntest.House

	t        *testing.T
	edge     *edge.Edge
	bus      bus.Bus
	chat     *neighbours
	clock    *clock
	http     *httptest.Server
	tcp, tls net.Listener
	metrics  *telemetry.Metrics
	push     edgev1connect.PushServiceClient
}

func serve(t *testing.T, cfg edge.Config) *world {
	t.Helper()
	return boot(t, cfg, false)
}

// serveAt is serve where clients are told addresses of cfg, and not those that are open.
func serveAt(t *testing.T, cfg edge.Config) *world {
	t.Helper()
	return boot(t, cfg, true)
}

func boot(t *testing.T, cfg edge.Config, told bool) *world {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	w := &world{
		t: t, House: authntest.New(t), clock: &clock{}, metrics: telemetry.NewMetrics(),
		chat: &neighbours{conversations: make(map[string][]string), rooms: map[string]bool{"room": true}},
	}
	w.Verifier = authn.NewVerifier(w.Keys, w.clock.now)
	var err error
	w.bus, err = bus.Open(t.Context(), "mem:", logger)
	w.must(err)
	reg, err := registry.Open(t.Context(), "static:")
	w.must(err)
	stack := rpc.Deps{
		Logger: logger, Metrics: w.metrics, Verifier: w.Verifier, ServiceTokens: w.Services, Revocations: w.Revocations,
	}
	handlers, err := rpc.HandlerOptions(stack)
	w.must(err)
	clients, err := rpc.ClientOptions(stack, "edge")
	w.must(err)
	mux := http.NewServeMux()
	handle := rpc.Handle(mux)
	handle(chatv1connect.NewConversationServiceHandler(w.chat, handlers))
	handle(chatv1connect.NewChatServiceHandler(w.chat, handlers))
	handle(presencev1connect.NewPresenceServiceHandler(w.chat, handlers))
	w.tcp, w.tls = w.port(), w.port()
	if !told {
		cfg.TCP, cfg.TLS = w.tcp.Addr(), w.tls.Addr()
	}
	w.edge, err = edge.New(cfg, edge.Deps{
		Deps: service.Deps{
			Logger: logger, Metrics: w.metrics, Bus: w.bus, Registry: reg, Client: clients, Now: w.clock.now,
		},
		Calls: mux, Verifier: w.Verifier, Revocations: w.Revocations,
	})
	w.must(err)
	w.edge.Mount(handle, handlers)
	mux.Handle("GET /edge/v1", w.edge)
	memory := memhttp.NewServer(mux)
	w.must(reg.Register(t.Context(), "chat", registry.Endpoint{BaseURL: memory.URL(), Client: memory.Client()}))
	w.push = edgev1connect.NewPushServiceClient(memory.Client(), memory.URL(), w.AsService("shop"))
	w.must(w.edge.Start(t.Context()))
	w.listen(mux)
	t.Cleanup(func() {
		w.must(errors.Join(w.tcp.Close(), w.tls.Close(), w.edge.Close(context.Background())))
		w.http.Close()
		w.must(errors.Join(memory.Close(), w.bus.Close(context.Background()), reg.Close()))
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
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

// metric returns a metric's value, added up over its labels.
func (w *world) metric(name string) (sum float64) {
	w.t.Helper()
	families, err := w.metrics.Registry.Gather()
	w.must(err)
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// tell publishes an event of a service.
func tell[E proto.Message](w *world, topic, key string, event E) {
	w.t.Helper()
	w.must(bus.Publish(w.t.Context(), w.bus, topic, key, event))
}

// say tells new messages of a conversation, from one seq to another.
func (w *world) say(conversation string, from, to int64) {
	w.t.Helper()
	for seq := from; seq <= to; seq++ {
		tell(w, "chat.conversation_events", conversation, &chatv1.ConversationEvents{
			ConversationId: conversation, Events: []*chatv1.Event{{
				ConversationId: conversation, Kind: &chatv1.Event_Message{Message: &chatv1.Message{
					ConversationId: conversation, Epoch: 1, Seq: seq,
				}},
			}},
		})
	}
}

// member is somebody's device.
func (w *world) member(user string) authn.Principal {
	p := w.User(user, authv1.Role_ROLE_USER)
	p.Platform = authv1.Platform_PLATFORM_ANDROID
	return p
}

func signIn(token string) *edgev1.ClientFrame {
	return &edgev1.ClientFrame{Id: 1, Kind: &edgev1.ClientFrame_SignIn{SignIn: &edgev1.SignIn{AccessToken: token}}}
}
