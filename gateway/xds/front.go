// Package xds drives Envoy as a front: it serves listeners, routes, clusters and endpoints over ADS
// (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol), made of the same routes as the Go gateway's and of
// the same registry.
//
// What must never happen here: a route that the Go gateway would not have; a header from outside that services take for
// ours; a bad snapshot that stays.
package xds

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/stoa-live/stoa/gateway"
)

// Config is what a front of Envoys is.
type Config struct {
	// Services are the protobuf services that clients may call.
	Services []string
	// Address is where Envoy listens for clients, such as 0.0.0.0:8443.
	Address string
	// Certificate and Key are PEM texts. With them Envoy speaks TLS, and HTTP/3 on the same port.
	Certificate, Key string
	// RateLimit is how many requests a second one address may make in the long run, after a burst of four seconds' worth; 0
	// for no limit.
	RateLimit float64
}

// Instance is a process that answers for a service.
type Instance struct {
	// Address is that of its port for neighbours and fronts.
	Address string
	// Zone is where it is; "" for nowhere in particular.
	Zone string
	// Weight is its share of new calls; 0 means 1.
	Weight uint32
}

// InstanceAt is the instance at an address as registries list it: http and an IP address with a port.
func InstanceAt(rawURL, zone string, weight int) (Instance, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Instance{}, err
	}
	if u.Scheme != "http" {
		return Instance{}, fmt.Errorf("address %q: Envoy calls instances by http only", rawURL)
	}
	if _, _, err := hostPort(u.Host); err != nil {
		return Instance{}, err
	}
	return Instance{Address: u.Host, Zone: zone, Weight: uint32(min(max(weight, 1), 1000))}, nil //nolint:gosec // in bounds
}

// Instances are the processes that answer, by the service's name in the registry. Those under "" have the web apps.
type Instances map[string][]Instance

// web is the cluster of what every front process has.
const web = "web"

// clusterOf names the cluster of a route.
func clusterOf(r gateway.Route) string {
	switch {
	case r.Service == "":
		return web
	case upgrades(r.Kind):
		return r.Service + ".socket"
	default:
		return r.Service
	}
}

// upgrades reports whether clients may turn requests into WebSockets, for which instances are called over HTTP/1.1.
func upgrades(k gateway.Kind) bool { return k == gateway.Socket || k == gateway.Playback }

// snapshot is all that Envoys are told.
func snapshot(cfg Config, version int64, in Instances) (*cache.Snapshot, error) {
	routes := gateway.Routes(cfg.Services)
	clusters := make(map[string]gateway.Route)
	for _, r := range routes {
		clusters[clusterOf(r)] = r
	}
	l, err := listeners(cfg)
	if err != nil {
		return nil, err
	}
	table, err := routeTable(cfg, routes)
	if err != nil {
		return nil, err
	}
	all := map[resource.Type][]types.Resource{resource.ListenerType: l, resource.RouteType: {table}}
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		c, err := cluster(name, clusters[name].Kind)
		if err != nil {
			return nil, err
		}
		endpoints, err := assignment(name, in[clusters[name].Service])
		if err != nil {
			return nil, err
		}
		all[resource.ClusterType] = append(all[resource.ClusterType], c)
		all[resource.EndpointType] = append(all[resource.EndpointType], endpoints)
	}
	s, err := cache.NewSnapshot(strconv.FormatInt(version, 10), all)
	if err != nil {
		return nil, err
	}
	if err := s.Consistent(); err != nil {
		return nil, fmt.Errorf("snapshot is not whole: %w", err)
	}
	return s, nil
}

// hostPort splits an address that Envoy is to use.
func hostPort(address string) (host string, port uint32, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("address %q: want a port from 1 to 65535", address)
	}
	if net.ParseIP(host) == nil {
		return "", 0, fmt.Errorf("address %q: want an IP address", address)
	}
	return host, uint32(n), nil
}

// validate says in one line what is wrong first.
func (c Config) validate() error {
	if _, _, err := hostPort(c.Address); err != nil {
		return err
	}
	if (c.Certificate == "") != (c.Key == "") {
		return errors.New("certificate and key go together")
	}
	if c.RateLimit < 0 {
		return fmt.Errorf("rate limit is %v; it must be at least 0", c.RateLimit)
	}
	return nil
}

// sorted puts instances in one order, so that the same ones make the same snapshot.
func sorted(list []Instance) []Instance {
	return slices.SortedFunc(slices.Values(list), func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Address, b.Address))
	})
}

const (
	connectTimeout = 2 * time.Second
	healthEvery    = time.Second
)
