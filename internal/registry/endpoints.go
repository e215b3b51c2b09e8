package registry

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stoa-live/stoa/internal/balance"
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// endpoints is what backends share: what lives in this process, and a balancer for each name that lives elsewhere.
type endpoints struct {
	settings settings
	metrics  *balance.Metrics

	mu        sync.RWMutex
	local     map[string]Endpoint
	balancers map[string]*balance.Balancer
	closed    bool
}

func newEndpoints(s settings) (*endpoints, error) {
	metrics, err := balance.NewMetrics(s.metrics)
	if err != nil {
		return nil, err
	}
	return &endpoints{
		settings: s, metrics: metrics, local: make(map[string]Endpoint), balancers: make(map[string]*balance.Balancer),
	}, nil
}

// checked returns an endpoint that may be registered.
func checked(name string, endpoint Endpoint) (Endpoint, error) {
	if !namePattern.MatchString(name) {
		return Endpoint{}, fmt.Errorf("register: bad service name %q", name)
	}
	if endpoint.Client == nil {
		return Endpoint{}, fmt.Errorf("register %s: no client", name)
	}
	base, err := baseURL(endpoint.BaseURL)
	if err != nil {
		return Endpoint{}, fmt.Errorf("register %s: %w", name, err)
	}
	endpoint.BaseURL = base
	return endpoint, nil
}

func (e *endpoints) put(name string, endpoint Endpoint) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fmt.Errorf("register %s: %w", name, ErrClosed)
	}
	e.local[name] = endpoint
	return nil
}

func (e *endpoints) remove(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.local, name)
}

// find returns what lives in this process, or else what a balancer reaches.
func (e *endpoints) find(name string) (Endpoint, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return Endpoint{}, fmt.Errorf("resolve %s: %w", name, ErrClosed)
	}
	if endpoint, ok := e.local[name]; ok {
		return endpoint, nil
	}
	if b, ok := e.balancers[name]; ok {
		return balanced(name, b), nil
	}
	return Endpoint{}, fmt.Errorf("resolve %s: %w", name, ErrNotFound)
}

// balanced is the endpoint of a name that lives elsewhere. The host of its URL is replaced by that of an instance.
func balanced(name string, b *balance.Balancer) Endpoint {
	return Endpoint{BaseURL: "http://" + name, Client: &http.Client{Transport: b}}
}

// balance returns the balancer of a name, which is made where there is none; fresh tells that it was.
func (e *endpoints) balance(name string) (b *balance.Balancer, fresh bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, fmt.Errorf("resolve %s: %w", name, ErrClosed)
	}
	if b, ok := e.balancers[name]; ok {
		return b, false, nil
	}
	b = balance.New(balance.Options{Name: name, Zone: e.settings.node.Zone, Logger: e.settings.log, Metrics: e.metrics})
	e.balancers[name] = b
	return b, true, nil
}

func (e *endpoints) instances(name string) []Instance {
	e.mu.RLock()
	b := e.balancers[name]
	e.mu.RUnlock()
	if b == nil {
		return nil
	}
	return b.Instances()
}

// names lists what lives here and what has a balancer.
func (e *endpoints) names() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	names := slices.Concat(slices.Collect(maps.Keys(e.local)), slices.Collect(maps.Keys(e.balancers)))
	slices.Sort(names)
	return slices.Compact(names)
}

// close ends all balancers; it reports whether this was the first time.
func (e *endpoints) close() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.closed = true
	for _, b := range e.balancers {
		b.Close()
	}
	e.metrics.Close()
	return true
}

func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", fmt.Errorf("%q is no http or https address", raw)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%q has more than a host", raw)
	}
	return u.Scheme + "://" + u.Host, nil
}
