package errs_test

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

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	connectvalidate "connectrpc.com/validate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/memhttp"
)

// chat answers every call with what its conversation's name asks for.
type chat struct {
	chatv1connect.UnimplementedChatServiceHandler
	edgev1connect.UnimplementedEdgeServiceHandler
}

func (chat) Like(ctx context.Context, r *chatv1.LikeRequest) (*chatv1.LikeResponse, error) {
	return &chatv1.LikeResponse{}, act(r.GetConversationId())
}

func (chat) Connect(
	_ context.Context, r *edgev1.ConnectRequest, s *connect.ServerStream[edgev1.ConnectResponse],
) error {
	if err := s.Send(&edgev1.ConnectResponse{}); err != nil {
		return err
	}
	return act(r.GetEnter()[0].GetConversationId())
}

func act(name string) error {
	switch name {
	case "refused":
		return errs.NotFound("CONVERSATION_NOT_FOUND", "no conversation “%s” – 100 %%", name).With("id", name)
	case "broken":
		return errors.New("sql: password=hunter2")
	case "panics":
		panic("password=hunter2")
	default:
		return nil
	}
}

// lockedBuffer is a log that handlers write while the test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const limit = 4096

func serveChat(t *testing.T) (*memhttp.Server, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	mux := http.NewServeMux()
	options := connect.WithHandlerOptions(connect.WithReadMaxBytes(limit), connect.WithInterceptors(
		errs.NewInterceptor(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		connectvalidate.NewInterceptor(),
	))
	path, handler := chatv1connect.NewChatServiceHandler(chat{}, options)
	mux.Handle(path, errs.Middleware(handler))
	path, handler = edgev1connect.NewEdgeServiceHandler(chat{}, options)
	mux.Handle(path, errs.Middleware(handler))
	s := memhttp.NewServer(mux)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, log
}

// client has a unary RPC and a stream.
type client struct {
	chatv1connect.ChatServiceClient
	edgev1connect.EdgeServiceClient
}

// everyWire runs a test over each protocol and codec.
func everyWire(t *testing.T, run func(t *testing.T, client client, log *lockedBuffer)) {
	protocols := map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb(),
	}
	codecs := map[string]connect.ClientOption{"proto": connect.WithClientOptions(), "json": connect.WithProtoJSON()}
	for protocol, asProtocol := range protocols {
		for codec, asCodec := range codecs {
			t.Run(protocol+" "+codec, func(t *testing.T) {
				s, log := serveChat(t)
				run(t, client{
					chatv1connect.NewChatServiceClient(s.Client(), s.URL(), asProtocol, asCodec),
					edgev1connect.NewEdgeServiceClient(s.Client(), s.URL(), asProtocol, asCodec),
				}, log)
			})
		}
	}
}

// both calls the unary RPC and the stream, and hands their errors to check.
func both(
	t *testing.T, client client, conversation string, check func(t *testing.T, err *connect.Error),
) {
	t.Helper()
	run := func(kind string, err error) {
		wire, ok := errors.AsType[*connect.Error](err)
		if !ok {
			t.Errorf("%s: got %v", kind, err)
			return
		}
		t.Run(kind, func(t *testing.T) { check(t, wire) })
	}
	_, err := client.Like(t.Context(), &chatv1.LikeRequest{ConversationId: conversation, Count: 1})
	run("unary", err)
	stream, err := client.Connect(t.Context(), &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: conversation}}})
	if err == nil {
		for stream.Receive() {
		}
		err = stream.Err()
		_ = stream.Close()
	}
	run("stream", err)
}

func TestRefusalsOverEveryWire(t *testing.T) {
	everyWire(t, func(t *testing.T, client client, log *lockedBuffer) {
		both(t, client, "refused", func(t *testing.T, err *connect.Error) {
			info := detail[*errdetails.ErrorInfo](t, err)
			if !errs.Is(err, connect.CodeNotFound, "CONVERSATION_NOT_FOUND") || info.GetMetadata()["id"] != "refused" ||
				info.GetDomain() != errs.Domain || err.Message() != "no conversation “refused” – 100 %" {
				t.Errorf("got %v with %v", err, info)
			}
		})
		for _, name := range []string{"broken", "panics"} {
			both(t, client, name, func(t *testing.T, err *connect.Error) {
				if !errs.Is(err, connect.CodeInternal, "INTERNAL") || err.Message() != "internal error" || len(err.Details()) != 1 {
					t.Errorf("got %v", err)
				}
			})
		}
		if n := strings.Count(log.String(), "hunter2"); n != 4 {
			t.Errorf("%d of 4 causes were logged:\n%s", n, log)
		}
		for _, want := range []string{"procedure=/stoa.chat.v1.ChatService/Like", "goroutine", "call panicked"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q", want)
			}
		}
	})
}

