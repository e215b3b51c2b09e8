package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/internal/testkit"
)

func TestProbes(t *testing.T) {
	w := serve(t)
	probe := func(path string, status int) {
		t.Helper()
		if a := w.do(t, http.MethodGet, path, ""); a.StatusCode != status || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	probe("/healthz", http.StatusOK)
	probe("/readyz", http.StatusServiceUnavailable)
	w.gateway.SetReady(true)
	probe("/readyz", http.StatusOK)
	w.gateway.SetReady(false)
	probe("/readyz", http.StatusServiceUnavailable)
	probe("/healthz", http.StatusOK)
	if a := w.do(t, http.MethodHead, "/healthz", ""); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
}

func TestMetricsOnlyFromNetworks(t *testing.T) {
	w := serve(t, func(c *gateway.Config) {
		c.MetricsAllow, c.TrustedProxies = networks("127.0.0.0/8", "::1/128"), networks("10.0.0.0/8")
	})
	for _, c := range []struct {
		peer    string
		headers []string
		status  int
	}{
		{"127.0.0.1:1", nil, http.StatusOK},
		{"[::1]:1", nil, http.StatusOK},
		{"[::ffff:127.0.0.1]:1", nil, http.StatusOK},
		{"192.0.2.1:1", nil, http.StatusNotFound},
		{"192.0.2.1:1", []string{"X-Forwarded-For", "127.0.0.1"}, http.StatusNotFound},
		{"192.0.2.1:1", []string{"X-Stoa-Client-Address", "127.0.0.1"}, http.StatusNotFound},
		{"10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.1"}, http.StatusNotFound},
		{"10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1"}, http.StatusOK},
		// Of a proxy on this machine that nobody named.
		{"127.0.0.1:1", []string{"X-Forwarded-For", "8.8.8.8"}, http.StatusNotFound},
		{"127.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1"}, http.StatusNotFound},
		{"127.0.0.1:1", []string{"X-Forwarded-Proto", "https"}, http.StatusNotFound},
		{"[::1]:1", []string{"Forwarded", "for=8.8.8.8"}, http.StatusNotFound},
		{"127.0.0.1:1", []string{"X-Real-IP", "8.8.8.8"}, http.StatusNotFound},
		{"127.0.0.1:1", []string{"X-Forwarded-For", ""}, http.StatusNotFound},
	} {
		w.peer.Store(c.peer)
		a := w.do(t, http.MethodGet, "/metrics", "", c.headers...)
		if a.StatusCode != c.status {
			t.Errorf("%s %v: got %d, want %d", c.peer, c.headers, a.StatusCode, c.status)
		}
		if c.status == http.StatusNotFound && !strings.Contains(a.body, "NOT_FOUND") {
			t.Errorf("it shows that there is something: %s", a.body)
		}
	}
}

func TestMetricsLabelsAreOurOwn(t *testing.T) {
	w := serve(t, func(c *gateway.Config) {
		c.MetricsAllow = networks("192.0.2.0/24")
		c.Playback = http.NewServeMux()
	})
	for _, request := range []struct{ method, path string }{
		{http.MethodGet, "/secret-1"},
		{http.MethodPost, "/secret-2"},
		{http.MethodPost, "/stoa.chat.v1.ChatService/Secret3"},
		{http.MethodGet, "/live/secret-4.flv"},
		{"SECRET5", "/secret"},
		{http.MethodGet, "/assets/secret-6"},
		{http.MethodGet, "/secret7//x/../"},
		{http.MethodPut, "/healthz/secret-8"},
		{http.MethodPost, "/secret.v1.Nine/Ten"},
		{http.MethodGet, "/room/secret-10"},
		{http.MethodDelete, "/readyz"},
		{http.MethodGet, "/live?secret=11"},
	} {
		w.do(t, request.method, request.path, "")
	}
	page := w.do(t, http.MethodGet, "/metrics", "").body
	if strings.Contains(strings.ToLower(page), "secret") {
		t.Errorf("clients choose labels:\n%s", page)
	}
	for _, line := range []string{
		`stoa_gateway_requests_total{route="/stoa.chat.v1.ChatService/",status="404"} 1`,
		`stoa_gateway_requests_total{route="/",status="404"}`, `stoa_gateway_requests_in_flight 1`,
	} {
		if !strings.Contains(page, line) {
			t.Errorf("no %s in:\n%s", line, page)
		}
	}
}

