package gateway_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/internal/testkit"
)

const (
	patience = 30 * time.Second // the default
	unknown  = "test.v1.Uploads"
	large    = 8 << 20 // bytes: more than any buffer on the way
)

// slow runs do in a bubble of time, with a gateway in front of local.
func slow(t *testing.T, local http.Handler, do func(*testing.T, *memhttp.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, err := gateway.New(gateway.Config{
			Services: []string{chatv1connect.ChatServiceName, edgev1connect.EdgeServiceName, unknown}, Local: local, IsLocal: func(string) bool { return true },
			Playback: local, Metrics: telemetry.NewMetrics(), Logger: discard(), MaxBody: maxBody,
			Web: fstest.MapFS{"app/index.html": {}, "console/index.html": {}, "app/assets/a.js": {Data: noise(large)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		server := memhttp.NewServer(g)
		defer func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		}()
		do(t, server)
	})
}

// noise is n bytes that no compression makes fewer.
func noise(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(out)
	return out
}

// dripping sends a byte every few seconds for as long as somebody takes them.
func dripping(w io.Writer, every time.Duration) {
	for {
		if _, err := w.Write([]byte(" ")); err != nil {
			return
		}
		time.Sleep(every)
	}
}

// reads answers with how many bytes came and how it ended.
func reads(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusTeapot)
	}
	_, _ = fmt.Fprintf(w, "%d bytes", len(raw))
}

func ignores(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }

func TestSlowBodiesAreCut(t *testing.T) {
	for name, c := range map[string]struct {
		path, contentType string
		local             http.Handler
	}{
		"a unary call":                {like, "application/json", services(nil)},
		"a unary call by gRPC":        {like, "application/grpc", services(nil)},
		"a unary call as a stream":    {like, "application/connect+json", http.HandlerFunc(reads)},
		"the request of a stream":     {subscribe, "application/connect+json", http.HandlerFunc(reads)},
		"an unknown method":           {"/stoa.chat.v1.ChatService/No", "application/json", services(nil)},
		"a body that nobody reads":    {like, "application/json", http.HandlerFunc(ignores)},
		"a stream that nobody reads":  {"/" + unknown + "/Put", "application/grpc", http.HandlerFunc(ignores)},
		"what is no RPC":              {"/nothing", "text/plain", http.HandlerFunc(reads)},
		"a probe":                     {"/healthz", "application/grpc", http.HandlerFunc(reads)},
		"playback":                    {"/live/room.flv", "", http.HandlerFunc(reads)},
		"a call of a service unknown": {"/" + unknown + "/Put", "application/proto", http.HandlerFunc(reads)},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t, c.local, func(t *testing.T, server *memhttp.Server) {
				var dripped sync.WaitGroup
				defer dripped.Wait()
				conn := dial(t, server)
				start := time.Now()
				_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\n", c.path, c.contentType)
				dripped.Go(func() { dripping(conn, 5*time.Second) })
				_, _ = io.ReadAll(conn) // to the end of the connection
				if took := time.Since(start); took < patience || took > patience+10*time.Second {
					t.Errorf("HTTP/1.1: gone after %v", took)
				}
				_ = conn.Close()

				body, pipe := io.Pipe()
				dripped.Go(func() { dripping(pipe, 5*time.Second) })
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+c.path, body)
				r.Header.Set("Content-Type", c.contentType)
				start = time.Now()
				if res, err := server.Client().Do(r); err == nil {
					_, _ = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				if took := time.Since(start); took > patience {
					t.Errorf("HTTP/2: gone after %v", took)
				}
				_ = body.Close()
			})
		})
	}
}

func TestSlowBodiesHaveAReason(t *testing.T) {
	slow(t, services(nil), func(t *testing.T, server *memhttp.Server) {
		conn := dial(t, server)
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", like)
		res, text := answered(t, bufio.NewReader(conn))
		if !strings.Contains(text, `"deadline_exceeded"`) || !strings.Contains(text, "google.rpc.ErrorInfo") || strings.Contains(text, "timeout") || !res.Close {
			t.Errorf("got %d %v %s", res.StatusCode, res.Header, text)
		}
	})
}

func TestSlowBodiesOfRemoteServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, log := proxied(t, http.HandlerFunc(reads))
		var dripped sync.WaitGroup
		defer dripped.Wait()
		body, pipe := io.Pipe()
		dripped.Go(func() { dripping(pipe, 5*time.Second) })
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+like, body)
		r.Header.Set("Content-Type", "application/json")
		start := time.Now()
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		_ = body.Close()
		if took := time.Since(start); took != patience || !bytes.Contains(text, []byte("deadline_exceeded")) {
			t.Errorf("got %s after %v", text, took)
		}
		if strings.Contains(log.String(), "cannot be reached") {
			t.Errorf("a slow client is taken for a service that failed:\n%s", log)
		}
	})
}

// TestStreamsOfClientsMayLast is about a service whose contract the gateway does not know, so that it may stream.
func TestStreamsOfClientsMayLast(t *testing.T) {
	for _, contentType := range []string{"application/connect+proto", "application/grpc", "application/grpc-web+proto"} {
		slow(t, http.HandlerFunc(reads), func(t *testing.T, server *memhttp.Server) {
			for version, client := range map[string]*http.Client{"HTTP/1.1": server.HTTP1Client(), "HTTP/2": server.Client()} {
				send := func(write func(io.Writer)) (status int, text string) {
					var written sync.WaitGroup
					defer written.Wait()
					body, pipe := io.Pipe()
					written.Go(func() {
						write(pipe)
						_ = pipe.Close()
					})
					r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/"+unknown+"/Put", body)
					r.Header.Set("Content-Type", contentType)
					res, err := client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					raw, _ := io.ReadAll(res.Body)
					_ = res.Body.Close()
					return res.StatusCode, string(raw)
				}
				status, text := send(func(w io.Writer) {
					for range 10 {
						_, _ = w.Write([]byte("part"))
						time.Sleep(patience - time.Second)
					}
				})
				if status != http.StatusOK || text != "40 bytes" {
					t.Errorf("%s of %s: got %d %q", version, contentType, status, text)
				}
				status, text = send(func(w io.Writer) {
					_, _ = w.Write([]byte("part"))
					time.Sleep(patience + time.Second)
					_, _ = w.Write([]byte("part"))
				})
				if status != http.StatusTeapot || text != "4 bytes" {
					t.Errorf("silence in %s of %s: got %d %q", version, contentType, status, text)
				}
			}
		})
	}
}

// TestDeadlinesEndWithTheirRequest keeps one connection, and takes longer than the timeout wherever that is allowed.
func TestDeadlinesEndWithTheirRequest(t *testing.T) {
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Unread") == "" {
			_, _ = io.ReadAll(r.Body)
			_, _ = r.Body.Read(make([]byte, 1)) // after the end
		}
		time.Sleep(2 * patience)
		for range 3 {
			if r.Context().Err() != nil {
				t.Errorf("%s %s was cancelled", r.Proto, r.URL.Path)
			}
			if _, err := io.WriteString(w, "part"); err != nil {
				t.Error(err)
			}
			_ = http.NewResponseController(w).Flush()
			if r.URL.Path == subscribe || r.URL.Path == "/"+unknown+"/Put" {
				time.Sleep(2 * patience)
			}
		}
	})
	slow(t, local, func(t *testing.T, server *memhttp.Server) {
		conn := dial(t, server)
		reader := bufio.NewReader(conn)
		for _, path := range []string{like, subscribe, "/" + unknown + "/Put", like} {
			for _, unread := range []string{"", "Unread: 1\r\n"} {
				_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/connect+json\r\nContent-Length: 2\r\n\r\n{}", path, unread)
				if res, text := answered(t, reader); res.StatusCode != http.StatusOK || text != "partpartpart" {
					t.Errorf("HTTP/1.1 %s %s: %d %q", path, unread, res.StatusCode, text)
				}
				time.Sleep(2 * patience)

				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+path, strings.NewReader("{}"))
				r.Header.Set("Content-Type", "application/connect+json")
				if unread != "" {
					r.Header.Set("Unread", "1")
				}
				res, err := server.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(text) != "partpartpart" {
					t.Errorf("HTTP/2 %s %s: %q, %v", path, unread, text, err)
				}
			}
		}
	})
}

