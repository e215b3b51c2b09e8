package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/services/live/hls"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
	"github.com/stoa-live/stoa/services/live/playback"
)

// rtmpApp is the application name in server addresses: rtmp://host:1935/live.
const rtmpApp = "live"

// Bus topics.
const (
	topicBroadcastChanged   = "live.broadcast_changed"
	topicPeopleChanged      = "presence.people_changed"
	topicConversationEvents = "chat.conversation_events"
	topicSessionsRevoked    = "auth.sessions_revoked"
	topicUserChanged        = "auth.user_changed"
)

// Config is what an operator may choose.
type Config struct {
	RTMPAddr        string        // where encoders connect, such as ":1935"
	RTMPURL         string        // told to streamers, such as "rtmp://live.example.org/live"; from the request when empty
	PlaybackURL     string        // address before /live/… that viewers are told; made from the request when empty
	Merge           time.Duration // how long frames wait to be written together; see hub.Config
	ReconnectWindow time.Duration // how long a broadcast waits for its encoder
	CoverInterval   time.Duration // between snapshots
	FFmpeg          string        // program that decodes snapshots
	StallTimeout    time.Duration // a viewer that takes no byte for this long is cut
	MaxViewers      int           // FLV connections of this node
	PlayKey         []byte        // signs play URLs, and seals stream keys; at least 32 bytes, the same on all nodes
}

// Service is the live service of this node.
type Service struct {
	config   Config
	deps     service.Deps
	log      *slog.Logger
	now      func() time.Time
	db       *db
	hub      *hub.Hub
	hls      *hls.Packager
	covers   *covers
	playback *playback.Server
	ingest   *ingest.Server
	air      *air
	viewers  *viewers
	tallies  *tallies
	sealer   sealer
	metrics  *metrics

	uploads, snapshots *limits // of covers

	directory     authv1connect.DirectoryServiceClient
	conversations chatv1connect.ConversationServiceClient
	site          sitev1connect.SiteServiceClient
	subscriptions []bus.Subscription
	listener      net.Listener
	accepting     chan error
}

var _ service.Service = (*Service)(nil)

// New opens the service's database. Nothing is accepted before Start.
func New(ctx context.Context, config Config, deps service.Deps) (*Service, error) {
	if len(config.PlayKey) < 32 {
		return nil, errors.New("open live service: the play key has fewer than 32 bytes")
	}
	log := deps.Logger.With("service", "live")
	sealer, err := newSealer(config.PlayKey)
	if err != nil {
		return nil, fmt.Errorf("open live service: %w", err)
	}
	database, err := store.Open(ctx, deps.StoreURL, "live", Migrations, deps.Logger)
	if err != nil {
		return nil, fmt.Errorf("open live service: %w", err)
	}
	s := &Service{
		config: config, deps: deps, log: log, now: deps.Now, db: newDB(database),
		viewers: newViewers(), tallies: newTallies(), sealer: sealer,
		uploads: newLimits(uploadEvery, uploadBurst), snapshots: newLimits(snapshotEvery, snapshotBurst),
	}
	s.hub = hub.New(hub.Config{Merge: config.Merge})
	if err = s.db.foldTitles(ctx); err == nil {
		s.hls, err = hls.NewPackager(filepath.Join(deps.DataDir, "hls"), log)
	}
	if err == nil {
		s.covers, err = newCovers(deps.DataDir, newCamera(ctx, config.FFmpeg, log), config.CoverInterval, s.db, s.now, log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open live service: %w", err), database.Close())
	}
	signer := playback.NewSigner(config.PlayKey, s.now)
	s.playback = playback.NewServer(playback.Config{StallTimeout: config.StallTimeout, MaxViewers: config.MaxViewers},
		s.hub, s.hls, s.runningBroadcast, signer, deps.Metrics.Registry, log)
	s.air = newAir(s)
	s.metrics = newMetrics(deps.Metrics.Registry, s.air)
	// Frames that wait to be merged anyway may as well be read together: waking for each costs more than handling it.
	s.ingest = ingest.NewServer(ingest.Config{Gather: config.Merge / 4}, s.air, log)
	return s, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(string, http.Handler), options connect.HandlerOption) {
	handle(livev1connect.NewLiveServiceHandler(&rpcHandler{s: s}, options))
	handle(livev1connect.NewControlServiceHandler(&controlHandler{s: s}, options))
	handle(playback.Prefix, s.playback)
	handle(coverPrefix, s.covers.shown)
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{livev1connect.LiveServiceName, livev1connect.ControlServiceName}
}

// Start implements service.Service: it takes up unfinished broadcasts and opens the RTMP port.
func (s *Service) Start(ctx context.Context) error {
	var err error
	if s.directory, err = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if s.conversations, err = rpc.Client(ctx, s.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, s.deps.Client); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if s.site, err = rpc.Client(ctx, s.deps.Registry, "site", sitev1connect.NewSiteServiceClient, s.deps.Client); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if err := s.subscribe(); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if err := s.air.resume(ctx); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	s.air.keepCounts()
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.RTMPAddr); err != nil {
		return fmt.Errorf("open RTMP port %s: %w", s.config.RTMPAddr, err)
	}
	s.accepting = make(chan error, 1)
	go func() { s.accepting <- s.ingest.Serve(s.listener) }()
	return nil
}

