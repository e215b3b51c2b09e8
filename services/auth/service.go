package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/picture"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

const (
	tickEvery  = time.Minute      // of the background work
	pruneEvery = 10 * time.Minute // of old rows
)

// Service is auth, running.
type Service struct {
	config    Config
	logger    *slog.Logger
	clock     func() time.Time
	bus       bus.Bus
	storage   *storage
	keys      *keyring
	passwords *passwords
	guesses   *tries
	creations *quota
	uploads   *quota
	operator  operatorKey
	setup     *setup
	avatars   *picture.Folder
	metrics   *metrics

	deps    service.Deps
	site    sitev1connect.SiteServiceClient // set when started is closed
	started chan struct{}

	background sync.WaitGroup
	stop       context.CancelFunc // nil before Start
}

var _ service.Service = (*Service)(nil)

// New opens the database, makes the first signing key, the operator's key and, while there is no administrator, a setup
// token, and returns a service that can be mounted. It publishes to the bus and calls no neighbour. Close ends it, also
// without a Start.
func New(ctx context.Context, cfg Config, deps service.Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if deps.Logger == nil || deps.Metrics == nil || deps.Bus == nil || deps.Registry == nil || deps.Client == nil {
		return nil, errors.New("open auth: the logger, the metrics, the bus, the registry or the client option is missing")
	}
	clock := deps.Now
	if clock == nil {
		clock = time.Now
	}
	s := &Service{
		config: cfg, logger: deps.Logger, clock: clock, bus: deps.Bus, passwords: newPasswords(cfg),
		guesses:   newTries(cfg.SignInWindow, clock),
		creations: newQuota(cfg.RegistrationsPerMinute, cfg.RegistrationBurst, clock),
		uploads:   newQuota(avatarsPerMinute, avatarBurst, clock),
		setup:     &setup{}, deps: deps, started: make(chan struct{}),
	}
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("open auth: %w", err)
	}
	if s.operator, err = openOperatorKey(deps.DataDir); err != nil {
		return nil, fmt.Errorf("open auth: %w", err)
	}
	if s.avatars, err = picture.OpenFolder(filepath.Join(deps.DataDir, avatarFolder), avatarPrefix); err != nil {
		return nil, fmt.Errorf("open auth: %w", err)
	}
	if s.storage, err = openStorage(ctx, deps.StoreURL, deps.Logger); err != nil {
		return nil, fmt.Errorf("open auth: %w", err)
	}
	if err = s.storage.foldNicknames(ctx); err != nil {
		return nil, fmt.Errorf("open auth: %w", errors.Join(err, s.storage.close()))
	}
	if s.keys, err = openKeyring(ctx, cfg, s.storage, deps.Logger, s.now); err != nil {
		return nil, fmt.Errorf("open auth: %w", errors.Join(err, s.storage.close()))
	}
	done, err := s.storage.hasAdmin(ctx, s.storage.read)
	if err != nil {
		return nil, fmt.Errorf("open auth: %w", errors.Join(err, s.storage.close()))
	}
	if !done {
		s.setup = newSetup()
	}
	return s, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	handle(authv1connect.NewAuthServiceHandler(authHandler{s: s}, options))
	handle(authv1connect.NewDirectoryServiceHandler(directoryHandler{s: s}, options))
	handle(avatarPrefix, http.HandlerFunc(s.serveAvatar))
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{authv1connect.AuthServiceName, authv1connect.DirectoryServiceName}
}

// JWKS serves the public keys for /.well-known/jwks.json.
func (s *Service) JWKS() http.Handler { return s.keys }

// KeySource finds the public keys for verifiers in this process.
func (s *Service) KeySource() authn.KeySource { return s.keys }

// Start implements service.Service: it finds the site's settings, and begins to rotate keys and to remove old rows.
func (s *Service) Start(ctx context.Context) (err error) {
	s.site, err = rpc.Client(ctx, s.deps.Registry, "site", sitev1connect.NewSiteServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start auth: %w", err)
	}
	close(s.started)
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.background.Go(func() { s.work(ctx) })
	return nil
}

// Close implements service.Service.
func (s *Service) Close(context.Context) error {
	if s.stop != nil {
		s.stop()
	}
	s.background.Wait()
	if err := s.storage.close(); err != nil {
		return fmt.Errorf("close auth: %w", err)
	}
	return nil
}

// work does what nobody asks for, until ctx ends.
func (s *Service) work(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		s.keys.maintain(ctx)
		if now := time.Now(); now.Sub(pruned) >= pruneEvery {
			pruned = now
			s.prune(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// now is the clock as the database keeps it: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }
