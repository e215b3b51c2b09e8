package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	ent "github.com/stoa-live/stoa/gen/ent/admin"
	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/admin"
)

func TestMigrationsMatchTheSchema(t *testing.T) {
	db := storetest.Open(t, "admin", os.DirFS("."))
	storetest.AssertMatches(t, ent.NewClient(ent.Driver(db.WriteDriver())).Schema)
}

// directory is auth's side: it knows "ann" and "bob".
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	caller atomic.Value // name of the service that called
}

func (d *directory) account(ctx context.Context, id string, ban *authv1.Ban, role authv1.Role) (*authv1.Account, error) {
	d.caller.Store(authn.MustFrom(ctx).Service)
	switch id {
	case "ann", "bob":
		return &authv1.Account{User: &authv1.User{Id: id, Role: role}, Ban: ban}, nil
	case "breaks":
		return nil, errors.New("a driver's text")
	}
	return nil, errs.NotFound("USER_NOT_FOUND", "there is no such user")
}

func (d *directory) BanUser(ctx context.Context, r *authv1.BanUserRequest) (*authv1.BanUserResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), r.GetBan(), authv1.Role_ROLE_USER)
	return &authv1.BanUserResponse{Account: a}, err
}

func (d *directory) UnbanUser(ctx context.Context, r *authv1.UnbanUserRequest) (*authv1.UnbanUserResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), nil, authv1.Role_ROLE_USER)
	return &authv1.UnbanUserResponse{Account: a}, err
}

func (d *directory) SetRole(ctx context.Context, r *authv1.SetRoleRequest) (*authv1.SetRoleResponse, error) {
	a, err := d.account(ctx, r.GetUserId(), nil, r.GetRole())
	return &authv1.SetRoleResponse{Account: a}, err
}

func (*directory) ListUsers(_ context.Context, r *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	if r.GetPageToken() == "broken" {
		return nil, errs.InvalidArgument(pagination.ReasonTokenInvalid, "no token of this list")
	}
	// What was asked comes back, so that the test sees that it arrived.
	name := fmt.Sprint(r.GetQuery(), r.GetOnlyBanned(), r.GetPageSize(), r.GetPageToken())
	return &authv1.ListUsersResponse{
		Accounts:      []*authv1.Account{{User: &authv1.User{Nickname: name}, Ban: &authv1.Ban{Reason: "spam"}}},
		NextPageToken: "more",
	}, nil
}

// live is the other neighbour: a broadcast runs in "room".
type live struct {
	livev1connect.UnimplementedLiveServiceHandler
	livev1connect.UnimplementedControlServiceHandler
}

func (live) ListRooms(_ context.Context, r *livev1.ListRoomsRequest) (*livev1.ListRoomsResponse, error) {
	title := fmt.Sprint(r.GetOnlyLive(), r.GetPageSize(), r.GetPageToken())
	return &livev1.ListRoomsResponse{Items: []*livev1.ListRoomsResponse_Item{{
		Room: &livev1.Room{Title: title}, Broadcast: &livev1.Broadcast{ViewerCount: 3},
	}}, NextPageToken: "more"}, nil
}

func (live) StopBroadcast(_ context.Context, r *livev1.StopBroadcastRequest) (*livev1.StopBroadcastResponse, error) {
	switch r.GetRoomId() {
	case "room":
		return &livev1.StopBroadcastResponse{Broadcast: &livev1.Broadcast{
			Id: "b", State: livev1.BroadcastState_BROADCAST_STATE_ENDED,
		}}, nil
	case "dark":
		return nil, errs.FailedPrecondition("NOT_LIVE", "nothing is on the air")
	}
	return nil, errs.NotFound("ROOM_NOT_FOUND", "there is no such room")
}

type world struct {
	*authntest.House

	t      *testing.T
	server *memhttp.Server
	users  *directory
	admin  *admin.Service
}