// subscribe listens to the neighbours until Close.
func (s *Service) subscribe() error {
	people, err1 := bus.Subscribe(s.deps.Bus, topicPeopleChanged, "", s.onPeopleChanged)
	talk, err2 := bus.Subscribe(s.deps.Bus, topicConversationEvents, "", s.onConversationEvents)
	sessions, err3 := bus.Subscribe(s.deps.Bus, topicSessionsRevoked, "", s.onSessionsRevoked)
	users, err4 := bus.Subscribe(s.deps.Bus, topicUserChanged, "", s.onUserChanged)
	for _, sub := range []bus.Subscription{people, talk, sessions, users} {
		if sub != nil {
			s.subscriptions = append(s.subscriptions, sub)
		}
	}
	return errors.Join(err1, err2, err3, err4)
}

// RTMPAddr returns where encoders connect, once started.
func (s *Service) RTMPAddr() net.Addr { return s.listener.Addr() }

// Drain lets all viewers go: over HTTP/2 a viewer is a call that never ends, and would hold a shutdown up until its
// timeout. Encoders go on until Close.
func (s *Service) Drain() { s.playback.Close() }

// stamp is now as databases keep it, to the microsecond, so that what is told at once is what is read later.
func (s *Service) stamp() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Close implements service.Service: encoders and viewers are cut, and broadcasts wait to be resumed.
func (s *Service) Close(context.Context) error {
	var all []error
	if s.listener != nil {
		all = append(all, s.listener.Close(), <-s.accepting)
	}
	s.ingest.Close()
	for _, sub := range s.subscriptions {
		all = append(all, sub.Close())
	}
	s.air.close()
	s.playback.Close()
	s.hub.Close()
	s.hls.Close()
	s.metrics.unregister(s.deps.Metrics.Registry)
	return errors.Join(append(all, s.db.store.Close())...)
}

// onSessionsRevoked ends what people watch on a session that was signed out, revoked or banned.
func (s *Service) onSessionsRevoked(_ context.Context, _ string, e *authv1.SessionsRevoked) error {
	for _, r := range e.GetRevocations() {
		s.playback.Revoke(r.GetSessionId())
	}
	return nil
}

// onUserChanged takes people off the air who are banned. It does not wait for that: the bus has others to serve.
func (s *Service) onUserChanged(_ context.Context, _ string, e *authv1.UserChanged) error {
	if e.GetBan() != nil {
		s.air.tasks.Go(func() { s.air.endAllOf(e.GetUser().GetId()) })
	}
	return nil
}

func (s *Service) runningBroadcast(roomID string) (string, bool) {
	r := s.air.get(roomID)
	if r == nil {
		return "", false
	}
	return r.shown.Load().ID, true
}

// announce tells the bus about a broadcast's state.
func (s *Service) announce(b Broadcast, room Room) {
	b.Viewers = s.viewers.count(room.ConversationID)
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	event := &livev1.BroadcastChanged{Broadcast: s.broadcastProto(b), ConversationId: room.ConversationID}
	if err := bus.Publish(ctx, s.deps.Bus, topicBroadcastChanged, room.ID, event); err != nil {
		s.log.Error("announce broadcast", "broadcast", b.ID, "error", err)
	}
}