func TestCORS(t *testing.T) {
	const allowed, other = "https://app.example", "https://evil.example"
	w := serve(t, func(c *gateway.Config) {
		c.CORSOrigins = []string{allowed, "https://*.trusted.example"}
		c.Playback = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	preflight := func(w *world, origin, path, method string) http.Header {
		a := w.do(t, http.MethodOptions, path, "", "Origin", origin, "Access-Control-Request-Method", method,
			"Access-Control-Request-Headers", "authorization,connect-protocol-version,content-type,grpc-timeout,x-grpc-web,x-request-id")
		if a.StatusCode != http.StatusNoContent {
			t.Errorf("preflight of %s: %d", origin, a.StatusCode)
		}
		return a.Header
	}
	for _, origin := range []string{allowed, "https://a.trusted.example"} {
		h := preflight(w, origin, like, http.MethodPost)
		if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Methods") == "" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization") || h.Get("Access-Control-Max-Age") != "7200" {
			t.Errorf("preflight of %s: %v", origin, h)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("cookies are let in: %v", h)
		}
	}
	if h := preflight(w, allowed, "/live/room.flv", http.MethodGet); h.Get("Access-Control-Allow-Origin") != allowed {
		t.Errorf("preflight of playback: %v", h)
	}
	for _, origin := range []string{other, "null", "https://app.example.evil.example", "http://app.example", "https://trusted.example"} {
		if h := preflight(w, origin, like, http.MethodPost); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of %s: %v", origin, h)
		}
	}
	if h := preflight(w, allowed, like, http.MethodDelete); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("DELETE is let in: %v", h)
	}
	a := w.post(t, "Origin", allowed)
	exposed := strings.ToLower(a.Header.Get("Access-Control-Expose-Headers"))
	for _, name := range []string{"grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id", "retry-after"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s cannot be read by pages: %s", name, exposed)
		}
	}
	if a.Header.Get("Access-Control-Allow-Origin") != allowed || !strings.Contains(a.Header.Get("Vary"), "Origin") {
		t.Errorf("a call: %v", a.Header)
	}
	if a := w.post(t, "Origin", other); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a call of a stranger: %v", a.Header)
	}
	if a := w.post(t); a.StatusCode != http.StatusOK {
		t.Errorf("a call without an origin: %d", a.StatusCode)
	}
	closed := serve(t)
	if h := preflight(closed, allowed, like, http.MethodPost); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without any origin: %v", h)
	}
	open := serve(t, func(c *gateway.Config) { c.CORSOrigins = []string{"*"} })
	if h := preflight(open, other, like, http.MethodPost); h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("with all origins: %v", h)
	}
}

func TestServicesThatDoNotExistOutside(t *testing.T) {
	w := serve(t)
	for _, p := range testkit.Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			internal := chatv1connect.NewConversationServiceClient(w.http(p.HTTP2), w.server.URL, p.Options...)
			_, err := internal.CreateConversation(t.Context(), &chatv1.CreateConversationRequest{})
			if !errs.Is(err, connect.CodeUnimplemented, "UNKNOWN_RPC") {
				t.Errorf("got %v", err)
			}
			unknown := connect.NewClient[chatv1.LikeRequest, chatv1.LikeResponse](
				w.http(p.HTTP2), w.server.URL+"/stoa.chat.v1.ChatService/Unknown", p.Options...)
			_, err = unknown.CallUnary(t.Context(), connect.NewRequest(&chatv1.LikeRequest{}))
			if !errs.Is(err, connect.CodeUnimplemented, "UNKNOWN_RPC") {
				t.Errorf("an unknown method: %v", err)
			}
			stream, err := unknown.CallServerStream(t.Context(), connect.NewRequest(&chatv1.LikeRequest{}))
			if err == nil {
				for stream.Receive() {
					t.Error("the stream has events")
				}
				err = stream.Err()
				_ = stream.Close()
			}
			if !errs.Is(err, connect.CodeUnimplemented, "UNKNOWN_RPC") {
				t.Errorf("an unknown stream: %v", err)
			}
		})
	}
}

