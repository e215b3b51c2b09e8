package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/internal/testkit"
)

// troubled panics before and amid its answers.
func troubled() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/live/panic", func(http.ResponseWriter, *http.Request) { panic("the secret of the house") })
	mux.HandleFunc("/live/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("amid")
	})
	mux.HandleFunc("/live/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/live/fine.flv", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "media") })
	mux.HandleFunc("/live/hijack", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = conn.Close()
		}
	})
	mux.HandleFunc("/stoa.chat.v1.ChatService/", func(http.ResponseWriter, *http.Request) { panic("in an RPC") })
	return mux
}

func TestPanicsAreContained(t *testing.T) {
	handler := troubled()
	w := serve(t, func(c *gateway.Config) {
		c.Playback, c.Local = handler, handler
		c.MetricsAllow = networks("192.0.2.0/24")
	})
	a := w.do(t, http.MethodGet, "/live/panic", "")
	if a.StatusCode != http.StatusInternalServerError || !strings.Contains(a.body, `"internal"`) || strings.Contains(a.body, "secret") {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	if !strings.Contains(w.log.String(), "the secret of the house") || !strings.Contains(w.log.String(), "observe_test.go") {
		t.Error("the panic and its stack are not in the log")
	}
	if a := w.do(t, http.MethodPost, like, "", "Content-Type", "application/grpc"); a.Trailer.Get("Grpc-Status") != "13" {
		t.Errorf("a gRPC client got %d %v %v", a.StatusCode, a.Header, a.Trailer)
	}
	// Half an answer must not look whole, whatever the panic.
	for _, path := range []string{"/live/half", "/live/abort"} {
		for _, client := range []*http.Client{w.http1, w.http2} {
			res, err := client.Get(w.server.URL + path)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
			}
			if err == nil {
				t.Errorf("%s: the client was not told", path)
			}
		}
	}
	if a := w.do(t, http.MethodGet, "/live/hijack", ""); a.body != "ok" {
		t.Errorf("a connection that was taken over: %q", a.body)
	}
	page := w.do(t, http.MethodGet, "/metrics", "").body
	for _, line := range []string{
		`requests_total{route="/live/panic",status="500"} 1`, `requests_total{route="/live/half",status="200"} 2`,
		`requests_total{route="/live/abort",status="200"} 2`, "requests_in_flight 1",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("no %s in:\n%s", line, page)
		}
	}
}

func TestAccessLog(t *testing.T) {
	handler := troubled()
	w := serve(t, func(c *gateway.Config) { c.Playback = handler })
	const token = "Bearer eyJ.eyJ.secret"
	for _, c := range []struct {
		method, path string
		line         string // what follows the time; "" for no line above debug
	}{
		{http.MethodPost, like + "?secret=1", `level=INFO msg=request method=POST path=` + like + ` status=200 bytes=2`},
		{http.MethodPost, "/stoa.chat.v1.ChatService/No?secret=1", `level=INFO msg=request method=POST path=/stoa.chat.v1.ChatService/No status=404`},
		{http.MethodGet, "/nothing?secret=1", `level=INFO msg=request method=GET path=/nothing status=404`},
		{http.MethodGet, "/live/nothing?secret=1", `level=INFO msg=request method=GET path=/live/nothing status=404`},
		{http.MethodGet, "/live/panic?secret=1", `level=WARN msg=request method=GET path=/live/panic status=500`},
		{http.MethodGet, "/live/fine.flv?secret=1", `level=DEBUG msg=request method=GET path=/live/fine.flv status=200 bytes=5`},
		{http.MethodGet, "/assets/app-1a2b.js?secret=1", `level=DEBUG msg=request method=GET path=/assets/app-1a2b.js status=200`},
		{http.MethodGet, "/?secret=1", `level=DEBUG msg=request method=GET path=/ status=200`},
		{http.MethodGet, "/live?secret=1", `level=DEBUG msg=request method=GET path=/live status=200`},
		{http.MethodGet, "/healthz?secret=1", `level=DEBUG msg=request method=GET path=/healthz status=200`},
		{http.MethodGet, "/readyz?secret=1", `level=DEBUG msg=request method=GET path=/readyz status=503`},
		{http.MethodGet, "/a%0ab%1b%22?secret=1", `level=INFO msg=request method=GET path="/a\nb\x1b\"" status=404`},
	} {
		w.do(t, c.method, c.path, "{}", "Content-Type", "application/json", "Authorization", token, "Cookie", "secret", "Referer", "http://secret")
		testkit.Eventually(t, 5*time.Second, c.line, func() bool { return strings.Contains(w.log.String(), c.line) })
	}
	long := "/" + strings.Repeat("é", 1000)
	w.do(t, http.MethodGet, long, "")
	testkit.Eventually(t, 5*time.Second, "a long path", func() bool { return strings.Contains(w.log.String(), "é… status=404") })
	if strings.Contains(w.log.String(), strings.Repeat("é", 129)) {
		t.Error("a client writes as much into the log as it wants")
	}
	log := strings.ReplaceAll(w.log.String(), "the secret of the house", "")
	if strings.Contains(log, "secret") || strings.Contains(log, "eyJ") {
		t.Errorf("the log holds queries or headers:\n%s", log)
	}
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "msg=request ") && (!strings.Contains(line, "client=192.0.2.1") ||
			!strings.Contains(line, "took=") || !strings.Contains(line, "proto=HTTP/1.1") || !strings.Contains(line, "request_id=")) {
			t.Errorf("something is missing in %s", line)
		}
	}
}
