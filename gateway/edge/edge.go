// Package edge holds the long connections of devices. One session core runs under three thin transports: WebSocket, TCP
// (with TLS and without), and a Connect server stream. What services tell on the bus is encoded once and written, the same
// bytes, to every session that it is for.
//
//	edge.go       configuration, wiring, life
//	session.go    one device's session: its life, its rights; queue.go what waits for it, sweep.go what ends it, fates.go why
//	frames.go     what clients ask for
//	frame.go      a frame in its encodings
//	topic.go      who hears what, and merging
//	feeds.go      bus events to topics
//	watch.go      people whose presence a session follows; watched.go what is told of them
//	accesspoints.go   where clients reach which edge
//	websocket.go, tcp.go, stream.go   the transports
//
// What must never happen here: an event that a session is owed and misses without being told to sync; anything told to a
// session whose user may not hear it; a slow, silent or hostile peer that makes anything else wait or grow without bound.
package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

var _ service.Service = (*Edge)(nil)

// Reasons of this package's own errors.
const (
	ReasonSessionNotFound = "SESSION_NOT_FOUND"
	ReasonTooManySessions = "TOO_MANY_SESSIONS"
	ReasonTooManyRooms    = "TOO_MANY_ROOMS"
	ReasonAnswerTooLarge  = "ANSWER_TOO_LARGE"
	ReasonDraining        = "DRAINING"
	ReasonSlowConsumer    = "SLOW_CONSUMER"

	ReasonSignedInElsewhere = "SIGNED_IN_ELSEWHERE"
)

// Topics of this package's events.
const (
	TopicDelivery      = "edge.delivery"
	TopicSessionOpened = "edge.session_opened"
	TopicNodeReport    = "edge.node_report"
	TopicTyping        = "edge.typing"
)

// Policy is how many devices a user may be connected with. A device has one connection; browsers, whose tabs share a
// device, are not counted.
type Policy string

// Policies.
const (
	AnyDevice         Policy = "any"
	OneDevicePlatform Policy = "platform" // one a kind of software
	OneDevice         Policy = "device"
)

// Config is what an operator may set. Zero values mean the defaults.
type Config struct {
	// Node names this edge; random by default.
	Node string
	// Zone is where it is, as operators name it.
	Zone string
	// PublicURL is where clients reach its WebSocket, such as "wss://e1.example.org/edge/v1"; empty for the address they
	// called. Its TCP ports are told at the same host.
	PublicURL string
	// TCP and TLS are where its ports for TCP are open; nil where they are closed.
	TCP, TLS net.Addr
	// Policy is AnyDevice by default.
	Policy Policy
	// Origins are those of other pages that may open WebSockets, or "*".
	Origins []string
	// SignIn is how long a connection may take to sign in. Default 10 s.
	SignIn time.Duration
	// Silence is how long a client may send nothing. Default 2 min, since hidden pages of browsers wake once a minute.
	Silence time.Duration
	// Resume is how long a cut session waits for its client. Default 60 s.
	Resume time.Duration
	// TokenGrace is how long a session lives on after its token has expired. Default 1 min.
	TokenGrace time.Duration
	// MaxFrame is the largest frame from a client, in bytes. Default 1 MiB and a little.
	MaxFrame int
	// MaxCalls is how many calls a session may have in flight. Default 32.
	MaxCalls int
	// MaxSessions is how many sessions this edge holds. Default 100,000.
	MaxSessions int
	// MaxPending is how many connections may wait for their sign-in, and MaxPendingAddress how many of them may come from one
	// address, or one IPv6 network of 64 bits. Default 5,000, and a quarter of MaxPending.
	MaxPending, MaxPendingAddress int
	// MaxUserSessions is how many sessions one user may have here. Default 20.
	MaxUserSessions int
	// Queue is how many frames may wait for a client, and how many are kept for its resume. Default 256.
	Queue int
	// FrameRate is how many frames a second a client may send in the long run, four times as many at once. Default 100.
	FrameRate float64
}

const (
	// maxNode is how long the name of a node may be, in bytes: it is a part of the ids of its sessions.
	maxNode = 32
	// maxZone is how long that of a zone may be, as the contract has it.
	maxZone = 64
)

func (c Config) withDefaults() (Config, error) {
	if c.Node == "" {
		c.Node = rand.Text()[:12]
	}
	if len(c.Node) > maxNode || strings.Contains(c.Node, ".") {
		return Config{}, fmt.Errorf("node %q: want at most %d bytes, and no dot", c.Node, maxNode)
	}
	if len(c.Zone) > maxZone {
		return Config{}, fmt.Errorf("zone %q: want at most %d bytes", c.Zone, maxZone)
	}
	if c.Policy == "" {
		c.Policy = AnyDevice
	}
	switch c.Policy {
	case AnyDevice, OneDevicePlatform, OneDevice:
	default:
		return Config{}, fmt.Errorf("device policy %q: want any, platform or device", c.Policy)
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.SignIn, 10 * time.Second}, {&c.Silence, 2 * time.Minute}, {&c.Resume, time.Minute}, {&c.TokenGrace, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return Config{}, errors.New("a duration must be above 0")
		}
	}
	for _, n := range []struct {
		value    *int
		fallback int
	}{
		{&c.MaxFrame, 1<<20 + 4<<10},
		{&c.MaxCalls, 32},
		{&c.MaxSessions, 100_000},
		{&c.MaxPending, 5_000},
		{&c.MaxUserSessions, 20},
		{&c.Queue, 256},
	} {
		if *n.value == 0 {
			*n.value = n.fallback
		}
		if *n.value < 1 {
			return Config{}, errors.New("a bound must be above 0")
		}
	}
	if c.MaxPendingAddress == 0 {
		c.MaxPendingAddress = max(1, c.MaxPending/4)
	}
	if c.MaxPendingAddress < 1 {
		return Config{}, errors.New("a bound must be above 0")
	}
	if c.FrameRate == 0 {
		c.FrameRate = 100
	}
	return c, nil
}

