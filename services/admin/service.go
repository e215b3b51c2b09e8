package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
)

var _ service.Service = (*Service)(nil)

// Config is what the operator and tests choose.
type Config struct {
	// Version of the server, for the overview.
	Version string
	// SampleInterval is between two samples of the overview; 2 s when 0.
	SampleInterval time.Duration
}

// Service is the desk of the staff. It is safe for concurrent use.
type Service struct {
	config    Config
	deps      service.Deps
	logger    *slog.Logger
	store     *store
	startedAt time.Time
	sampler   *sampler
	work      sync.WaitGroup // the sampler's goroutine
	working   context.Context
	stop      context.CancelFunc // ends working

	// Set by Start, before which every call is refused.
	users authv1connect.DirectoryServiceClient
	rooms livev1connect.LiveServiceClient
	live  livev1connect.ControlServiceClient
	talk  chatv1connect.ConversationServiceClient
	ready chan struct{}
}

// New opens the audit log and the settings.
func New(ctx context.Context, config Config, deps service.Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if config.SampleInterval == 0 {
		config.SampleInterval = defaultSampleInterval
	}
	store, err := openStore(ctx, deps)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Service{
		config: config, deps: deps, logger: deps.Logger.With(slog.String("service", "admin")), store: store,
		startedAt: deps.Now(), ready: make(chan struct{}),
	}
	s.sampler = &sampler{
		every: config.SampleInterval, now: deps.Now, logger: s.logger, metrics: deps.Metrics, process: telemetry.NewProcess(),
	}
	s.working, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	handle(adminv1connect.NewAdminServiceHandler(&handler{service: s}, options))
	handle(sitev1connect.NewSiteServiceHandler(&siteHandler{service: s}, options))
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{adminv1connect.AdminServiceName, sitev1connect.SiteServiceName}
}

// Start finds the neighbours whose things the staff change, and begins to sample.
func (s *Service) Start(ctx context.Context) error {
	var all [4]error
	s.users, all[0] = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client)
	s.rooms, all[1] = rpc.Client(ctx, s.deps.Registry, "live", livev1connect.NewLiveServiceClient, s.deps.Client)
	s.live, all[2] = rpc.Client(ctx, s.deps.Registry, "live", livev1connect.NewControlServiceClient, s.deps.Client)
	s.talk, all[3] = rpc.Client(ctx, s.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, s.deps.Client)
	if err := errors.Join(all[:]...); err != nil {
		return fmt.Errorf("start admin: %w", err)
	}
	s.sampler.live, s.sampler.talk = s.live, s.talk
	s.work.Go(func() { s.sampler.run(s.working) })
	close(s.ready)
	return nil
}

// Drain ends what the service asks its neighbours by itself, before they go away. Calls are answered as before.
func (s *Service) Drain() {
	s.stop()
	s.work.Wait()
}

// Close implements service.Service.
func (s *Service) Close(context.Context) error {
	s.Drain()
	return s.store.close()
}

// started refuses calls that come before the neighbours are known.
func (s *Service) started() error {
	select {
	case <-s.ready:
		return nil
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
}
