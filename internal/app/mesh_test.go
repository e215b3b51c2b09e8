package app_test

import (
	"context"
	"crypto/rand"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/testkit"
)

// mesh is a house of several processes.
type mesh struct {
	t         *testing.T
	bus       string
	registry  string            // "" for addresses that each process is given
	addresses map[string]string // by the name in the registry, on the port for neighbours
	folders   map[string]string // by process
	running   map[string]*testkit.Server
}

// process is one of a mesh.
type process struct {
	name     string
	services []string
	names    []string // in the registry
}

// processes are those of a mesh in the order in which they start; the front runs no service.
func processes() []process {
	return []process{
		{"people", []string{"auth", "presence", "admin"}, []string{"auth", "presence", "admin", "site"}},
		{"talk", []string{"chat", "live"}, []string{"chat", "live"}},
		{"edge", []string{"edge"}, []string{"edge"}},
		{"front", []string{"gateway"}, nil},
	}
}

func startMesh(t *testing.T, registry string) *mesh {
	t.Helper()
	m := &mesh{
		t: t, registry: registry, bus: partstest.URL(t, "pulsar") + "?prefix=" + rand.Text() + "-", addresses: make(map[string]string),
		folders: make(map[string]string), running: make(map[string]*testkit.Server),
	}
	for _, p := range processes() {
		m.folders[p.name] = t.TempDir()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // only its number is needed
		for _, name := range p.names {
			m.addresses[name] = l.Addr().String()
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range processes() {
		m.start(p.name)
	}
	return m
}

// start starts a process, on the data and the port that it had if it is started again.
func (m *mesh) start(name string) {
	m.t.Helper()
	i := slices.IndexFunc(processes(), func(p process) bool { return p.name == name })
	p := processes()[i]
	var neighbours []string
	for _, other := range slices.Sorted(maps.Keys(m.addresses)) {
		if !slices.Contains(p.names, other) {
			neighbours = append(neighbours, other+"=http://"+m.addresses[other])
		}
	}
	m.running[name] = testkit.Start(m.t, func(c *config.Serve) {
		c.Services, c.ServiceKey, c.Bus, c.DataDir = p.services, serviceKey, m.bus, m.folders[name]
		if c.Registry = m.registry; m.registry == "" {
			c.Registry = "static:?" + strings.Join(neighbours, "&")
		}
		if len(p.names) > 0 {
			c.InternalAddr = m.addresses[p.names[0]]
		}
		if name == "edge" {
			c.EdgeAddr = "127.0.0.1:0"
		}
	})
}

// TestAHouseOfFourProcesses: people, talk, long connections and the front each have a process, and nobody notices.
func TestAHouseOfFourProcesses(t *testing.T) {
	t.Run("by addresses", func(t *testing.T) { fourProcesses(t, startMesh(t, "")) })
	t.Run("by Consul", func(t *testing.T) {
		fourProcesses(t, startMesh(t, partstest.URL(t, "consul")+"?prefix="+strings.ToLower(rand.Text())+"-"))
	})
}

func fourProcesses(t *testing.T, m *mesh) {
	t.Helper()
	front := m.running["front"]
	owner, ann, bob := front.User(t, "owner"), front.User(t, "ann"), front.User(t, "bob")
	room := as(front, binary, owner.Token).openRoom(t, "A room").GetConversationId()
	listen := func(token string) *longConnection {
		l := overWebSocket(t, token, "ws"+strings.TrimPrefix(m.running["edge"].URL, "http")+"/edge/v1", nil, nil)
		if err := l.enter(room); err != nil {
			t.Fatal(err)
		}
		l.until(t, "the room", func(f *edgev1.ServerFrame) bool { return f.GetEntered() != nil })
		return l
	}
	hears := func(l *longConnection, text string) {
		t.Helper()
		l.until(t, text, func(f *edgev1.ServerFrame) bool {
			return slices.ContainsFunc(f.GetPush().GetEvents(), func(e *edgev1.Event) bool {
				return e.GetChat().GetMessage().GetContent().GetText().GetText() == text
			})
		})
	}
	say := func(text string) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := as(front, binary, ann.Token).chat.SendMessage(ctx, &chatv1.SendMessageRequest{
			ConversationId: room, ClientMsgId: rand.Text(),
			Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
		})
		return err
	}
	testkit.Eventually(t, patience, "the edge finds chat", func() bool {
		_, err := as(m.running["edge"], binary, bob.Token).chat.Sync(t.Context(), &chatv1.SyncRequest{})
		return err == nil
	})
	onEdge := listen(bob.Token)
	if err := say("hello"); err != nil {
		t.Fatal(err)
	}
	hears(onEdge, "hello")

	// A neighbour that is away is said to be, and nothing else is held up.
	if err := m.running["talk"].Close(); err != nil {
		t.Fatal(err)
	}
	if err := say("nobody is there"); connect.CodeOf(err) != connect.CodeUnavailable || errs.Reason(err) != errs.ReasonUnavailable {
		t.Errorf("without chat: %v", err)
	}
	if _, err := as(front, binary, ann.Token).auth.GetMe(t.Context(), &authv1.GetMeRequest{}); err != nil {
		t.Errorf("without chat: %v", err)
	}
	m.start("talk")
	testkit.Eventually(t, patience, "chat is back", func() bool { return say("back again") == nil })
	hears(onEdge, "back again")

	// A session that ends in one process ends in all.
	start := time.Now()
	if _, err := as(front, binary, bob.Token).auth.SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	onEdge.until(t, "the end", func(f *edgev1.ServerFrame) bool {
		return f.GetGoodbye().GetReason() == edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the session went on for %v", took)
	}
}
