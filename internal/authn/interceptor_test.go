package authn_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
)

type auth struct {
	authv1connect.UnimplementedAuthServiceHandler
}

func (auth) GetMe(ctx context.Context, _ *authv1.GetMeRequest) (*authv1.GetMeResponse, error) {
	p := authn.MustFrom(ctx)
	return &authv1.GetMeResponse{User: &authv1.User{Id: p.UserID, Role: p.Role}}, nil
}

type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler
}

func (directory) BatchGetUsers(
	ctx context.Context, _ *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	return &authv1.BatchGetUsersResponse{Users: []*authv1.User{{Id: authn.MustFrom(ctx).Service}}}, nil
}

type live struct {
	livev1connect.UnimplementedLiveServiceHandler

	seen chan authn.Principal
}

func (l live) ListCategories(
	ctx context.Context, _ *livev1.ListCategoriesRequest,
) (*livev1.ListCategoriesResponse, error) {
	p, _ := authn.From(ctx)
	l.seen <- p
	return &livev1.ListCategoriesResponse{}, nil
}

type edge struct {
	edgev1connect.UnimplementedEdgeServiceHandler

	stubborn chan struct{} // a handler that does not look at its context sends whenever this lets it
}

func (c edge) Connect(
	ctx context.Context, r *edgev1.ConnectRequest, s *connect.ServerStream[edgev1.ConnectResponse],
) error {
	if r.GetEnter()[0].GetConversationId() == "goodbye" && !authn.EndRevoked(ctx) {
		return errors.New("it was not asked to stay")
	}
	if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
		return err
	}
	if r.GetEnter()[0].GetConversationId() == "goodbye" {
		<-c.stubborn
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
			return err
		}
		return errs.Unavailable("GOODBYE", "it said so itself")
	}
	if r.GetEnter()[0].GetConversationId() == "stubborn" {
		for range c.stubborn {
			if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
				return err
			}
		}
		return nil
	}
	<-ctx.Done()
	if r.GetEnter()[0].GetConversationId() == "content" {
		return nil
	}
	return ctx.Err()
}

type world struct {
	*authntest.House

	server   *memhttp.Server
	seen     chan authn.Principal
	stubborn chan struct{}
}

func serve(t *testing.T) *world {
	t.Helper()
	w := &world{House: authntest.New(t), seen: make(chan authn.Principal, 1), stubborn: make(chan struct{})}
	options := connect.WithInterceptors(errs.NewInterceptor(slog.New(slog.DiscardHandler)), w.Interceptor())
	mux := http.NewServeMux()
	mux.Handle(authv1connect.NewAuthServiceHandler(auth{}, options))
	mux.Handle(authv1connect.NewDirectoryServiceHandler(directory{}, options))
	mux.Handle(livev1connect.NewLiveServiceHandler(live{seen: w.seen}, options))
	mux.Handle(edgev1connect.NewEdgeServiceHandler(edge{stubborn: w.stubborn}, options))
	w.server = memhttp.NewServer(mux)
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) getMe(t *testing.T, options ...connect.ClientOption) (*authv1.User, error) {
	t.Helper()
	client := authv1connect.NewAuthServiceClient(w.server.Client(), w.server.URL(), options...)
	res, err := client.GetMe(t.Context(), &authv1.GetMeRequest{})
	return res.GetUser(), err
}

