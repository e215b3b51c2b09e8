package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

var _ Registry = (*static)(nil)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// static holds what the process itself registered and what its configuration names.
type static struct {
	remote *http.Transport // shared by every configured neighbour

	mu        sync.RWMutex
	endpoints map[string]Endpoint
	closed    bool
}

func openStatic(u *url.URL) (*static, error) {
	if u.Host != "" || u.Path != "" || u.Opaque != "" {
		return nil, errors.New("static: takes only ?name=address pairs")
	}
	s := &static{remote: newTransport(), endpoints: make(map[string]Endpoint)}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, err
	}
	for name, addresses := range query {
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("bad service name %q", name)
		}
		if len(addresses) != 1 {
			return nil, fmt.Errorf("%s has %d addresses, want one", name, len(addresses))
		}
		base, err := baseURL(addresses[0])
		if err != nil {
			return nil, fmt.Errorf("address of %s: %w", name, err)
		}
		s.endpoints[name] = Endpoint{BaseURL: base, Client: &http.Client{Transport: s.remote}}
	}
	return s, nil
}

func (s *static) Register(_ context.Context, name string, endpoint Endpoint) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("register: bad service name %q", name)
	}
	if endpoint.Client == nil {
		return fmt.Errorf("register %s: no client", name)
	}
	base, err := baseURL(endpoint.BaseURL)
	if err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	endpoint.BaseURL = base
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("register %s: %w", name, ErrClosed)
	}
	s.endpoints[name] = endpoint
	return nil
}

func (s *static) Deregister(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.endpoints, name)
	return nil
}

func (s *static) Resolve(_ context.Context, name string) (Endpoint, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return Endpoint{}, fmt.Errorf("resolve %s: %w", name, ErrClosed)
	}
	endpoint, ok := s.endpoints[name]
	if !ok {
		return Endpoint{}, fmt.Errorf("resolve %s: %w", name, ErrNotFound)
	}
	return endpoint, nil
}

func (s *static) Names(context.Context) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.endpoints)), nil
}

func (s *static) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.remote.CloseIdleConnections()
	return nil
}

// newTransport speaks HTTP/2 only, with and without TLS: streams of all neighbours share a connection each, and a dead
// one is noticed by pings instead of by hanging calls.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:           protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // Connect negotiates its own
	}
}

func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", fmt.Errorf("%q is no http or https address", raw)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%q has more than a host", raw)
	}
	return u.Scheme + "://" + u.Host, nil
}
