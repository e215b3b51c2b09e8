package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/grpchealth"

	"github.com/stoa-live/stoa/internal/parts"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/registry/registrytest"
)

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), text)
}

func (b *lockedBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// urls lists where a name is found.
func urls(t *testing.T, r registry.Registry, name string) string {
	t.Helper()
	list, err := r.Instances(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		out = append(out, i.URL)
	}
	return strings.Join(out, " ")
}

func TestConsulFollowsHealth(t *testing.T) {
	m := newMesh(t, partstest.URL(t, "consul"))
	caller := m.join("caller", "")
	a, b := registrytest.Serve(t, "a", ""), registrytest.Serve(t, "b", "")
	e := registrytest.Resolve(t, caller, "chat")
	if err := caller.Register(t.Context(), "chat", local(t)); err == nil || !strings.Contains(err.Error(), "STOA_ADVERTISE") {
		t.Errorf("announced without an address: %v", err)
	}
	m.announce("chat", a.URL)
	registrytest.Eventually(t, "the first one", func() bool { return urls(t, caller, "chat") == a.URL })

	b.Health.SetStatus("", grpchealth.StatusNotServing)
	leaving := m.announce("chat", b.URL)
	time.Sleep(1500 * time.Millisecond)
	if got := urls(t, caller, "chat"); got != a.URL {
		t.Errorf("one that is not ready is listed: %s", got)
	}
	b.Health.SetStatus("", grpchealth.StatusServing)
	took := registrytest.Eventually(t, "a healthy one takes calls", func() bool {
		got, err := registrytest.Ask(t.Context(), e)
		if err != nil {
			t.Error(err)
		}
		return strings.HasPrefix(got, "b ")
	})
	t.Logf("a new instance took calls %v after it was healthy", took)
	if took > 2*time.Second {
		t.Errorf("a new instance took calls after %v", took)
	}

	// One that drains has no new calls, and keeps its streams.
	stream := openStream(t, e, b)
	b.Health.SetStatus("", grpchealth.StatusNotServing)
	took = registrytest.Eventually(t, "a draining one is left alone", func() bool { return urls(t, caller, "chat") == a.URL })
	t.Logf("an instance that drains was out after %v", took)
	b.Lines <- "still here"
	if line := make([]byte, 10); readFull(t, stream, line) != "still here" {
		t.Errorf("its stream says %q", line)
	}
	before := b.Calls.Load()
	for range 50 {
		if got, err := registrytest.Ask(t.Context(), e); !strings.HasPrefix(got, "a ") || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n := b.Calls.Load(); n != before {
		t.Errorf("it got %d new calls", n-before)
	}

	// Back, and then taken back by itself.
	b.Health.SetStatus("", grpchealth.StatusServing)
	registrytest.Eventually(t, "back again", func() bool { return strings.Contains(urls(t, caller, "chat"), b.URL) })
	if err := leaving.Close(); err != nil {
		t.Fatal(err)
	}
	took = registrytest.Eventually(t, "deregistered", func() bool { return urls(t, caller, "chat") == a.URL })
	t.Logf("an instance that deregistered was out after %v", took)

	a.Kill()
	took = registrytest.Eventually(t, "a dead one is out", func() bool { return urls(t, caller, "chat") == "" })
	t.Logf("a dead instance was out after %v", took)
	if took > 5*time.Second {
		t.Errorf("a dead instance was listed for %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := registrytest.Ask(ctx, e); !errors.Is(err, registry.ErrNoInstance) {
		t.Errorf("without any: %v", err)
	}
}

// openStream opens a stream at a server.
func openStream(t *testing.T, e registry.Endpoint, at *registrytest.Server) io.Reader {
	t.Helper()
	for {
		res, err := e.Client.Get(e.BaseURL + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		if readFull(t, res.Body, make([]byte, 1)) == at.Name {
			t.Cleanup(func() { _ = res.Body.Close() })
			return res.Body
		}
		_ = res.Body.Close()
	}
}

func readFull(t *testing.T, r io.Reader, to []byte) string {
	t.Helper()
	if _, err := io.ReadFull(r, to); err != nil {
		t.Fatal(err)
	}
	return string(to)
}

func TestConsulTellsWhatANodeIs(t *testing.T) {
	agent := partstest.URL(t, "consul")
	m := newMesh(t, agent)
	m.url += "&weight=7"
	s := registrytest.Serve(t, "a", "")
	m.announce("chat", s.URL)
	caller := m.join("caller", "")
	registrytest.Eventually(t, "it is found", func() bool { return urls(t, caller, "chat") != "" })
	list, err := caller.Instances(t.Context(), "chat")
	if err != nil || len(list) != 1 || list[0].Weight != 7 || list[0].Zone != "z" || list[0].Version != "v1" || !strings.HasPrefix(list[0].ID, "node-1-") {
		t.Errorf("got %+v, %v", list, err)
	}
	names, err := caller.Names(t.Context())
	if err != nil || len(names) != 1 || names[0] != "chat" {
		t.Errorf("names are %v, %v", names, err)
	}
	if got := urls(t, newMesh(t, agent).join("other", ""), "chat"); got != "" {
		t.Errorf("another prefix finds %s", got)
	}
}

func TestConsulHasOneNodeOfAName(t *testing.T) {
	m := newMesh(t, partstest.URL(t, "consul"))
	a, b := registrytest.Serve(t, "a", ""), registrytest.Serve(t, "b", "")
	log := &lockedBuffer{}
	first := m.join("n1", a.URL, registry.WithLogger(log.logger()))
	if err := first.Register(t.Context(), "chat", local(t)); err != nil {
		t.Fatal(err)
	}
	caller := m.join("caller", "")
	registrytest.Eventually(t, "the first is found", func() bool { return urls(t, caller, "chat") == a.URL })
	if err := first.Register(t.Context(), "chat", local(t)); err != nil {
		t.Errorf("again by itself: %v", err)
	}
	second := m.join("n1", b.URL)
	err := second.Register(t.Context(), "chat", local(t))
	if !errors.Is(err, registry.ErrTaken) || !strings.Contains(err.Error(), a.URL) || strings.Contains(err.Error(), "\n") {
		t.Errorf("a second node of that id: %v", err)
	}
	if got := urls(t, caller, "chat"); got != a.URL {
		t.Errorf("listed is %s", got)
	}
	// A new start at the same address is taken at once; the old one cannot live any longer.
	start := time.Now()
	again := m.join("n1", a.URL)
	if err := again.Register(t.Context(), "chat", local(t)); err != nil || time.Since(start) > time.Second {
		t.Errorf("the same node again: %v after %v", err, time.Since(start))
	}
	registrytest.Eventually(t, "the old one hears of it", func() bool { return log.count("has taken this node's id") > 0 })
	if err := first.Close(); err != nil || urls(t, caller, "chat") != a.URL {
		t.Errorf("the old one took the new one's place back: %v", err)
	}
	// One that crashed gives way as soon as Consul knows.
	a.Kill()
	start = time.Now()
	if err := second.Register(t.Context(), "chat", local(t)); err != nil {
		t.Errorf("after a crash: %v", err)
	}
	if n := log.count("has taken this node's id"); n != 1 {
		t.Errorf("that was logged %d times", n)
	}
	t.Logf("a node took the place of a dead one after %v", time.Since(start))
	registrytest.Eventually(t, "the second is found", func() bool { return urls(t, caller, "chat") == b.URL })
}

func TestConsulAgentStartsAnew(t *testing.T) {
	partstest.URL(t, "consul") // skips where there is none
	running, err := parts.Start(t.Context(), t.TempDir(), "consul")
	if err != nil {
		t.Fatal(err)
	}
	agent := running[0]
	defer func() {
		if err := agent.Stop(); err != nil {
			t.Error(err)
		}
	}()
	m := newMesh(t, agent.URL)
	log := &lockedBuffer{}
	a, b := registrytest.Serve(t, "a", ""), registrytest.Serve(t, "b", "")
	m.announce("chat", a.URL)
	m.announce("chat", b.URL)
	caller := m.join("caller", "", registry.WithLogger(log.logger()))
	registrytest.Eventually(t, "both are found", func() bool { return len(strings.Fields(urls(t, caller, "chat"))) == 2 })
	e := registrytest.Resolve(t, caller, "chat")

	// Somebody calls all the time, and does not notice.
	ctx, stop := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	calling.Go(func() {
		for ctx.Err() == nil {
			if _, err := registrytest.Ask(t.Context(), e); err != nil {
				t.Errorf("while the agent was away: %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	if err := agent.Kill(); err != nil {
		t.Fatal(err)
	}
	registrytest.Eventually(t, "it is noticed", func() bool { return log.count("cannot be reached") == 1 })
	time.Sleep(2 * time.Second)
	if err := agent.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	// A registry that never heard of the calls before sees what Consul really lists.
	registrytest.Eventually(t, "both are announced again", func() bool {
		fresh, err := registry.Open(t.Context(), m.url, registry.WithNode(registry.Node{ID: "fresh"}))
		if err != nil {
			return false
		}
		defer fresh.Close() //nolint:errcheck // a test
		return len(strings.Fields(urls(t, fresh, "chat"))) == 2
	})
	t.Logf("registrations were back %v after the agent", time.Since(start))
	time.Sleep(6 * time.Second) // longer than what is missing is kept
	stop()
	calling.Wait()
	if n := len(strings.Fields(urls(t, caller, "chat"))); n != 2 {
		t.Errorf("%d instances in the end", n)
	}
	if log.count("cannot be reached") != 1 || log.count("answers again") != 1 {
		t.Errorf("logged %d losses and %d returns", log.count("cannot be reached"), log.count("answers again"))
	}

	// An agent that hangs is like none.
	if err := agent.Pause(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := registrytest.Ask(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
	if err := agent.Continue(); err != nil {
		t.Fatal(err)
	}
}

// A process that takes connections and answers nothing, as one that was stopped, is out as one that is dead.
func TestConsulDropsWhatHangs(t *testing.T) {
	m := newMesh(t, partstest.URL(t, "consul"))
	a := registrytest.Serve(t, "a", "")
	m.announce("chat", a.URL)
	caller := m.join("caller", "")
	registrytest.Eventually(t, "it is found", func() bool { return urls(t, caller, "chat") == a.URL })
	a.Kill()
	l, err := net.Listen("tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	took := registrytest.Eventually(t, "it is out", func() bool { return urls(t, caller, "chat") == "" })
	t.Logf("an instance that hangs was out after %v", took)
	if took > 5*time.Second {
		t.Errorf("it was listed for %v", took)
	}
}
