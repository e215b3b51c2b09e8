package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

var _ service.Service = (*Service)(nil)

const (
	topicNodeReport = "edge.node_report"
	// pulseTimeout is how long the store and the bus may take for what one pulse does.
	pulseTimeout = 5 * time.Second
	// changeRate is how often a user may change their status or privacy in the long run, a second, and changeBurst at once.
	changeRate  = 0.2
	changeBurst = 10
	maxBuckets  = 20_000
)

// Config is what an operator may set. Zero values mean the defaults.
type Config struct {
	// Grace is how long a user who left counts as online, for those who come right back. Default 10 s.
	Grace time.Duration
	// Lost is after which silence an edge is taken for gone. Default 30 s.
	Lost time.Duration
	// Pulse is how often changes are told. Default 1 s.
	Pulse time.Duration
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.Grace, 10 * time.Second}, {&c.Lost, 30 * time.Second}, {&c.Pulse, time.Second}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < 0 {
			return Config{}, errors.New("a duration must be above 0")
		}
	}
	return c, nil
}

// Service is presence. It is safe for concurrent use.
type Service struct {
	cfg     Config
	deps    service.Deps
	logger  *slog.Logger
	metrics *metrics
	store   *store
	tracker *tracker

	users         authv1connect.DirectoryServiceClient
	conversations chatv1connect.ConversationServiceClient
	subscription  bus.Subscription

	mu      sync.Mutex
	ending  map[string]time.Time // users whose status has an end
	private map[string]struct{}  // whose privacy changed and is not told yet
	unseen  map[string]time.Time // who left and is not stored yet
	buckets *simplelru.LRU[string, *rate.Limiter]

	stop    chan struct{}
	working sync.WaitGroup
}

// New opens the store. Nothing runs before Start.
func New(ctx context.Context, cfg Config, deps service.Deps) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	buckets, err := simplelru.NewLRU[string, *rate.Limiter](maxBuckets, nil)
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	m, err := newMetrics(deps.Metrics.Registry)
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	store, err := openStore(ctx, deps)
	if err != nil {
		m.close()
		return nil, fmt.Errorf("presence: %w", err)
	}
	return &Service{
		cfg: cfg, deps: deps, logger: deps.Logger.With(slog.String("service", "presence")), metrics: m, store: store,
		tracker: newTracker(cfg.Grace, cfg.Lost), buckets: buckets, stop: make(chan struct{}),
		ending: make(map[string]time.Time), private: make(map[string]struct{}), unseen: make(map[string]time.Time),
	}, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	handle(presencev1connect.NewPresenceServiceHandler(&handler{s}, options))
}

// Names implements service.Service.
func (s *Service) Names() []string { return []string{presencev1connect.PresenceServiceName} }

// Start finds neighbours and listens to edges.
func (s *Service) Start(ctx context.Context) (err error) {
	s.users, err = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	s.conversations, err = rpc.Client(ctx, s.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	if s.ending, err = s.store.ending(ctx); err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	// Without a group: every node of presence knows of all people.
	s.subscription, err = bus.Subscribe(s.deps.Bus, topicNodeReport, "",
		func(_ context.Context, _ string, r *edgev1.NodeReport) error {
			s.tracker.report(r, s.deps.Now())
			return nil
		})
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	s.working.Go(s.run)
	return nil
}

// Close stores when those were seen who are here.
func (s *Service) Close(ctx context.Context) error {
	close(s.stop)
	s.working.Wait()
	var problem error
	if s.subscription != nil {
		problem = errors.Join(s.subscription.Close(), s.remember(ctx, s.tracker.everyone(s.deps.Now())))
	}
	s.metrics.close()
	if err := errors.Join(problem, s.store.close()); err != nil {
		return fmt.Errorf("close presence: %w", err)
	}
	return nil
}

func (s *Service) run() {
	tick := time.NewTicker(s.cfg.Pulse)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.pulse()
		case <-s.stop:
			s.pulse()
			return
		}
	}
}

// pulse tells what changed since the last one.
func (s *Service) pulse() {
	ctx, cancel := context.WithTimeout(context.Background(), pulseTimeout)
	defer cancel()
	now := s.deps.Now()
	if err := s.remember(ctx, s.tracker.expire(now)); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "last seen not stored yet", slog.String("cause", err.Error()))
	}
	s.endStatuses(now)
	s.tellPeople(ctx)
	s.tellPresences(ctx, now)
	s.metrics.online.Set(float64(s.tracker.online()))
}

// remember stores when users left; what cannot be stored is tried again.
func (s *Service) remember(ctx context.Context, gone map[string]time.Time) error {
	s.mu.Lock()
	maps.Copy(s.unseen, gone)
	unseen := maps.Clone(s.unseen)
	s.mu.Unlock()
	if len(unseen) == 0 {
		return nil
	}
	if err := s.store.setLastSeen(ctx, unseen); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, when := range unseen {
		if s.unseen[id].Equal(when) {
			delete(s.unseen, id)
		}
	}
	return nil
}

// endStatuses has users told of whose status is over.
func (s *Service) endStatuses(now time.Time) {
	s.mu.Lock()
	var over []string
	for id, until := range s.ending {
		if !now.Before(until) {
			over = append(over, id)
			delete(s.ending, id)
		}
	}
	s.mu.Unlock()
	for _, id := range over {
		s.tracker.mark(id)
	}
}