func TestCallersOverEveryProtocol(t *testing.T) {
	for name, protocol := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "get": connect.WithHTTPGet(), "grpc": connect.WithGRPC(),
		"grpc-web": connect.WithGRPCWeb(),
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			guest := w.User("g1", authv1.Role_ROLE_GUEST)
			if me, err := w.getMe(t, protocol, w.As(t, guest)); err != nil || me.GetId() != "g1" || me.GetRole() != guest.Role {
				t.Errorf("a guest: %v, %v", me, err)
			}
			if _, err := w.getMe(t, protocol); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
				t.Errorf("nobody: %v", err)
			}
			if _, err := w.getMe(t, protocol, authntest.WithToken("bad")); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_INVALID") {
				t.Errorf("a bad token: %v", err)
			}
			late := guest
			late.ExpiresAt = time.Now().Add(-time.Minute)
			if _, err := w.getMe(t, protocol, w.As(t, late)); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_EXPIRED") {
				t.Errorf("an expired token: %v", err)
			}
			w.Revocations.Add(guest.SessionID, time.Now())
			if _, err := w.getMe(t, protocol, w.As(t, guest)); !errs.Is(err, connect.CodeUnauthenticated, "SESSION_REVOKED") {
				t.Errorf("a revoked session: %v", err)
			}
			if me, err := w.getMe(t, protocol, w.As(t, w.User("g2", guest.Role))); err != nil || me.GetId() != "g2" {
				t.Errorf("another session: %v, %v", me, err)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	w := serve(t)
	users := func(option connect.ClientOption) (*authv1.BatchGetUsersResponse, error) {
		return authv1connect.NewDirectoryServiceClient(w.server.Client(), w.server.URL(), option).
			BatchGetUsers(t.Context(), &authv1.BatchGetUsersRequest{})
	}
	if res, err := users(w.AsService("live")); err != nil || res.GetUsers()[0].GetId() != "live" {
		t.Errorf("a service: %v, %v", res, err)
	}
	_, err := users(w.As(t, w.User("a", authv1.Role_ROLE_ADMIN)))
	if !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") || errs.Metadata(err)["required_role"] != "service" {
		t.Errorf("an administrator at a service's RPC: %v", err)
	}
	if _, err := users(authntest.New(t).AsService("live")); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_INVALID") {
		t.Errorf("a service of another house: %v", err)
	}
	if _, err := w.getMe(t, w.AsService("live")); !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") {
		t.Errorf("a service at a user's RPC: %v", err)
	}
	_, err = authv1connect.NewAuthServiceClient(w.server.Client(), w.server.URL(),
		w.As(t, w.User("g", authv1.Role_ROLE_GUEST))).UpdateProfile(t.Context(), &authv1.UpdateProfileRequest{})
	if !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") || errs.Metadata(err)["required_role"] != "user" {
		t.Errorf("a guest at a user's RPC: %v", err)
	}
	// An interceptor that comes after a token leaves it in place.
	me, err := w.getMe(t, w.As(t, w.User("u", authv1.Role_ROLE_USER)), w.AsService("live"))
	if err != nil || me.GetId() != "u" {
		t.Errorf("a token was replaced: %v, %v", me, err)
	}
}

func TestPublicRPCsForgiveBadTokens(t *testing.T) {
	w := serve(t)
	user := w.User("u", authv1.Role_ROLE_USER)
	revoked := w.User("r", authv1.Role_ROLE_USER)
	w.Revocations.Add(revoked.SessionID, time.Now())
	for name, c := range map[string]struct {
		option connect.ClientOption
		want   authn.Principal
	}{
		"nobody": {connect.WithClientOptions(), authn.Principal{}}, "bad": {authntest.WithToken("bad"), authn.Principal{}},
		"revoked": {w.As(t, revoked), authn.Principal{}}, "good": {w.As(t, user), user},
	} {
		_, err := livev1connect.NewLiveServiceClient(w.server.Client(), w.server.URL(), c.option).
			ListCategories(t.Context(), &livev1.ListCategoriesRequest{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := <-w.seen; got != c.want {
			t.Errorf("%s: seen as %+v", name, got)
		}
	}
}

func TestTokensAreTakenFromTheHeaderOnly(t *testing.T) {
	w := serve(t)
	token := w.Token(t, w.User("u", authv1.Role_ROLE_USER))
	call := func(change func(r *http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL()+
			authv1connect.AuthServiceGetMeProcedure+"?connect=v1&encoding=json&message=%7B%7D", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		res, err := w.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		return res.StatusCode
	}
	for name, c := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"header":        {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 200},
		"lower case":    {func(r *http.Request) { r.Header.Set("Authorization", "bearer "+token) }, 200},
		"query":         {func(r *http.Request) { r.URL.RawQuery += "&access_token=" + token + "&token=" + token }, 401},
		"cookie":        {func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "access_token", Value: token}) }, 401},
		"other scheme":  {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token) }, 401},
		"no scheme":     {func(r *http.Request) { r.Header.Set("Authorization", token) }, 401},
		"scheme only":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"empty":         {func(r *http.Request) { r.Header.Set("Authorization", "") }, 401},
		"two headers":   {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token} }, 401},
		"two in a line": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+", Bearer "+token) }, 401},
	} {
		if got := call(c.change); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}