// Deps is what an edge is made of.
type Deps struct {
	service.Deps

	// Calls answers RPCs of public services, with the gateway's limits in front.
	Calls http.Handler
	// Verifier and Revocations check tokens.
	Verifier    *authn.Verifier
	Revocations *authn.Revocations
	// ClientAddressHeader names the header in which Calls believes the client's address.
	ClientAddressHeader string
}

// Edge is one node's long connections. It is safe for concurrent use.
type Edge struct {
	cfg     Config
	public  *url.URL // of cfg, or nil
	deps    Deps
	logger  *slog.Logger
	metrics *metrics

	conversations chatv1connect.ConversationServiceClient
	subscriptions []bus.Subscription

	hub      *hub
	watchers *watchers
	reports  *reports
	nodes    *nodes
	pending  *pending
	fates    *fates

	began time.Time

	mu       sync.RWMutex
	sessions map[string]*session
	users    map[string][]*session
	devices  map[string][]*session
	draining bool

	life     sync.RWMutex   // held for writing while the edge stops, so that nothing begins
	running  sync.WaitGroup // everything that the edge began
	stop     context.CancelFunc
	stopping context.Context //nolint:containedctx // the edge's life
	ready    atomic.Bool
	work     chan func() // to a worker that rests
}

// New makes an edge. Nothing runs before Start.
func New(cfg Config, deps Deps) (*Edge, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	public, err := publicURL(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("edge: public URL: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m, err := newMetrics(deps.Metrics.Registry)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	e := &Edge{
		cfg: cfg, public: public, deps: deps, logger: deps.Logger.With(slog.String("service", "edge")), metrics: m,
		reports: newReports(), nodes: newNodes(), fates: newFates(), pending: newPending(cfg.MaxPending, cfg.MaxPendingAddress, m.waiting),
		sessions: make(map[string]*session), users: make(map[string][]*session), devices: make(map[string][]*session),
		began: deps.Now(), work: make(chan func()),
	}
	e.stopping, e.stop = context.WithCancel(context.Background())
	e.hub = newHub(e, 2*runtime.GOMAXPROCS(0))
	e.watchers = newWatchers(e)
	return e, nil
}

// Mount implements service.Service.
func (e *Edge) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	path, handler := edgev1connect.NewEdgeServiceHandler(&edgeHandler{e}, options)
	handle(path, expirable(handler))
	handle(edgev1connect.NewPushServiceHandler(&pushHandler{e}, options))
}

// Names implements service.Service.
func (e *Edge) Names() []string {
	return []string{edgev1connect.EdgeServiceName, edgev1connect.PushServiceName}
}

// Start finds chat and listens to the bus. Connections are welcome from then on.
func (e *Edge) Start(ctx context.Context) (err error) {
	e.conversations, err = rpc.Client(ctx, e.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, e.deps.Client)
	if err != nil {
		return fmt.Errorf("start edge: %w", err)
	}
	if err := e.listen(); err != nil {
		return fmt.Errorf("start edge: %w", err)
	}
	e.hub.start(&e.running)
	e.running.Go(e.sweep)
	e.running.Go(e.report)
	e.ready.Store(true)
	return nil
}

// Serve accepts TCP connections of l until it is closed, of TLS when l speaks it.
func (e *Edge) Serve(l net.Listener) error { return e.serveTCP(l) }

// Drain says goodbye to every session, spread over some seconds, and refuses new ones.
func (e *Edge) Drain() {
	e.mu.Lock()
	e.draining = true
	all := make([]*session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	e.mu.Unlock()
	for _, s := range all {
		s.end(goodbyeDraining(), "drained")
	}
}

// Close ends what is left.
func (e *Edge) Close(context.Context) error {
	e.Drain()
	var problem error
	for _, s := range e.subscriptions {
		problem = errors.Join(problem, s.Close())
	}
	e.life.Lock()
	e.stop()
	e.life.Unlock()
	e.pending.closeAll()
	e.hub.close()
	e.running.Wait()
	e.metrics.close()
	if problem != nil {
		return fmt.Errorf("close edge: %w", problem)
	}
	return nil
}

// session returns a session by its id.
func (e *Edge) session(id string) *session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.sessions[id]
}

// sessionsOf returns a user's sessions here. The slice must not be changed.
func (e *Edge) sessionsOf(userID string) []*session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.users[userID]
}

// sessionsAt returns a device's sessions here. The slice must not be changed.
func (e *Edge) sessionsAt(deviceID string) []*session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.devices[deviceID]
}

// everyone returns all sessions.
func (e *Edge) everyone() []*session {
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := make([]*session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	return all
}
