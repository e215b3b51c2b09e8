package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn/authntest"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// directory is auth's side: it shows what arrives at a neighbour.
type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler
}

func (directory) BatchGetUsers(
	ctx context.Context, r *authv1.BatchGetUsersRequest,
) (*authv1.BatchGetUsersResponse, error) {
	if len(r.GetUserIds()) == 0 {
		return nil, errs.NotFound("NOBODY", "no such user")
	}
	return &authv1.BatchGetUsersResponse{Users: []*authv1.User{{Id: telemetry.RequestID(ctx)}}}, nil
}

// chat calls its neighbour for each like.
type chat struct {
	chatv1connect.UnimplementedChatServiceHandler
	edgev1connect.UnimplementedEdgeServiceHandler

	users authv1connect.DirectoryServiceClient
	ids   chan string
}

func (c chat) Like(ctx context.Context, r *chatv1.LikeRequest) (*chatv1.LikeResponse, error) {
	switch r.GetConversationId() {
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case "panics":
		panic("oh no")
	case "asks for nobody":
		_, err := c.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{})
		return nil, err
	}
	res, err := c.users.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: []string{"u"}})
	if err != nil {
		return nil, err
	}
	c.ids <- res.GetUsers()[0].GetId()
	return &chatv1.LikeResponse{}, nil
}

func (chat) Connect(
	ctx context.Context, _ *edgev1.ConnectRequest, s *connect.ServerStream[edgev1.ConnectResponse],
) error {
	if _, limited := ctx.Deadline(); limited {
		return errors.New("a stream has a deadline")
	}
	if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

type world struct {
	*authntest.House

	server *memhttp.Server
	deps   rpc.Deps
	log    *lockedBuffer
	ids    chan string
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

func serve(t *testing.T) *world {
	t.Helper()
	w := &world{House: authntest.New(t), log: &lockedBuffer{}, ids: make(chan string, 1)}
	logger, err := telemetry.NewLogger(w.log, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	w.deps = rpc.Deps{
		Logger: logger, Metrics: telemetry.NewMetrics(), Verifier: w.Verifier, ServiceTokens: w.Services,
		Revocations: w.Revocations, Timeout: 200 * time.Millisecond,
	}
	handlers, err := rpc.HandlerOptions(w.deps)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := rpc.ClientOptions(w.deps, "chat")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), "static:")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.server = memhttp.NewServer(mux)
	t.Cleanup(func() {
		if err := errors.Join(w.server.Close(), reg.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := reg.Register(t.Context(), "auth", registry.Endpoint{BaseURL: w.server.URL(), Client: w.server.Client()}); err != nil {
		t.Fatal(err)
	}
	users, err := rpc.Client(t.Context(), reg, "auth", authv1connect.NewDirectoryServiceClient, clients)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.Client(t.Context(), reg, "moon", authv1connect.NewDirectoryServiceClient, clients); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a client of nobody: %v", err)
	}
	rpc.Handle(mux)(authv1connect.NewDirectoryServiceHandler(directory{}, handlers))
	rpc.Handle(mux)(chatv1connect.NewChatServiceHandler(chat{users: users, ids: w.ids}, handlers))
	rpc.Handle(mux)(edgev1connect.NewEdgeServiceHandler(chat{}, handlers))
	rpc.Mount(mux, logger, chatv1connect.ChatServiceName)
	return w
}

// client has a unary RPC and a stream.
type client struct {
	chatv1connect.ChatServiceClient
	edgev1connect.EdgeServiceClient
}

func (w *world) client(t *testing.T, options ...connect.ClientOption) client {
	t.Helper()
	options = append(options, w.As(t, w.User("u", authv1.Role_ROLE_USER)))
	return client{
		chatv1connect.NewChatServiceClient(w.server.Client(), w.server.URL(), options...),
		edgev1connect.NewEdgeServiceClient(w.server.Client(), w.server.URL(), options...),
	}
}

func (w *world) like(t *testing.T, conversation string, options ...connect.ClientOption) error {
	t.Helper()
	_, err := w.client(t, options...).Like(t.Context(), &chatv1.LikeRequest{ConversationId: conversation, Count: 1})
	return err
}

func (w *world) metrics(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/metrics", w.deps.Metrics.Handler())
	s := memhttp.NewServer(mux)
	defer s.Close() //nolint:errcheck // a test
	res, err := s.Client().Get(s.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func everyProtocol(t *testing.T, run func(t *testing.T, protocol connect.ClientOption)) {
	for name, protocol := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb(),
	} {
		t.Run(name, func(t *testing.T) { run(t, protocol) })
	}
}

func TestOneCallThroughTheWholeStack(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol connect.ClientOption) {
		w := serve(t)
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("X-Request-Id", "r-1")
		if _, err := w.client(t, protocol).Like(ctx, &chatv1.LikeRequest{ConversationId: "c", Count: 1}); err != nil {
			t.Fatal(err)
		}
		if id := <-w.ids; id != "r-1" || info.ResponseHeader().Get("X-Request-Id") != "r-1" {
			t.Errorf("the neighbour saw request id %q, the client %q", id, info.ResponseHeader().Get("X-Request-Id"))
		}
		// A request id that would spoil a log is replaced.
		ctx, info = connect.NewClientContext(t.Context())
		info.RequestHeader().Set("X-Request-Id", "a b")
		if _, err := w.client(t, protocol).Like(ctx, &chatv1.LikeRequest{ConversationId: "c", Count: 1}); err != nil {
			t.Fatal(err)
		}
		if id := <-w.ids; !telemetry.ValidRequestID(id) || info.ResponseHeader().Get("X-Request-Id") != id {
			t.Errorf("the neighbour saw request id %q", id)
		}
	})
}

func TestErrorsOfEachLayer(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol connect.ClientOption) {
		w := serve(t)
		for _, c := range []struct {
			conversation string
			code         connect.Code
			reason       string
		}{
			{"", connect.CodeInvalidArgument, "INVALID_ARGUMENT"},
			{"panics", connect.CodeInternal, "INTERNAL"},
			{"hangs", connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED"},
			{"asks for nobody", connect.CodeNotFound, "NOBODY"},
			{strings.Repeat("x", 2<<20), connect.CodeResourceExhausted, "REQUEST_TOO_LARGE"},
		} {
			if err := w.like(t, c.conversation, protocol); !errs.Is(err, c.code, c.reason) {
				t.Errorf("%.20q: %v", c.conversation, err)
			}
		}
		anonymous := chatv1connect.NewChatServiceClient(w.server.Client(), w.server.URL(), protocol)
		// The caller is asked for before the message is judged.
		if _, err := anonymous.Like(t.Context(), &chatv1.LikeRequest{}); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
			t.Errorf("nobody: %v", err)
		}
		log := w.log.text()
		if !strings.Contains(log, "call panicked") || !strings.Contains(log, "request_id=") {
			t.Errorf("log is %s", log)
		}
		const procedure = `procedure="/stoa.chat.v1.ChatService/Like"} `
		for _, want := range []string{
			`stoa_rpc_requests_total{code="internal",` + procedure + "1", `{code="deadline_exceeded",` + procedure + "1",
			`{code="invalid_argument",` + procedure + "1", `{code="unauthenticated",` + procedure + "1",
			`stoa_rpc_duration_seconds_count{` + procedure + "5",
		} {
			if page := w.metrics(t); !strings.Contains(page, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	})
}

func TestStreamsHaveNoDeadlineAndAreCounted(t *testing.T) {
	everyProtocol(t, func(t *testing.T, protocol connect.ClientOption) {
		w := serve(t)
		stream, err := w.client(t, protocol).Connect(t.Context(), &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: "c"}}})
		if err != nil || !stream.Receive() {
			t.Fatal(errors.Join(err, stream.Err()))
		}
		if !telemetry.ValidRequestID(stream.ResponseHeader().Get("X-Request-Id")) {
			t.Error("the stream has no request id")
		}
		if page := w.metrics(t); !strings.Contains(page, `stoa_rpc_streams_in_flight{procedure="/stoa.edge.v1.EdgeService/Connect"} 1`) {
			t.Error("the open stream is not counted")
		}
		w.Revocations.Add("session-u", time.Now())
		if stream.Receive() || errs.Reason(stream.Err()) != "SESSION_REVOKED" {
			t.Errorf("got %v", stream.Err())
		}
		_ = stream.Close()
	})
}

