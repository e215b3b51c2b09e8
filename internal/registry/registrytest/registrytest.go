// Package registrytest is the contract of package registry as tests, which every backend runs.
package registrytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/memhttp"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
)

// patience bounds every wait: a test that reaches it has failed.
const patience = 20 * time.Second

// Options tell the suite about a backend.
type Options struct {
	// Open returns the registry of a process that finds neighbours, a list of addresses by name: because its configuration
	// names them, or because they were announced by processes of their own. It closes what it opened after the test.
	Open func(t *testing.T, neighbours map[string][]string) registry.Registry
	// AnyName says that a name may have instances one day that has none yet.
	AnyName bool
}

// Run runs the contract.
func Run(t *testing.T, o Options) {
	t.Run("a neighbour in the same process", func(t *testing.T) { local(t, o) })
	t.Run("what lives here is called here", func(t *testing.T) { preferred(t, o) })
	t.Run("names and endpoints that are none", func(t *testing.T) { malformed(t, o) })
	t.Run("instances share calls", func(t *testing.T) { sharing(t, o) })
	t.Run("calls over HTTP/2 in every protocol", func(t *testing.T) { protocols(t, o) })
	t.Run("a dead instance is passed over", func(t *testing.T) { dead(t, o) })
	t.Run("an instance that drains loses no call", func(t *testing.T) { drains(t, o) })
	t.Run("nobody answers", func(t *testing.T) { nobody(t, o) })
	t.Run("a deadline holds", func(t *testing.T) { deadline(t, o) })
	t.Run("many at once", func(t *testing.T) { concurrent(t, o) })
	t.Run("a closed registry refuses", func(t *testing.T) { closed(t, o) })
}

// memory is an endpoint in this process.
func memory(t *testing.T, answer string) registry.Endpoint {
	t.Helper()
	s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	t.Cleanup(func() { _ = s.Close() })
	return registry.Endpoint{BaseURL: s.URL() + "/", Client: s.Client()}
}