func TestSlowReadersAreCut(t *testing.T) {
	slow(t, nil, func(t *testing.T, server *memhttp.Server) {
		request := "GET /assets/a.js HTTP/1.1\r\nHost: x\r\n\r\n"
		asleep := dial(t, server)
		_, _ = io.WriteString(asleep, request)
		time.Sleep(patience + time.Second)
		if got, _ := io.ReadAll(asleep); len(got) >= large {
			t.Error("a reader that sleeps gets all of it")
		}
		steady := dial(t, server)
		_, _ = io.WriteString(steady, request)
		reader := bufio.NewReader(steady)
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		for left := large; left > 0; left -= 1 << 20 {
			if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
				t.Fatalf("a steady reader is cut with %d bytes left: %v", left, err)
			}
			time.Sleep(patience - time.Second)
		}
		if _, err := io.WriteString(steady, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if res, text := answered(t, reader); res.StatusCode != http.StatusOK || text != "ok\n" {
			t.Errorf("the next request: %d %q", res.StatusCode, text)
		}

		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/assets/a.js", nil)
		res, err = server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // a test
		time.Sleep(patience + time.Second)
		if n, err := io.Copy(io.Discard, res.Body); err == nil || n >= large {
			t.Errorf("HTTP/2: a reader that sleeps gets %d bytes, %v", n, err)
		}
	})
}

func TestPlaybackIsNotHurried(t *testing.T) {
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		var out io.Writer = w
		if r.ProtoMajor == 1 {
			conn, _, err := control.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close() //nolint:errcheck // a test
			time.Sleep(2 * patience)
			_, _ = io.ReadFull(conn, make([]byte, 1)) // playback listens to its viewers
			out = conn
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		}
		for range 3 {
			_, _ = io.WriteString(out, "frame")
			if r.ProtoMajor == 2 {
				_ = control.Flush()
			}
			time.Sleep(2 * patience)
		}
	})
	slow(t, local, func(t *testing.T, server *memhttp.Server) {
		for _, header := range []string{"", "Content-Length: 100\r\n"} {
			conn := dial(t, server)
			_, _ = io.WriteString(conn, "GET /live/room.flv HTTP/1.1\r\nHost: x\r\n"+header+"\r\n")
			time.Sleep(3 * patience)
			_, _ = io.WriteString(conn, "x")
			if _, text := answered(t, bufio.NewReader(conn)); text != "frameframeframe" {
				t.Errorf("HTTP/1.1 %s: %q", header, text)
			}
		}
		res, err := server.Client().Get(server.URL() + "/live/room.flv")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(text) != "frameframeframe" {
			t.Errorf("HTTP/2: %q, %v", text, err)
		}
	})
}

// proxied is a gateway in front of another process, in this bubble.
func proxied(t *testing.T, handler http.Handler) (*memhttp.Server, *testkit.Log) {
	t.Helper()
	log := &testkit.Log{}
	logger, err := telemetry.NewLogger(log, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{Services: []string{chatv1connect.ChatServiceName, edgev1connect.EdgeServiceName}, Metrics: telemetry.NewMetrics(), Logger: logger, MaxBody: maxBody}
	remote(t, handler)(&config)
	g, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := memhttp.NewServer(g)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, log
}

func dial(t *testing.T, server *memhttp.Server) net.Conn {
	t.Helper()
	conn, err := server.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func answered(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Error(err)
	}
	return res, string(text)
}
