package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

var _ Registry = (*static)(nil)

// static holds what the process itself registered and what its configuration names.
type static struct {
	*endpoints
}

func openStatic(u *url.URL, settings settings) (*static, error) {
	if u.Host != "" || u.Path != "" || u.Opaque != "" {
		return nil, errors.New("static: takes only ?name=address pairs")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, err
	}
	lists := make(map[string][]Instance, len(query))
	for _, name := range slices.Sorted(maps.Keys(query)) { // the same defect each time
		values := query[name]
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("bad service name %q", name)
		}
		if len(values) != 1 {
			return nil, fmt.Errorf("%s is named %d times; separate its addresses by commas", name, len(values))
		}
		for address := range strings.SplitSeq(values[0], ",") {
			base, err := baseURL(address)
			if err != nil {
				return nil, fmt.Errorf("address of %s: %w", name, err)
			}
			i := Instance{ID: strings.TrimPrefix(strings.TrimPrefix(base, "http://"), "https://"), URL: base, Weight: 1}
			if slices.Contains(lists[name], i) {
				return nil, fmt.Errorf("address of %s: %s is there twice", name, base)
			}
			lists[name] = append(lists[name], i)
		}
	}
	e, err := newEndpoints(settings)
	if err != nil {
		return nil, err
	}
	s := &static{e}
	for name, list := range lists {
		b, _, err := e.balance(name)
		if err == nil {
			err = b.Update(list)
		}
		if err != nil {
			e.close()
			return nil, err
		}
	}
	return s, nil
}

// Register implements Registry. Nobody else is told.
func (s *static) Register(_ context.Context, name string, endpoint Endpoint) error {
	endpoint, err := checked(name, endpoint)
	if err != nil {
		return err
	}
	return s.put(name, endpoint)
}

// Deregister implements Registry.
func (s *static) Deregister(_ context.Context, name string) error {
	s.remove(name)
	return nil
}

// Resolve implements Registry.
func (s *static) Resolve(_ context.Context, name string) (Endpoint, error) { return s.find(name) }

// Instances implements Registry.
func (s *static) Instances(_ context.Context, name string) ([]Instance, error) {
	return s.instances(name), nil
}

// Names implements Registry.
func (s *static) Names(context.Context) ([]string, error) { return s.names(), nil }

// Close implements Registry.
func (s *static) Close() error {
	s.close()
	return nil
}