// boot starts the service at url beside its neighbours.
func boot(t *testing.T, url string) *world {
	t.Helper()
	w := &world{House: authntest.New(t), t: t, users: &directory{}}
	deps := rpc.Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: telemetry.NewMetrics(), Verifier: w.Verifier,
		ServiceTokens: w.Services, Revocations: w.Revocations,
	}
	handlers, err := rpc.HandlerOptions(deps)
	w.must(err)
	clients, err := rpc.ClientOptions(deps, "admin")
	w.must(err)
	reg, err := registry.Open(t.Context(), "static:")
	w.must(err)
	w.admin, err = admin.New(t.Context(), admin.Config{}, service.Deps{
		Logger: deps.Logger, Metrics: deps.Metrics, Registry: reg, Client: clients, StoreURL: url,
	})
	w.must(err)
	mux := http.NewServeMux()
	handle := rpc.Handle(mux)
	handle(authv1connect.NewDirectoryServiceHandler(w.users, handlers))
	handle(livev1connect.NewLiveServiceHandler(live{}, handlers))
	handle(livev1connect.NewControlServiceHandler(live{}, handlers))
	w.admin.Mount(handle, handlers)
	w.server = memhttp.NewServer(mux)
	t.Cleanup(func() { w.must(errors.Join(w.server.Close(), w.admin.Close(context.Background()), reg.Close())) })
	if err := w.admin.Start(t.Context()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("started without neighbours: %v", err)
	}
	if _, err := w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{}); !errs.Is(err, connect.CodeUnavailable, "") {
		t.Errorf("a call before the start: %v", err)
	}
	for _, name := range []string{"auth", "live"} {
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

func (w *world) as(user string) adminv1connect.AdminServiceClient {
	w.t.Helper()
	return adminv1connect.NewAdminServiceClient(w.server.Client(), w.server.URL(),
		w.As(w.t, w.User(user, authv1.Role_ROLE_ADMIN)))
}

// log returns the audit log in the order of its acts, each entry as one line.
func (w *world) log(r *adminv1.ListAuditEntriesRequest) (lines []string) {
	w.t.Helper()
	for {
		res, err := w.as("reader").ListAuditEntries(w.t.Context(), r)
		w.must(err)
		for _, e := range res.GetEntries() {
			if len(e.GetId()) != 26 || time.Since(e.GetAt().AsTime()) > time.Minute {
				w.t.Errorf("entry %v", e)
			}
			line := []string{e.GetActorId(), e.GetAction(), e.GetTargetId(), e.GetDetail(), e.GetError()}
			lines = append(lines, strings.Join(line, "|"))
		}
		if r.PageToken = res.GetNextPageToken(); r.GetPageToken() == "" {
			slices.Reverse(lines)
			return lines
		}
	}
}

func TestEveryActIsInTheLog(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ann, bob := w.as("ann"), w.as("bob")
	ctx := t.Context()

	until := time.Now().Add(time.Hour).UTC()
	banned, err := ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: "spam", Until: timestamppb.New(until)})
	if err != nil || banned.GetUser().GetBan().GetReason() != "spam" || !banned.GetUser().GetBan().GetUntil().AsTime().Equal(until) {
		t.Errorf("got %v, %v", banned, err)
	}
	if caller := w.users.caller.Load(); caller != "admin" {
		t.Errorf("auth was called as %v", caller)
	}
	if _, err := ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "ann", Reason: "oops"}); !errs.Is(err, connect.CodeFailedPrecondition, admin.ReasonCannotBanSelf) {
		t.Errorf("banned herself: %v", err)
	}
	if _, err := ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "nobody", Reason: "r"}); !errs.Is(err, connect.CodeNotFound, "USER_NOT_FOUND") {
		t.Errorf("got %v", err)
	}
	if _, err := ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "breaks", Reason: "r"}); !errs.Is(err, connect.CodeInternal, errs.ReasonInternal) ||
		strings.Contains(err.Error(), "driver") {
		t.Errorf("got %v", err)
	}
	if free, err := bob.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"}); err != nil || free.GetUser().GetBan() != nil {
		t.Errorf("got %v, %v", free, err)
	}
	if raised, err := bob.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "ann", Role: authv1.Role_ROLE_ADMIN}); err != nil ||
		raised.GetUser().GetUser().GetRole() != authv1.Role_ROLE_ADMIN {
		t.Errorf("got %v, %v", raised, err)
	}
	if over, err := ann.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "room", Reason: "nudity"}); err != nil ||
		over.GetBroadcast().GetState() != livev1.BroadcastState_BROADCAST_STATE_ENDED {
		t.Errorf("got %v, %v", over, err)
	}
	if _, err := ann.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "dark", Reason: "r"}); !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") {
		t.Errorf("got %v", err)
	}
	want := []string{
		"ann|user.ban|bob|spam (until " + until.Format(time.RFC3339) + ")|",
		"ann|user.ban|ann|oops|CANNOT_BAN_SELF",
		"ann|user.ban|nobody|r|USER_NOT_FOUND",
		"ann|user.ban|breaks|r|INTERNAL",
		"bob|user.unban|bob||",
		"bob|user.set_role|ann|admin|",
		"ann|broadcast.end|room|nudity|",
		"ann|broadcast.end|dark|r|NOT_LIVE",
	}
	for _, size := range []int32{0, 1, 3, 8, 1000} {
		if got := w.log(&adminv1.ListAuditEntriesRequest{PageSize: size}); !slices.Equal(got, want) {
			t.Errorf("pages of %d show\n%s", size, strings.Join(got, "\n"))
		}
	}
	of := func(keep func(line []string) bool) (some []string) {
		for _, line := range want {
			if keep(strings.Split(line, "|")) {
				some = append(some, line)
			}
		}
		return some
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{ActorId: "bob", PageSize: 1}); !slices.Equal(got, of(func(l []string) bool { return l[0] == "bob" })) {
		t.Errorf("bob's acts: %v", got)
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{TargetId: "ann", PageSize: 1}); !slices.Equal(got, of(func(l []string) bool { return l[2] == "ann" })) {
		t.Errorf("acts on ann: %v", got)
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{ActorId: "bob", TargetId: "bob"}); len(got) != 1 {
		t.Errorf("bob's acts on himself: %v", got)
	}
}

func TestLogSurvivesARestart(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	t.Run("before", func(t *testing.T) {
		w := boot(t, url)
		if _, err := w.as("ann").UnbanUser(t.Context(), &adminv1.UnbanUserRequest{UserId: "bob"}); err != nil {
			t.Error(err)
		}
	})
	w := boot(t, url)
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); !slices.Equal(got, []string{"ann|user.unban|bob||"}) {
		t.Errorf("got %v", got)
	}
}

func TestListsAreTheNeighbours(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	users, err := w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{
		Query: "q", OnlyBanned: true, PageSize: 7, PageToken: "here",
	})
	if err != nil || len(users.GetUsers()) != 1 ||
		users.GetUsers()[0].GetUser().GetNickname() != fmt.Sprint("q", true, int32(7), "here") ||
		users.GetUsers()[0].GetBan().GetReason() != "spam" || users.GetNextPageToken() != "more" {
		t.Errorf("got %v, %v", users, err)
	}
	if _, err := w.as("ann").ListUsers(t.Context(), &adminv1.ListUsersRequest{PageToken: "broken"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("got %v", err)
	}
	rooms, err := w.as("ann").ListRooms(t.Context(), &adminv1.ListRoomsRequest{OnlyLive: true, PageSize: 7, PageToken: "here"})
	if err != nil || len(rooms.GetItems()) != 1 ||
		rooms.GetItems()[0].GetRoom().GetTitle() != fmt.Sprint(true, int32(7), "here") ||
		rooms.GetItems()[0].GetBroadcast().GetViewerCount() != 3 || rooms.GetNextPageToken() != "more" {
		t.Errorf("got %v, %v", rooms, err)
	}
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != 0 {
		t.Errorf("reading was recorded: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := boot(t, storetest.URL(t))
	ann := w.as("ann")
	ctx := t.Context()
	calls := map[string]func(c adminv1connect.AdminServiceClient) error{
		"ListUsers": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.ListUsers(ctx, &adminv1.ListUsersRequest{})
			return err
		},
		"BanUser": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: "r"})
			return err
		},
		"UnbanUser": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: "bob"})
			return err
		},
		"SetUserRole": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "bob", Role: authv1.Role_ROLE_ADMIN})
			return err
		},
		"ListRooms": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.ListRooms(ctx, &adminv1.ListRoomsRequest{})
			return err
		},
		"EndBroadcast": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: "room", Reason: "r"})
			return err
		},
		"ListAuditEntries": func(c adminv1connect.AdminServiceClient) error {
			_, err := c.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{})
			return err
		},
	}
	for _, role := range []authv1.Role{authv1.Role_ROLE_GUEST, authv1.Role_ROLE_USER} {
		c := adminv1connect.NewAdminServiceClient(w.server.Client(), w.server.URL(), w.As(t, w.User("eve", role)))
		for name, call := range calls {
			if err := call(c); !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
				t.Errorf("%s by a %v: %v", name, role, err)
			}
		}
	}
	long := strings.Repeat("x", 201)
	for name, err := range map[string]error{
		"no reason":   second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob"})),
		"long reason": second(ann.BanUser(ctx, &adminv1.BanUserRequest{UserId: "bob", Reason: long})),
		"over before it began": second(ann.BanUser(ctx, &adminv1.BanUserRequest{
			UserId: "bob", Reason: "r", Until: timestamppb.New(time.Now().Add(-time.Minute)),
		})),
		"nobody":     second(ann.UnbanUser(ctx, &adminv1.UnbanUserRequest{})),
		"to a guest": second(ann.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: "bob", Role: authv1.Role_ROLE_GUEST})),
		"no room":    second(ann.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{Reason: "r"})),
	} {
		if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ann.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{PageToken: "!"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("a made-up token: %v", err)
	}
	// Neither refusals by the table nor requests that make no sense are acts.
	if got := w.log(&adminv1.ListAuditEntriesRequest{}); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

func second[T any](_ T, err error) error { return err }
