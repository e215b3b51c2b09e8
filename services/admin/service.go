package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

var _ service.Service = (*Service)(nil)

// auditTimeout is how long an entry may take to be written. It is the log's own: an administrator who hangs up must not
// leave an act without its entry.
const auditTimeout = 5 * time.Second

// Config has no settings yet.
type Config struct{}

// Service is the administrators' desk. It is safe for concurrent use.
type Service struct {
	deps   service.Deps
	logger *slog.Logger
	store  *store

	// Set by Start, before which every call is refused.
	users authv1connect.DirectoryServiceClient
	rooms livev1connect.LiveServiceClient
	live  livev1connect.ControlServiceClient
	ready chan struct{}
}

// New opens the audit log.
func New(ctx context.Context, _ Config, deps service.Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	store, err := openStore(ctx, deps)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return &Service{
		deps: deps, logger: deps.Logger.With(slog.String("service", "admin")), store: store, ready: make(chan struct{}),
	}, nil
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

// Start finds the neighbours whose things administrators change.
func (s *Service) Start(ctx context.Context) error {
	var first, second, third error
	s.users, first = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client)
	s.rooms, second = rpc.Client(ctx, s.deps.Registry, "live", livev1connect.NewLiveServiceClient, s.deps.Client)
	s.live, third = rpc.Client(ctx, s.deps.Registry, "live", livev1connect.NewControlServiceClient, s.deps.Client)
	if err := errors.Join(first, second, third); err != nil {
		return fmt.Errorf("start admin: %w", err)
	}
	close(s.ready)
	return nil
}

// Close implements service.Service.
func (s *Service) Close(context.Context) error { return s.store.close() }

// started refuses calls that come before the neighbours are known.
func (s *Service) started() error {
	select {
	case <-s.ready:
		return nil
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
}

// act does one act in the name of the caller and records it, whether it succeeded or not, before it returns. Errors: the
// act's; an act whose entry cannot be written is answered with an error though it may have happened.
func (s *Service) act(ctx context.Context, action, target, detail string, do func(ctx context.Context) error) error {
	if err := s.started(); err != nil {
		return err
	}
	done := do(ctx)
	entry := Entry{
		ActorID: authn.MustFrom(ctx).UserID, Action: action, TargetID: target, Detail: detail, Error: failure(done),
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := s.store.append(ctx, entry); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "audit entry lost", slog.String("action", action),
			slog.String("actor_id", entry.ActorID), slog.String("target_id", target), slog.String("error", entry.Error))
		return fmt.Errorf("record %s: %w", action, errors.Join(err, done))
	}
	return done
}
