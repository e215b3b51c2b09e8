package auth_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/services/auth"
)

const (
	password       = "correct horse battery"
	accessLifetime = 15 * time.Minute
)

// clock is the time of a test. It stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// world is one process with the auth service behind the real stack, and a neighbour that streams.
type world struct {
	t           testing.TB
	clock       *clock
	service     *auth.Service
	mux         *http.ServeMux
	server      *memhttp.Server
	verifier    *authn.Verifier
	tokens      *authn.ServiceTokens
	revocations *authn.Revocations
	metrics     *telemetry.Metrics
	log         *lockedBuffer
	deps        service.Deps
	site        *site
	revoked     chan *authv1.SessionsRevoked // once they are in revocations
	changed     chan *authv1.UserChanged
}

// place is where several worlds can share a database and a clock.
type place struct {
	clock    *clock
	storeURL string
	dataDir  string
}

func newPlace(t testing.TB) place {
	t.Helper()
	// Not a whole millisecond, as real clocks; long ago, so that nothing of a test depends on the real one.
	start := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("elsewhere", -5*3600))
	return place{clock: &clock{now: start}, storeURL: storetest.URL(t), dataDir: t.TempDir()}
}

// cheap makes passwords cost nothing.
func cheap(c *auth.Config) { c.Argon2 = auth.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1} }

func serve(t testing.TB, changes ...func(*auth.Config)) *world {
	t.Helper()
	return serveAt(t, newPlace(t), changes...)
}

func serveAt(t testing.TB, p place, changes ...func(*auth.Config)) *world {
	t.Helper()
	w := mountAt(t, p, changes...)
	w.start()
	return w
}

// start makes the neighbours known and begins.
func (w *world) start() {
	w.t.Helper()
	endpoint := registry.Endpoint{BaseURL: w.server.URL(), Client: w.server.Client()}
	if err := w.deps.Registry.Register(w.t.Context(), "site", endpoint); err != nil {
		w.t.Fatal(err)
	}
	if err := w.service.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// mountAt is serveAt before the start.
func mountAt(t testing.TB, p place, changes ...func(*auth.Config)) *world {
	t.Helper()
	w := &world{
		t: t, clock: p.clock, log: &lockedBuffer{}, metrics: telemetry.NewMetrics(),
		revoked: make(chan *authv1.SessionsRevoked, 100), changed: make(chan *authv1.UserChanged, 100), site: &site{},
	}
	logger, err := telemetry.NewLogger(w.log, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	events, err := bus.Open(t.Context(), "mem:", logger)
	if err != nil {
		t.Fatal(err)
	}
	var config auth.Config
	cheap(&config)
	for _, change := range changes {
		change(&config)
	}
	reg, err := registry.Open(t.Context(), "static:")
	if err != nil {
		t.Fatal(err)
	}
	key, err := authn.NewServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	w.tokens = authn.NewServiceTokens(key, p.clock.Now)
	clients, err := rpc.ClientOptions(rpc.Deps{Logger: logger, ServiceTokens: w.tokens}, "auth")
	if err != nil {
		t.Fatal(err)
	}
	w.deps = service.Deps{
		Logger: logger, Metrics: w.metrics, Bus: events, Registry: reg, Client: clients, StoreURL: p.storeURL,
		DataDir: p.dataDir, Now: p.clock.Now,
	}
	if w.service, err = auth.New(t.Context(), config, w.deps); err != nil {
		t.Fatal(err)
	}
	w.verifier = authn.NewVerifier(w.service.KeySource(), p.clock.Now)
	w.revocations = authn.NewRevocations(accessLifetime, p.clock.Now)
	w.subscribe(events)
	options, err := rpc.HandlerOptions(rpc.Deps{
		Logger: logger, Metrics: w.metrics, Verifier: w.verifier, ServiceTokens: w.tokens, Revocations: w.revocations,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.service.Mount(rpc.Handle(mux), options)
	rpc.Handle(mux)(edgev1connect.NewEdgeServiceHandler(neighbour{}, options))
	rpc.Handle(mux)(sitev1connect.NewSiteServiceHandler(w.site, options))
	mux.Handle("/.well-known/jwks.json", w.service.JWKS())
	w.mux, w.server = mux, memhttp.NewServer(mux)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(w.server.Close(), w.service.Close(ctx), events.Close(ctx), reg.Close()); err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, "level=ERROR") {
				t.Errorf("logged: %s", line)
			}
		}
	})
	return w
}