func local(t *testing.T, o Options) {
	r := o.Open(t, nil)
	if !o.AnyName {
		if _, err := r.Resolve(t.Context(), "auth"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("an unknown name: %v", err)
		}
	}
	if err := r.Register(t.Context(), "auth", memory(t, "first")); err != nil {
		t.Fatal(err)
	}
	first := Resolve(t, r, "auth")
	if err := r.Register(t.Context(), "auth", memory(t, "second")); err != nil {
		t.Fatal(err)
	}
	for want, e := range map[string]registry.Endpoint{"first": first, "second": Resolve(t, r, "auth")} {
		if got, err := Ask(t.Context(), e); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if names, err := r.Names(t.Context()); err != nil || !slices.Contains(names, "auth") {
		t.Errorf("names are %v, %v", names, err)
	}
	for range 2 {
		if err := r.Deregister(t.Context(), "auth"); err != nil {
			t.Errorf("deregister: %v", err)
		}
	}
	if o.AnyName {
		return
	}
	if _, err := r.Resolve(t.Context(), "auth"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a name that was taken back: %v", err)
	}
}

func preferred(t *testing.T, o Options) {
	far := Serve(t, "far", "")
	r := o.Open(t, map[string][]string{"chat": {far.URL}})
	if err := r.Register(t.Context(), "chat", memory(t, "here")); err != nil {
		t.Fatal(err)
	}
	e := Resolve(t, r, "chat")
	for range 20 {
		if got, err := Ask(t.Context(), e); got != "here" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	list, err := r.Instances(t.Context(), "chat")
	if err != nil || len(list) != 1 || list[0].URL != far.URL {
		t.Errorf("other instances are %+v, %v", list, err)
	}
}

func malformed(t *testing.T, o Options) {
	r := o.Open(t, nil)
	good := memory(t, "x")
	for _, e := range []registry.Endpoint{
		{},
		{BaseURL: good.BaseURL},
		{BaseURL: "x", Client: good.Client},
		{BaseURL: "ftp://x", Client: good.Client},
		{BaseURL: "http://x/path", Client: good.Client},
	} {
		if err := r.Register(t.Context(), "auth", e); err == nil {
			t.Errorf("registered %+v", e)
		}
	}
	for _, name := range []string{"", "Auth", "a/b", "a b", "1a", strings.Repeat("a", 33)} {
		if err := r.Register(t.Context(), name, good); err == nil {
			t.Errorf("registered %q", name)
		}
		if _, err := r.Resolve(t.Context(), name); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("resolved %q: %v", name, err)
		}
	}
}

func sharing(t *testing.T, o Options) {
	a, b := Serve(t, "a", ""), Serve(t, "b", "")
	r := o.Open(t, map[string][]string{"chat": {a.URL, b.URL}})
	e := Resolve(t, r, "chat")
	for range 200 {
		if _, err := Ask(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n, m := a.Calls.Load(), b.Calls.Load(); n < 50 || m < 50 || n+m != 200 {
		t.Errorf("they got %d and %d calls", n, m)
	}
	list, err := r.Instances(t.Context(), "chat")
	if err != nil || len(list) != 2 || list[0].ID == list[1].ID {
		t.Errorf("instances are %+v, %v", list, err)
	}
	if names, err := r.Names(t.Context()); err != nil || !slices.Equal(names, []string{"chat"}) {
		t.Errorf("names are %v, %v", names, err)
	}
}

func protocols(t *testing.T, o Options) {
	a := Serve(t, "a", "")
	r := o.Open(t, map[string][]string{"auth": {a.URL}})
	if got, err := Ask(t.Context(), Resolve(t, r, "auth")); got != "a HTTP/2.0" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for name, protocol := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "get": connect.WithHTTPGet(), "grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb(),
	} {
		client, err := rpc.Client(t.Context(), r, "auth", authv1connect.NewDirectoryServiceClient, protocol)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.BatchGetUsers(t.Context(), &authv1.BatchGetUsersRequest{UserIds: []string{"u"}})
		if err != nil || res.GetUsers()[0].GetId() != "a" {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
}

func dead(t *testing.T, o Options) {
	a, b := Serve(t, "a", ""), Serve(t, "b", "")
	r := o.Open(t, map[string][]string{"chat": {a.URL, b.URL}})
	e := Resolve(t, r, "chat")
	if _, err := Ask(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	for range 100 {
		if got, err := Ask(t.Context(), e); !strings.HasPrefix(got, "b ") || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func drains(t *testing.T, o Options) {
	a, b := Serve(t, "a", ""), Serve(t, "b", "")
	r := o.Open(t, map[string][]string{"chat": {a.URL, b.URL}})
	e := Resolve(t, r, "chat")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	var lost, made atomic.Int64
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				// No contract says that this may be made twice.
				res, err := e.Client.Post(e.BaseURL+"/x", "text/plain", strings.NewReader("hello"))
				made.Add(1)
				if err != nil {
					if lost.Add(1) == 1 {
						t.Errorf("a call was lost: %v", err)
					}
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	time.Sleep(100 * time.Millisecond)
	stop()
	callers.Wait()
	if lost.Load() > 0 || made.Load() < 50 {
		t.Errorf("of %d calls %d were lost", made.Load(), lost.Load())
	}
}

func nobody(t *testing.T, o Options) {
	a := Serve(t, "a", "")
	r := o.Open(t, map[string][]string{"auth": {a.URL}})
	client, err := rpc.Client(t.Context(), r, "auth", authv1connect.NewDirectoryServiceClient)
	if err != nil {
		t.Fatal(err)
	}
	a.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	start := time.Now()
	_, err = client.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{})
	if connect.CodeOf(err) != connect.CodeUnavailable || time.Since(start) > 2*time.Second || !strings.Contains(err.Error(), "auth") {
		t.Errorf("a dead instance: %v after %v", err, time.Since(start))
	}
	if !o.AnyName {
		return
	}
	client, err = rpc.Client(t.Context(), r, "moon", authv1connect.NewDirectoryServiceClient)
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	_, err = client.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{})
	if connect.CodeOf(err) != connect.CodeUnavailable || !errors.Is(err, registry.ErrNoInstance) || time.Since(start) > 2500*time.Millisecond {
		t.Errorf("a name without instances: %v after %v", err, time.Since(start))
	}
}

func deadline(t *testing.T, o Options) {
	a := Serve(t, "a", "")
	e := Resolve(t, o.Open(t, map[string][]string{"chat": {a.URL}}), "chat")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.BaseURL+"/hang", nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := e.Client.Do(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second { //nolint:bodyclose // there is none
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func concurrent(t *testing.T, o Options) {
	a := Serve(t, "a", "")
	r := o.Open(t, map[string][]string{"chat": {a.URL}})
	var all sync.WaitGroup
	here := memory(t, "here")
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				if i == 0 {
					if err := errors.Join(r.Register(t.Context(), "live", here), r.Deregister(t.Context(), "live")); err != nil {
						t.Error(err)
					}
				}
				e, err := r.Resolve(t.Context(), "chat")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := Ask(t.Context(), e); err != nil {
					t.Error(err)
				}
				if _, err := r.Instances(t.Context(), "chat"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func closed(t *testing.T, o Options) {
	a := Serve(t, "a", "")
	r := o.Open(t, map[string][]string{"chat": {a.URL}})
	e := Resolve(t, r, "chat")
	if _, err := Ask(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Resolve(t.Context(), "chat"); !errors.Is(err, registry.ErrClosed) {
		t.Errorf("Resolve: %v", err)
	}
	if err := r.Register(t.Context(), "live", memory(t, "x")); !errors.Is(err, registry.ErrClosed) {
		t.Errorf("Register: %v", err)
	}
	if _, err := Ask(t.Context(), e); err == nil {
		t.Error("an endpoint of a closed registry works")
	}
}