func TestUnlistedProcedureIsRefused(t *testing.T) {
	house := authntest.New(t)
	mux := http.NewServeMux()
	mux.Handle(authv1connect.NewAuthServiceHandler(auth{}, connect.WithInterceptors(
		errs.NewInterceptor(slog.New(slog.DiscardHandler)),
		authn.NewInterceptor(house.Verifier, house.Services, house.Revocations, authn.Policy{}),
	)))
	s := memhttp.NewServer(mux)
	defer s.Close() //nolint:errcheck // a test
	for _, option := range []connect.ClientOption{
		connect.WithClientOptions(), authntest.WithToken("bad"), house.As(t, house.User("a", authv1.Role_ROLE_ADMIN)), house.AsService("x"),
	} {
		_, err := authv1connect.NewAuthServiceClient(s.Client(), s.URL(), option).GetMe(t.Context(), &authv1.GetMeRequest{})
		if !errs.Is(err, connect.CodePermissionDenied, "FORBIDDEN") {
			t.Errorf("got %v", err)
		}
	}
}

func TestRevocationEndsStreams(t *testing.T) {
	for name, protocol := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb(),
	} {
		for _, handler := range []string{"polite", "content", "stubborn"} {
			t.Run(name+" "+handler, func(t *testing.T) {
				w := serve(t)
				gone, stays := w.User("gone", authv1.Role_ROLE_GUEST), w.User("stays", authv1.Role_ROLE_GUEST)
				open := func(p authn.Principal, conversation string) *connect.ServerStreamForClient[edgev1.ConnectResponse] {
					s, err := edgev1connect.NewEdgeServiceClient(w.server.Client(), w.server.URL(), protocol, w.As(t, p)).
						Connect(t.Context(), &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: conversation}}})
					if err != nil || !s.Receive() {
						t.Fatal(errors.Join(err, s.Err()))
					}
					return s
				}
				first, other := open(gone, handler), open(stays, "polite")
				start := time.Now()
				w.Revocations.Add(gone.SessionID, start)
				if handler == "stubborn" {
					w.stubborn <- struct{}{}
				}
				if first.Receive() {
					t.Error("an event after the revocation")
				}
				if err := first.Err(); !errs.Is(err, connect.CodeUnauthenticated, "SESSION_REVOKED") {
					t.Errorf("the stream ended with %v", err)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("the stream ended after %v", took)
				}
				_ = first.Close()
				w.Revocations.Add(stays.SessionID, time.Now()) // it was there until now
				if other.Receive() || errs.Reason(other.Err()) != "SESSION_REVOKED" {
					t.Errorf("the other stream ended with %v", other.Err())
				}
				_ = other.Close()
			})
		}
	}
}

// TestHandlersMaySayGoodbye: who took over the end of a revoked stream sends what it wants to before, and ends as it says.
func TestHandlersMaySayGoodbye(t *testing.T) {
	w := serve(t)
	p := w.User("u", authv1.Role_ROLE_USER)
	s, err := edgev1connect.NewEdgeServiceClient(w.server.Client(), w.server.URL(), w.As(t, p)).
		Connect(t.Context(), &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: "goodbye"}}})
	if err != nil || !s.Receive() {
		t.Fatal(errors.Join(err, s.Err()))
	}
	w.Revocations.Add(p.SessionID, time.Now())
	w.stubborn <- struct{}{}
	if !s.Receive() {
		t.Error("no goodbye came")
	}
	if s.Receive() || !errs.Is(s.Err(), connect.CodeUnavailable, "GOODBYE") {
		t.Errorf("it ended with %v", s.Err())
	}
	if !authn.EndRevoked(t.Context()) {
		t.Error("what nobody guards has ended")
	}
}

func TestRevokedSessionOpensNoStream(t *testing.T) {
	w := serve(t)
	p := w.User("u", authv1.Role_ROLE_USER)
	w.Revocations.Add(p.SessionID, time.Now())
	s, err := edgev1connect.NewEdgeServiceClient(w.server.Client(), w.server.URL(), w.As(t, p)).
		Connect(t.Context(), &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: "polite"}}})
	if err == nil {
		if s.Receive() {
			t.Error("an event for a revoked session")
		}
		err = s.Err()
	}
	if !errs.Is(err, connect.CodeUnauthenticated, "SESSION_REVOKED") {
		t.Errorf("got %v", err)
	}
}
