package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/internal/testkit"
)

const (
	like      = "/stoa.chat.v1.ChatService/Like"
	subscribe = "/stoa.edge.v1.EdgeService/Connect"
	maxBody   = 4 << 10
)

// chat is a service behind the gateway: it keeps what arrives.
type chat struct {
	chatv1connect.UnimplementedChatServiceHandler
	edgev1connect.UnimplementedEdgeServiceHandler

	seen chan http.Header
}

func (c chat) Like(ctx context.Context, r *chatv1.LikeRequest) (*chatv1.LikeResponse, error) {
	if r.GetConversationId() == "refused" {
		return nil, errs.NotFound("CONVERSATION_NOT_FOUND", "no such conversation")
	}
	call, _ := connect.CallInfoForHandlerContext(ctx)
	select {
	case c.seen <- call.RequestHeader().Clone():
	default:
	}
	return &chatv1.LikeResponse{}, nil
}

// Connect sends three events, each when the one before was asked for by nobody: it ends by an error with a reason.
func (c chat) Connect(_ context.Context, _ *edgev1.ConnectRequest, s *connect.ServerStream[edgev1.ConnectResponse]) error {
	for id := range uint32(3) {
		if err := s.Send(&edgev1.ConnectResponse{Frame: &edgev1.ServerFrame{Id: id}}); err != nil {
			return err
		}
	}
	return errs.Unavailable("DRAINING", "come back")
}

// world is a gateway on a real server, with a local chat service.
type world struct {
	gateway *gateway.Gateway
	server  *httptest.Server
	http1   *http.Client
	http2   *http.Client
	metrics *telemetry.Metrics
	log     *testkit.Log
	seen    chan http.Header
	peer    atomic.Value // string: the address from which requests come
}

func serve(t *testing.T, changes ...func(*gateway.Config)) *world {
	t.Helper()
	w := &world{metrics: telemetry.NewMetrics(), log: &testkit.Log{}, seen: make(chan http.Header, 1)}
	w.peer.Store("192.0.2.1:1234")
	logger, err := telemetry.NewLogger(w.log, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{
		Services: []string{chatv1connect.ChatServiceName, edgev1connect.EdgeServiceName}, Local: services(w.seen), IsLocal: func(string) bool { return true },
		JWKS:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }),
		Web:     testkit.Web(),
		Metrics: w.metrics, Logger: logger, MaxBody: maxBody,
	}
	for _, change := range changes {
		change(&config)
	}
	if w.gateway, err = gateway.New(config); err != nil {
		t.Fatal(err)
	}
	// A real port: how HTTP/1.1 refuses a body that still comes depends on TCP.
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.RemoteAddr, r.Host = w.peer.Load().(string), "stoa.example"
		w.gateway.ServeHTTP(rw, r)
	}))
	w.server.Config.Protocols = protocols(true, true)
	w.server.Start()
	w.http1 = &http.Client{Transport: &http.Transport{Protocols: protocols(true, false), DisableCompression: true}}
	w.http1.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.http2 = &http.Client{Transport: &http.Transport{Protocols: protocols(false, true), DisableCompression: true}}
	t.Cleanup(func() {
		w.http1.CloseIdleConnections()
		w.http2.CloseIdleConnections()
		w.server.Close()
	})
	return w
}

func protocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

// services is what a process mounts: the chat service and one for neighbours only.
func services(seen chan http.Header) *http.ServeMux {
	mux := http.NewServeMux()
	options := connect.WithHandlerOptions(connect.WithReadMaxBytes(maxBody),
		connect.WithInterceptors(telemetry.NewRequestIDInterceptor(), errs.NewInterceptor(discard())))
	rpc.Handle(mux)(chatv1connect.NewChatServiceHandler(chat{seen: seen}, options))
	rpc.Handle(mux)(edgev1connect.NewEdgeServiceHandler(chat{seen: seen}, options))
	rpc.Handle(mux)(chatv1connect.NewConversationServiceHandler(chatv1connect.UnimplementedConversationServiceHandler{}, options))
	return mux
}

// remote makes the chat service one of another process, which answers by handler; nil leaves nobody there.
func remote(t *testing.T, handler http.Handler) func(*gateway.Config) {
	t.Helper()
	reg, err := registry.Open(t.Context(), "static:")
	if err != nil {
		t.Fatal(err)
	}
	there := memhttp.NewServer(handler, memhttp.WithName("elsewhere"))
	t.Cleanup(func() {
		if err := errors.Join(there.Close(), reg.Close()); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"chat", "edge"} {
		if err := reg.Register(t.Context(), name, registry.Endpoint{BaseURL: there.URL(), Client: there.Client()}); err != nil {
			t.Fatal(err)
		}
	}
	if handler == nil {
		if err := there.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *gateway.Config) {
		c.Local, c.Registry = http.NotFoundHandler(), reg
		c.IsLocal = func(string) bool { return false }
	}
}

// client has a unary RPC and a stream.
type client struct {
	chatv1connect.ChatServiceClient
	edgev1connect.EdgeServiceClient
}

// client calls the service by a protocol.
func (w *world) client(p testkit.Protocol) client {
	return client{
		chatv1connect.NewChatServiceClient(w.http(p.HTTP2), w.server.URL, p.Options...),
		edgev1connect.NewEdgeServiceClient(w.http(p.HTTP2), w.server.URL, p.Options...),
	}
}

func (w *world) http(http2 bool) *http.Client {
	if http2 {
		return w.http2
	}
	return w.http1
}

// answer is a response that was read.
type answer struct {
	*http.Response

	body string
}

// do sends a request over HTTP/1.1. Headers are pairs of a name and a value.
func (w *world) do(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return w.send(t, r)
}

func (w *world) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	res, err := w.http1.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatalf("read the answer to %s %s: %v", r.Method, r.URL.Path, err)
	}
	return answer{res, string(raw)}
}

// post calls Like with plain JSON.
func (w *world) post(t *testing.T, headers ...string) answer {
	t.Helper()
	return w.do(t, http.MethodPost, like, `{}`, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// arrived returns the header with which the last call reached the service.
func (w *world) arrived(t *testing.T, headers ...string) http.Header {
	t.Helper()
	if a := w.post(t, headers...); a.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	return <-w.seen
}

func networks(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}
