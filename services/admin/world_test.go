package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/admin"
)

// world is the service beside its neighbours.
type world struct {
	*authntest.House

	t       *testing.T
	server  *memhttp.Server
	users   *directory
	control *control
	talk    *talk
	admin   *admin.Service
}

// boot starts the service at url.
func boot(t *testing.T, url string) *world {
	t.Helper()
	return bootSampling(t, url, time.Hour, slog.New(slog.DiscardHandler))
}

// bootSampling starts the service with an interval of the overview that a test can wait for.
func bootSampling(t *testing.T, url string, every time.Duration, logger *slog.Logger) *world {
	t.Helper()
	w := &world{House: authntest.New(t), t: t, users: &directory{}, control: &control{}, talk: &talk{}}
	deps := rpc.Deps{
		Logger: logger, Metrics: telemetry.NewMetrics(), Verifier: w.Verifier,
		ServiceTokens: w.Services, Revocations: w.Revocations,
	}
	handlers, err := rpc.HandlerOptions(deps)
	w.must(err)
	clients, err := rpc.ClientOptions(deps, "admin")
	w.must(err)
	reg, err := registry.Open(t.Context(), "static:")
	w.must(err)
	w.admin, err = admin.New(t.Context(), admin.Config{Version: "1.2.3", SampleInterval: every}, service.Deps{
		Logger: deps.Logger, Metrics: deps.Metrics, Registry: reg, Client: clients, StoreURL: url,
	})
	w.must(err)
	mux := http.NewServeMux()
	handle := rpc.Handle(mux)
	handle(authv1connect.NewDirectoryServiceHandler(w.users, handlers))
	handle(livev1connect.NewLiveServiceHandler(live{}, handlers))
	handle(livev1connect.NewControlServiceHandler(w.control, handlers))
	handle(chatv1connect.NewConversationServiceHandler(w.talk, handlers))
	w.admin.Mount(handle, handlers)
	w.server = memhttp.NewServer(mux)
	t.Cleanup(func() {
		w.admin.Drain()
		w.must(errors.Join(w.server.Close(), w.admin.Close(context.Background()), reg.Close()))
	})
	if err := w.admin.Start(t.Context()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("started without neighbours: %v", err)
	}
	if _, err := w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{}); !errs.Is(err, connect.CodeUnavailable, "") {
		t.Errorf("a call before the start: %v", err)
	}
	w.site() // a neighbour may ask while it starts
	for _, name := range []string{"auth", "live", "chat"} {
		w.must(reg.Register(t.Context(), name, registry.Endpoint{BaseURL: w.server.URL(), Client: w.server.Client()}))
	}
	w.must(w.admin.Start(t.Context()))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// as calls as an administrator.
func (w *world) as(user string) adminv1connect.AdminServiceClient {
	return w.in(user, authv1.Role_ROLE_ADMIN)
}

// in calls in a role.
func (w *world) in(user string, role authv1.Role) adminv1connect.AdminServiceClient {
	w.t.Helper()
	return adminv1connect.NewAdminServiceClient(w.server.Client(), w.server.URL(), w.As(w.t, w.User(user, role)))
}

// log returns the audit log in the order of its acts, each entry as one line: people by name where one is known.
func (w *world) log(r *adminv1.ListAuditEntriesRequest) (lines []string) {
	w.t.Helper()
	named := func(id, name string) string {
		if name == "" {
			return id
		}
		return id + " " + name
	}
	for {
		res, err := w.as("reader").ListAuditEntries(w.t.Context(), r)
		w.must(err)
		for _, e := range res.GetEntries() {
			if len(e.GetId()) != 26 || time.Since(e.GetAt().AsTime()) > time.Minute {
				w.t.Errorf("entry %v", e)
			}
			lines = append(lines, strings.Join([]string{
				named(e.GetActorId(), e.GetActorName()), e.GetAction(), named(e.GetTargetId(), e.GetTargetName()),
				e.GetDetail(), e.GetError(),
			}, "|"))
		}
		if r.PageToken = res.GetNextPageToken(); r.GetPageToken() == "" {
			slices.Reverse(lines)
			return lines
		}
	}
}

// eventually waits until a condition holds. It looks rarely: each look is work that the samples wait for.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }
