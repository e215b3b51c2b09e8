package registrytest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/grpchealth"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
)

// Server is one process on a port of its own: what it is asked it answers with its name, and it has gRPC health.
type Server struct {
	// URL is its address.
	URL string
	// Name is what it answers.
	Name string
	// Calls is how often it was asked, but for its health.
	Calls atomic.Int64
	// Health is what it says of itself.
	Health *grpchealth.StaticChecker
	// Lines are sent to whoever asks for /stream, after the name.
	Lines chan string

	server *http.Server
	served chan struct{}
}

// Serve starts a server, on a free port if address is "". It ends after the test.
func Serve(t testing.TB, name, address string) *Server {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Name: name, URL: "http://" + l.Addr().String(), Lines: make(chan string), served: make(chan struct{})}
	mux := http.NewServeMux()
	s.Health = rpc.Mount(mux, slog.New(slog.DiscardHandler))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.Calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, name+" "+r.Proto)
	})
	mux.HandleFunc("/stream", s.stream)
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.Handle(authv1connect.NewDirectoryServiceHandler(directory{name: name}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: patience}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l)
	}()
	t.Cleanup(s.Kill)
	return s
}

// Kill ends the server at once, as a process that dies.
func (s *Server) Kill() {
	_ = s.server.Close()
	<-s.served
}

// Shutdown ends the server as a process that drains: running calls may end.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	<-s.served
	return err
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, s.Name)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case line := <-s.Lines:
			_, _ = io.WriteString(w, line)
		case <-r.Context().Done():
			return
		}
	}
}

type directory struct {
	authv1connect.UnimplementedDirectoryServiceHandler

	name string
}

func (d directory) BatchGetUsers(context.Context, *authv1.BatchGetUsersRequest) (*authv1.BatchGetUsersResponse, error) {
	return &authv1.BatchGetUsersResponse{Users: []*authv1.User{{Id: d.name}}}, nil
}

// Ask makes one call and returns what it was answered.
func Ask(ctx context.Context, e registry.Endpoint) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.BaseURL+"/x", nil)
	if err != nil {
		return "", err
	}
	res, err := e.Client.Do(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return string(body), errors.Join(err, res.Body.Close())
}

// Resolve resolves a name.
func Resolve(t testing.TB, r registry.Registry, name string) registry.Endpoint {
	t.Helper()
	e, err := r.Resolve(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(e.BaseURL, "/") {
		t.Errorf("the base URL is %q", e.BaseURL)
	}
	return e
}

// Eventually waits until a condition holds and returns how long that took.
func Eventually(t testing.TB, what string, holds func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !holds() {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}