func (s *Service) tellPeople(ctx context.Context) {
	counts := s.tracker.counts(maxTold)
	if len(counts) == 0 {
		return
	}
	event := &presencev1.PeopleChanged{}
	for _, room := range slices.Sorted(maps.Keys(counts)) {
		event.Counts = append(event.GetCounts(), &presencev1.PeopleCount{
			ConversationId: room, Count: int32(counts[room]), //nolint:gosec // people
		})
	}
	if err := bus.Publish(ctx, s.deps.Bus, TopicPeopleChanged, "", event); err != nil {
		s.tracker.untold(counts)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "numbers of people not told yet", slog.String("cause", err.Error()))
	}
}

// tellPresences tells of people as those see them who may see all, but of nobody who hides and nothing that is for some
// only: edges know who of their sessions may see a person, not what of them.
func (s *Service) tellPresences(ctx context.Context, now time.Time) {
	taken := s.tracker.take(maxTold)
	s.mu.Lock()
	private := slices.Sorted(maps.Keys(s.private))
	clear(s.private)
	s.mu.Unlock()
	if len(taken) == 0 && len(private) == 0 {
		return
	}
	event := &presencev1.PresenceChanged{PrivacyChanged: private}
	persons, err := s.store.persons(ctx, slices.Collect(maps.Keys(taken)))
	if err == nil {
		for _, id := range slices.Sorted(maps.Keys(taken)) {
			p, ok := persons[id]
			if !ok {
				p = stranger(id)
			}
			if p.Online != nobody {
				event.Presences = append(event.GetPresences(), view(p, taken[id], true, p.LastSeen == everyone, now))
			}
		}
		if len(event.GetPresences()) == 0 && len(private) == 0 {
			return
		}
		err = bus.Publish(ctx, s.deps.Bus, TopicChanged, "", event)
	}
	if err == nil {
		s.metrics.told.Add(float64(len(event.GetPresences())))
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "presence not told yet", slog.String("cause", err.Error()))
	for id := range taken {
		s.tracker.mark(id)
	}
	s.mu.Lock()
	for _, id := range private {
		s.private[id] = struct{}{}
	}
	s.mu.Unlock()
}

// limit refuses a user who changes too often. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED).
func (s *Service) limit(userID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, ok := s.buckets.Get(userID)
	if !ok {
		bucket = rate.NewLimiter(changeRate, changeBurst)
		s.buckets.Add(userID, bucket)
	}
	if !bucket.AllowN(s.deps.Now(), 1) {
		return errs.ResourceExhausted(errs.ReasonRateLimited, "you are changing this too often").With("retry_after_ms", "5000")
	}
	return nil
}

// Presences returns people as a viewer sees them, in the order asked.
func (s *Service) Presences(ctx context.Context, viewer authn.Principal, ids []string) ([]*presencev1.Presence, error) {
	persons, err := s.store.persons(ctx, append(slices.Clone(ids), viewer.UserID))
	if err != nil {
		return nil, err
	}
	own, ok := persons[viewer.UserID]
	if !ok {
		own = stranger(viewer.UserID)
	}
	if err := s.addStrangers(ctx, persons, ids); err != nil {
		return nil, err
	}
	known, err := s.contactsAmong(ctx, viewer.UserID, persons)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	out := make([]*presencev1.Presence, len(ids))
	for i, id := range ids {
		p, ok := persons[id]
		if !ok {
			out[i] = &presencev1.Presence{UserId: id, Hidden: true}
			continue
		}
		self := id == viewer.UserID
		may := func(a, mine presencev1.Audience) bool {
			return self || (mine != nobody && (a == everyone || (a == contacts && known[id])))
		}
		out[i] = view(p, s.tracker.seen(id), may(p.Online, own.Online), may(p.LastSeen, own.LastSeen), now)
	}
	return out, nil
}

// addStrangers adds those who exist and never chose anything.
func (s *Service) addStrangers(ctx context.Context, persons map[string]Person, ids []string) error {
	var missing []string
	for _, id := range ids {
		if _, ok := persons[id]; ok {
			continue
		}
		if s.tracker.seen(id).online {
			persons[id] = stranger(id)
			continue
		}
		missing = append(missing, id)
	}
	if len(missing) == 0 {
		return nil
	}
	res, err := s.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: missing})
	if err != nil {
		return fmt.Errorf("look up users: %w", err)
	}
	for _, u := range res.GetUsers() {
		persons[u.GetId()] = stranger(u.GetId())
	}
	return nil
}

// contactsAmong returns those of persons who show something to contacts only, and whose contact the viewer is.
func (s *Service) contactsAmong(ctx context.Context, viewer string, persons map[string]Person) (map[string]bool, error) {
	var ask []string
	for id, p := range persons {
		if id != viewer && (p.Online == contacts || p.LastSeen == contacts) {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return nil, nil //nolint:nilnil // nobody has to be asked about
	}
	res, err := s.conversations.FilterContacts(ctx, &chatv1.FilterContactsRequest{UserId: viewer, UserIds: ask})
	if err != nil {
		return nil, fmt.Errorf("look up contacts: %w", err)
	}
	known := make(map[string]bool, len(res.GetUserIds()))
	for _, id := range res.GetUserIds() {
		known[id] = true
	}
	return known, nil
}