func TestWaysAroundTheRoutes(t *testing.T) {
	w := serve(t, func(c *gateway.Config) { c.Playback = c.Local })
	const inner = "stoa.chat.v1.ConversationService/CreateConversation"
	for _, path := range []string{
		"/live/../" + inner, "/live/..%2f" + inner, "/live/%2e%2e/" + inner, "//" + inner, "/./" + inner,
		"/stoa.chat.v1.ChatService/../" + inner, "/stoa.chat.v1.ChatService/..%2F" + inner, "/stoa.chat.v1.ChatService%2F..%2F" + inner,
		"/STOA.chat.v1.ConversationService/CreateConversation", "/" + inner, "/" + inner + "/",
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodConnect, "WHATEVER"} {
			r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = path // as it is
			r.Header.Set("Content-Type", "application/json")
			a := w.send(t, r)
			// The service itself would answer 501 or 400.
			switch a.StatusCode {
			case http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			default:
				t.Errorf("%s %s: %d %s", method, path, a.StatusCode, a.body)
			}
		}
	}
}

func TestRefusalsHaveAReason(t *testing.T) {
	w := serve(t)
	for name, c := range map[string]struct {
		method, path, contentType string
		status                    int
		reason                    string
		header                    string
	}{
		"method by JSON":         {http.MethodPost, "/stoa.chat.v1.ChatService/No", "application/json", 404, "UNKNOWN_RPC", ""},
		"method without type":    {http.MethodPost, "/stoa.chat.v1.ChatService/No", "", 404, "UNKNOWN_RPC", ""},
		"method by GET":          {http.MethodGet, "/stoa.chat.v1.ChatService/No", "", 404, "UNKNOWN_RPC", ""},
		"service":                {http.MethodPost, "/stoa.chat.v9.ChatService/Like", "application/json", 404, "UNKNOWN_RPC", ""},
		"no RPC":                 {http.MethodGet, "/stoa.chat.v9.ChatService/Like", "", 404, "NOT_FOUND", ""},
		"a write by GET":         {http.MethodGet, like, "", 405, "METHOD_NOT_ALLOWED", "Allow"},
		"a call by PUT":          {http.MethodPut, like, "application/json", 405, "METHOD_NOT_ALLOWED", "Allow"},
		"a read by bare GET":     {http.MethodGet, "/stoa.chat.v1.ChatService/ListMessages", "", 415, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"a form":                 {http.MethodPost, like, "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"no content type":        {http.MethodPost, like, "", 415, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"XML":                    {http.MethodPost, like, "application/xml", 415, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"a stream as unary call": {http.MethodPost, subscribe, "application/json", 415, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"a unary call as stream": {http.MethodPost, like, "application/connect+json", 200, "UNSUPPORTED_MEDIA_TYPE", "Accept-Post"},
		"gRPC of something":      {http.MethodPost, like, "application/grpc+thrift", 200, "", "Accept-Post"},
		"refused by the service": {http.MethodPost, like, "application/json", 404, "CONVERSATION_NOT_FOUND", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if c.contentType != "" {
				headers = []string{"Content-Type", c.contentType}
			}
			a := w.do(t, c.method, c.path, `{"conversationId":"refused"}`, headers...)
			if a.StatusCode != c.status || c.header != "" && a.Header.Get(c.header) == "" {
				t.Errorf("got %d %v", a.StatusCode, a.Header)
			}
			if !strings.Contains(a.body, `"code":`) || !strings.Contains(a.body, "google.rpc.ErrorInfo") || !strings.Contains(a.body, c.reason) {
				if c.contentType != "application/grpc+thrift" || a.Trailer.Get("Grpc-Status-Details-Bin") == "" {
					t.Errorf("the body is %q, the trailer %v", a.body, a.Trailer)
				}
			}
		})
	}
}

func TestUnknownNeighbour(t *testing.T) {
	reg, err := registry.Open(t.Context(), "static:")
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(gateway.Config{
		Services: []string{chatv1connect.ChatServiceName}, IsLocal: func(string) bool { return false }, Registry: reg,
		Metrics: telemetry.NewMetrics(), Logger: discard(),
	})
	if err == nil || !strings.Contains(err.Error(), "ChatService") {
		t.Errorf("a service that nobody serves: %v", err)
	}
}