func TestViolationsOverEveryWire(t *testing.T) {
	everyWire(t, func(t *testing.T, client client, _ *lockedBuffer) {
		both(t, client, "", func(t *testing.T, err *connect.Error) {
			if !errs.Is(err, connect.CodeInvalidArgument, "INVALID_ARGUMENT") {
				t.Fatalf("got %v", err)
			}
			bad := detail[*errdetails.BadRequest](t, err)
			if n := len(bad.GetFieldViolations()); n != 1 || bad.GetFieldViolations()[0].GetField() != "conversation_id" &&
				bad.GetFieldViolations()[0].GetField() != "enter[0].conversation_id" {
				t.Errorf("bad request is %v", bad)
			}
			if detail[*validate.Violations](t, err) == nil {
				t.Error("protovalidate's own detail is gone")
			}
			if !strings.Contains(err.Message(), "conversation_id: ") {
				t.Errorf("message is %q", err.Message())
			}
		})
	})
}

func TestTooLargeOverEveryWire(t *testing.T) {
	everyWire(t, func(t *testing.T, client client, _ *lockedBuffer) {
		both(t, client, strings.Repeat("x", 2*limit), func(t *testing.T, err *connect.Error) {
			if !errs.Is(err, connect.CodeResourceExhausted, "REQUEST_TOO_LARGE") || strings.Contains(err.Message(), "configured") {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	s, _ := serveChat(t)
	const path = "/stoa.chat.v1.ChatService/Like"
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		want              string
	}{
		"wrong type": {
			"application/json", `{"conversationId": 5}`, 400, "the request cannot be read: (line 1:20): invalid value for string",
		},
		"no JSON":       {"application/json", `{`, 400, "the request cannot be read"},
		"not UTF-8":     {"application/json", "{\"conversationId\":\"\xff\"}", 400, "the request cannot be read"},
		"long value":    {"application/json", `{"count":"` + strings.Repeat("9", 3000) + `"}`, 400, "…"},
		"no protobuf":   {"application/proto", "\xff\xff", 400, "the request cannot be read"},
		"unknown field": {"application/json", `{"conversationId":"c","count":1,"nonsense":true}`, 200, `{}`},
		"too large":     {"application/json", `"` + strings.Repeat("x", 2*limit) + `"`, 429, "larger than the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, client := range []*http.Client{s.Client(), s.HTTP1Client()} {
				res, err := client.Post(s.URL()+path, c.contentType, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(res.Body)
				if err := errors.Join(err, res.Body.Close()); err != nil {
					t.Fatal(err)
				}
				body := strings.ReplaceAll(string(raw), "\u00a0", " ")
				if res.StatusCode != c.status || !strings.Contains(body, c.want) {
					t.Errorf("got %d %s", res.StatusCode, body)
				}
				if c.status != 200 && !strings.Contains(body, `"google.rpc.ErrorInfo"`) {
					t.Errorf("no reason in %s", body)
				}
				if strings.Contains(body, "chatv1") || len(body) > 1000 {
					t.Errorf("leaks Go types or the body: %s", body)
				}
			}
		})
	}
}

func TestNeighbourThatRefusesThisService(t *testing.T) {
	mux := http.NewServeMux()
	refuse := connect.UnaryInterceptorFunc(func(connect.UnaryFunc) connect.UnaryFunc {
		return func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
			return nil, errs.ToConnect(errs.Unauthenticated("TOKEN_INVALID", "bad token"))
		}
	})
	mux.Handle(chatv1connect.NewChatServiceHandler(chat{}, connect.WithInterceptors(refuse)))
	s := memhttp.NewServer(mux)
	defer s.Close() //nolint:errcheck // a test
	_, err := chatv1connect.NewChatServiceClient(s.Client(), s.URL()).Like(t.Context(), &chatv1.LikeRequest{})
	if errs.Reason(err) != "TOKEN_INVALID" {
		t.Fatalf("got %v", err)
	}
	if got := errs.ToConnect(err); !errs.Is(got, connect.CodeInternal, "INTERNAL") {
		t.Errorf("a client would be told that its own token is bad: %v", got)
	}
}

func TestMiddlewareLeavesOtherTrafficAlone(t *testing.T) {
	s := memhttp.NewServer(errs.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 {
			if _, ok := w.(http.Hijacker); !ok {
				t.Errorf("the writer became %T", w)
			}
		}
		http.Error(w, `{"code":"not_found"}`, http.StatusNotFound)
	})))
	defer s.Close() //nolint:errcheck // a test
	res, err := s.HTTP1Client().Get(s.URL() + "/live/room.flv")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || string(raw) != "{\"code\":\"not_found\"}\n" {
		t.Errorf("got %q, %v", raw, err)
	}
}