func (w *world) subscribe(events bus.Bus) {
	_, err := bus.Subscribe(events, auth.TopicSessionsRevoked, "", func(_ context.Context, _ string, e *authv1.SessionsRevoked) error {
		for _, r := range e.GetRevocations() {
			w.revocations.Add(r.GetSessionId(), r.GetRevokedAt().AsTime())
		}
		w.revoked <- e
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = bus.Subscribe(events, auth.TopicUserChanged, "", func(_ context.Context, key string, e *authv1.UserChanged) error {
		if key != e.GetUser().GetId() {
			w.t.Errorf("a change of %s has the key %q", e.GetUser().GetId(), key)
		}
		w.changed <- e
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// neighbour streams until its caller's session ends.
type neighbour struct {
	edgev1connect.UnimplementedEdgeServiceHandler
}

func (neighbour) Connect(
	ctx context.Context, _ *edgev1.ConnectRequest, s *connect.ServerStream[edgev1.ConnectResponse],
) error {
	if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// client calls without a token.
func (w *world) client(options ...connect.ClientOption) authv1connect.AuthServiceClient {
	return authv1connect.NewAuthServiceClient(w.server.Client(), w.server.URL(), options...)
}

// as calls with an access token.
func (w *world) as(token string, options ...connect.ClientOption) authv1connect.AuthServiceClient {
	return w.client(append(options, authntest.WithToken(token))...)
}

// directory calls as a neighbour.
func (w *world) directory(options ...connect.ClientOption) authv1connect.DirectoryServiceClient {
	options = append(options, connect.WithInterceptors(w.tokens.ClientInterceptor("live")))
	return authv1connect.NewDirectoryServiceClient(w.server.Client(), w.server.URL(), options...)
}

func (w *world) device() string {
	w.t.Helper()
	res, err := w.client().RegisterDevice(w.t.Context(), &authv1.RegisterDeviceRequest{
		Platform: authv1.Platform_PLATFORM_WEB, Model: "Browser", AppVersion: "1.0",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return res.GetDeviceId()
}

func (w *world) signUp(device, username string) *authv1.SignUpResponse {
	w.t.Helper()
	res, err := w.client().SignUp(w.t.Context(), &authv1.SignUpRequest{DeviceId: device, Username: username, Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) signIn(device, username string) *authv1.SignInResponse {
	w.t.Helper()
	res, err := w.client().SignIn(w.t.Context(), &authv1.SignInRequest{DeviceId: device, Username: username, Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) guest(device string) *authv1.SignInAsGuestResponse {
	w.t.Helper()
	res, err := w.client().SignInAsGuest(w.t.Context(), &authv1.SignInAsGuestRequest{DeviceId: device})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) refresh(token string) (*authv1.RefreshTokenResponse, error) {
	return w.client().RefreshToken(w.t.Context(), &authv1.RefreshTokenRequest{RefreshToken: token})
}

// principal is whom an access token stands for.
func (w *world) principal(token string) authn.Principal {
	w.t.Helper()
	p, err := w.verifier.Verify(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// wantRevoked waits for the news that exactly these sessions ended.
func (w *world) wantRevoked(accessTokens ...string) {
	w.t.Helper()
	want := make(map[string]bool)
	for _, token := range accessTokens {
		want[w.principal(token).SessionID] = true
	}
	select {
	case e := <-w.revoked:
		for _, r := range e.GetRevocations() {
			if !want[r.GetSessionId()] {
				w.t.Errorf("session %s ended", r.GetSessionId())
			}
			delete(want, r.GetSessionId())
			if at := w.clock.Now().UTC().Truncate(time.Millisecond); !r.GetRevokedAt().AsTime().Equal(at) {
				w.t.Errorf("revoked at %v, want %v", r.GetRevokedAt().AsTime(), at)
			}
		}
	case <-w.t.Context().Done():
	case <-time.After(10 * time.Second):
	}
	if len(want) > 0 {
		w.t.Fatalf("no news of the end of %v", want)
	}
}

// wantError checks code and reason of a refusal.
func wantError(t testing.TB, err error, code connect.Code, reason string) {
	t.Helper()
	if !errs.Is(err, code, reason) {
		t.Errorf("got %v (%s), want %v %s", err, errs.Reason(err), code, reason)
	}
}

// me asks with a token who calls.
func (w *world) me(token string) error {
	_, err := w.as(token).GetMe(w.t.Context(), &authv1.GetMeRequest{})
	return err
}

// counter is the value of a counter with the given label values, in any order.
func (w *world) counter(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.metrics.Registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			have := make(map[string]bool)
			for _, label := range metric.GetLabel() {
				have[label.GetValue()] = true
			}
			match := true
			for _, label := range labels {
				match = match && have[label]
			}
			if match {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// everyProtocol runs a test over protocol × codec.
func everyProtocol(t *testing.T, run func(t *testing.T, options ...connect.ClientOption)) {
	protocols := map[string][]connect.ClientOption{
		"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	}
	codecs := map[string][]connect.ClientOption{"binary": nil, "json": {connect.WithProtoJSON()}}
	for protocol, a := range protocols {
		for codec, b := range codecs {
			t.Run(protocol+" "+codec, func(t *testing.T) { run(t, append(append([]connect.ClientOption{}, a...), b...)...) })
		}
	}
}