func TestHealthAndReflection(t *testing.T) {
	mux := http.NewServeMux()
	checker := rpc.Mount(mux, slog.New(slog.DiscardHandler), chatv1connect.ChatServiceName)
	s := memhttp.NewServer(mux)
	defer s.Close() //nolint:errcheck // a test
	health := func() string {
		res, err := s.Client().Post(s.URL()+"/grpc.health.v1.Health/Check", "application/json",
			strings.NewReader(`{"service":"stoa.chat.v1.ChatService"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := health(); !strings.Contains(got, `"SERVING`) {
		t.Errorf("got %s", got)
	}
	checker.SetStatus(chatv1connect.ChatServiceName, grpchealth.StatusNotServing)
	if got := health(); !strings.Contains(got, `NOT_SERVING`) {
		t.Errorf("got %s", got)
	}
	stream := grpcreflect.NewClient(s.Client(), s.URL(), connect.WithGRPC()).NewStream(t.Context())
	defer stream.Close() //nolint:errcheck // a test
	names, err := stream.ListServices()
	if err != nil || len(names) != 1 || names[0] != chatv1connect.ChatServiceName {
		t.Errorf("got %v, %v", names, err)
	}
	files, err := stream.FileContainingSymbol(chatv1connect.ChatServiceName)
	if err != nil || len(files) == 0 {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestHandlersNeedEveryPart(t *testing.T) {
	if _, err := rpc.HandlerOptions(rpc.Deps{Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("built a handler without authorization")
	}
	if _, err := rpc.ClientOptions(rpc.Deps{}, "tool"); err != nil {
		t.Errorf("an anonymous client: %v", err)
	}
}
