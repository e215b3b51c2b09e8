package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
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

const topicNodeReport = "edge.node_report"

// privacyTimeout is how long who changes their privacy waits for edges to be told. A pulse tells it if they are not.
const privacyTimeout = time.Second

// Service is presence. It is safe for concurrent use.
type Service struct {
	cfg     Config
	deps    service.Deps
	logger  *slog.Logger
	metrics *metrics

	store     *store
	tracker   *tracker
	endings   *endings
	statuses  *buckets
	privacies *buckets

	users         authv1connect.DirectoryServiceClient
	conversations chatv1connect.ConversationServiceClient
	subscription  bus.Subscription

	// turn has one token. Who changes what people chose holds it, and so does who reads and tells it: what is told was so
	// when it was told, and nothing of a person is told to those from whom they hid before.
	turn    chan struct{}
	private *queue          // users whose privacy changed and of whom that is not told; guarded by turn
	asking  map[string]bool // users of whom it was told since the last pulse; guarded by turn

	ready    chan struct{}   // closed by Start
	stopping context.Context //nolint:containedctx // the service's life, ended by Close
	stop     context.CancelFunc
	working  sync.WaitGroup
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
	statuses, err1 := newBuckets(cfg.ChangeRate, cfg.ChangeBurst)
	privacies, err2 := newBuckets(cfg.ChangeRate, cfg.ChangeBurst)
	if err := errors.Join(err1, err2); err != nil {
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
	stopping, stop := context.WithCancel(context.Background())
	return &Service{
		cfg: cfg, deps: deps, logger: deps.Logger.With(slog.String("service", "presence")), metrics: m, store: store,
		tracker: newTracker(cfg, deps.Now), endings: newEndings(), statuses: statuses, privacies: privacies,
		turn: make(chan struct{}, 1), private: newQueue(), asking: make(map[string]bool), ready: make(chan struct{}),
		stopping: stopping, stop: stop,
	}, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	handle(presencev1connect.NewPresenceServiceHandler(&handler{s}, options))
}

// Names implements service.Service.
func (s *Service) Names() []string { return []string{presencev1connect.PresenceServiceName} }

// Start finds neighbours, reads which statuses end and who was here, and listens to edges.
func (s *Service) Start(ctx context.Context) (err error) {
	s.users, err = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	s.conversations, err = rpc.Client(ctx, s.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	ends, err := s.store.endings(ctx)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	here, err := s.store.here(ctx)
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	s.tracker.restore(here)
	for user, until := range ends { // also of those that ended while nobody was here to tell it
		s.endings.set(user, until)
	}
	// Without a group: every process knows of all people.
	s.subscription, err = bus.Subscribe(s.deps.Bus, topicNodeReport, "",
		func(_ context.Context, _ string, r *edgev1.NodeReport) error {
			s.tracker.report(r)
			return nil
		})
	if err != nil {
		return fmt.Errorf("start presence: %w", err)
	}
	s.working.Go(s.beat)
	s.working.Go(s.tidy)
	close(s.ready)
	return nil
}

// Close stores who is here, and when those were last seen who are not, as far as ctx lasts. It may be called without Start,
// and once.
func (s *Service) Close(ctx context.Context) error {
	s.stop()
	s.working.Wait()
	var deaf, forgot error
	if s.subscription != nil {
		s.pulse(ctx) // once more
		deaf = s.subscription.Close()
		s.tracker.keepAll()
		for more := true; more && forgot == nil; {
			more, forgot = s.rememberSome(ctx)
		}
	}
	s.metrics.close()
	if err := errors.Join(deaf, forgot, s.store.close()); err != nil {
		return fmt.Errorf("close presence: %w", err)
	}
	return nil
}

// started refuses calls that come before Start.
func (s *Service) started() error {
	select {
	case <-s.ready:
		return nil
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
}

// takeTurn waits for the turn and returns how to give it back.
func (s *Service) takeTurn(ctx context.Context) (giveBack func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the turn: %w", context.Cause(ctx))
	}
}

// Count returns how many people are in conversations, in the order asked. Errors: UNAVAILABLE.
func (s *Service) Count(conversationIDs []string) ([]int, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	return s.tracker.people(conversationIDs), nil
}

// SetStatus changes what a user says about themselves and returns them as they see themselves. Errors: INVALID_ARGUMENT,
// RESOURCE_EXHAUSTED (RATE_LIMITED), UNAVAILABLE.
func (s *Service) SetStatus(
	ctx context.Context, p authn.Principal, wanted *presencev1.Status,
) (*presencev1.Presence, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	status, err := cleanStatus(wanted, now)
	if err != nil {
		return nil, err
	}
	if err := s.statuses.take(p.UserID, now); err != nil {
		return nil, err
	}
	if err := s.changeStatus(ctx, p.UserID, status); err != nil {
		return nil, err
	}
	own, err := s.Presences(ctx, p, []string{p.UserID})
	if err != nil {
		return nil, err
	}
	return own[0], nil
}

func (s *Service) changeStatus(ctx context.Context, userID string, status Status) error {
	giveBack, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	if err := s.store.setStatus(ctx, userID, status); err != nil {
		return err
	}
	s.endings.set(userID, status.Until)
	s.tracker.mark(userID)
	return nil
}

// Privacy returns a person with who sees them.
func (s *Service) Privacy(ctx context.Context, userID string) (Person, error) {
	persons, err := s.store.persons(ctx, []string{userID})
	return persons[userID], err
}

// ChangePrivacy changes who sees a user and returns them as they are then. Before it returns, edges are told to ask again;
// whatever they are told later is told under the new rule. Errors: RESOURCE_EXHAUSTED (RATE_LIMITED), UNAVAILABLE.
func (s *Service) ChangePrivacy(ctx context.Context, userID string, change func(p *Person)) (Person, error) {
	if err := s.started(); err != nil {
		return Person{}, err
	}
	if err := s.privacies.take(userID, s.deps.Now()); err != nil {
		return Person{}, err
	}
	giveBack, err := s.takeTurn(ctx)
	if err != nil {
		return Person{}, err
	}
	defer giveBack()
	p, changed, err := s.store.changePrivacy(ctx, userID, change)
	if err != nil {
		return Person{}, err
	}
	if changed {
		s.private.put(userID)
		// Whether or not the caller waits. If it cannot be told now, nothing is told of the user before it is.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), privacyTimeout)
		defer cancel()
		if err := s.tellPrivacy(ctx); err != nil {
			s.failed(ctx, "privacy not told yet", err)
		}
	}
	return p, nil
}
