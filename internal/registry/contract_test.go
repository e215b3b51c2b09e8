package registry_test

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/registry/registrytest"
)

func TestStaticContract(t *testing.T) {
	registrytest.Run(t, registrytest.Options{Open: func(t *testing.T, neighbours map[string][]string) registry.Registry {
		q := make(url.Values)
		for name, addresses := range neighbours {
			q.Set(name, strings.Join(addresses, ","))
		}
		return open(t, "static:?"+q.Encode())
	}})
}

func TestConsulContract(t *testing.T) {
	agent := partstest.URL(t, "consul")
	registrytest.Run(t, registrytest.Options{AnyName: true, Open: func(t *testing.T, neighbours map[string][]string) registry.Registry {
		m := newMesh(t, agent)
		for name, addresses := range neighbours {
			for _, address := range addresses {
				m.announce(name, address)
			}
		}
		here := registrytest.Serve(t, "this process", "")
		r := m.join("self", here.URL)
		for name, addresses := range neighbours {
			registrytest.Eventually(t, name+" is found", func() bool {
				list, err := r.Instances(t.Context(), name)
				return err == nil && len(list) == len(addresses)
			})
		}
		return r
	}})
}

// mesh is some processes at one agent of Consul, with names of their own.
type mesh struct {
	t     *testing.T
	url   string
	nodes atomic.Int64
}

func newMesh(t *testing.T, agent string) *mesh {
	return &mesh{t: t, url: fmt.Sprintf("%s?prefix=t-%s-", agent, strings.ToLower(rand.Text()[:10]))}
}

// join opens the registry of one process.
func (m *mesh) join(id, address string, options ...registry.Option) registry.Registry {
	m.t.Helper()
	return open(m.t, m.url, append(options, registry.WithNode(registry.Node{ID: id, Zone: "z", Version: "v1", Address: address}))...)
}

// announce lets a process of its own announce a name, and returns its registry.
func (m *mesh) announce(name, address string) registry.Registry {
	m.t.Helper()
	r := m.join(fmt.Sprintf("node-%d", m.nodes.Add(1)), address)
	if err := r.Register(m.t.Context(), name, local(m.t)); err != nil {
		m.t.Fatal(err)
	}
	return r
}
