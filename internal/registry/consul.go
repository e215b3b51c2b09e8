package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/stoa-live/stoa/internal/balance"
)

var _ Registry = (*consul)(nil)

// consulTimeout bounds what is no blocking query.
const consulTimeout = 5 * time.Second

// consul announces this process to Consul and follows what Consul lists.
//
// A name is a service of Consul of its own, with the prefix: "stoa-chat". The service's id is the node's, so that a
// process that starts anew takes its own place; which start of it is meant stands in its metadata.
type consul struct {
	*endpoints

	options  consulOptions
	client   *api.Client
	idle     func()
	instance string // of this start
	reach    *reach
	running  sync.WaitGroup
	ctx      context.Context // of what runs; Close ends it
	stop     context.CancelFunc

	// announcing serializes what changes registrations, calls to Consul included.
	announcing sync.Mutex
	announced  []string        // names, in their order
	taken      map[string]bool // by another process, as was logged
}

func openConsul(ctx context.Context, u *url.URL, s settings) (*consul, error) {
	o, err := parseConsul(u)
	if err != nil {
		return nil, err
	}
	httpClient, idle := s.consul, func() {}
	if httpClient == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.Proxy = nil // agents are near
		transport.MaxIdleConnsPerHost = 16
		httpClient, idle = &http.Client{Transport: transport}, transport.CloseIdleConnections
	}
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	client, err := api.NewClient(&api.Config{
		Address: o.address, Scheme: scheme, Token: o.token, Datacenter: o.datacenter, HttpClient: httpClient,
	})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	check, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	// A question of the kind that will be asked: its answer says whether the token and the datacenter are known, too.
	if _, _, err := client.Health().Service(o.prefix+"auth", "", true, (&api.QueryOptions{}).WithContext(check)); err != nil {
		return nil, fmt.Errorf("consul at %s cannot be asked: %w", o.address, said(err))
	}
	reach, err := newReach(s)
	if err != nil {
		return nil, err
	}
	e, err := newEndpoints(s)
	if err != nil {
		reach.close()
		return nil, err
	}
	c := &consul{
		endpoints: e, options: o, client: client, idle: idle, instance: rand.Text(), reach: reach, taken: make(map[string]bool),
	}
	c.ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.running.Go(c.keep)
	return c, nil
}

// said makes one line of what Consul answered instead of what it was asked for.
func said(err error) error {
	status, ok := errors.AsType[api.StatusError](err)
	if !ok {
		return err
	}
	text := strings.Join(strings.Fields(status.Body), " ")
	return fmt.Errorf("it answers %d %.200s", status.Code, text)
}

// Resolve implements Registry. Any well-formed name may have an instance one day.
func (c *consul) Resolve(_ context.Context, name string) (Endpoint, error) {
	if !namePattern.MatchString(name) {
		return Endpoint{}, fmt.Errorf("resolve %q: %w", name, ErrNotFound)
	}
	if !c.isLocal(name) {
		if _, err := c.follow(name); err != nil {
			return Endpoint{}, err
		}
	}
	return c.find(name)
}

// follow returns the balancer of a name, which is watched from now on.
func (c *consul) follow(name string) (*balance.Balancer, error) {
	b, fresh, err := c.balance(name)
	if err != nil {
		return nil, err
	}
	if fresh {
		w := newWatch(c, name, b)
		c.running.Go(func() { w.run(c.ctx) })
	}
	return b, nil
}

func (c *consul) isLocal(name string) bool {
	c.endpoints.mu.RLock()
	defer c.endpoints.mu.RUnlock()
	_, ok := c.local[name]
	return ok
}

// Instances implements Registry. It waits for Consul where the name was not asked for before.
func (c *consul) Instances(ctx context.Context, name string) ([]Instance, error) {
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("list %q: %w", name, ErrNotFound)
	}
	b, err := c.follow(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	select {
	case <-b.Listed():
	case <-c.ctx.Done():
		return nil, fmt.Errorf("list %s: %w", name, ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("list %s: consul has not answered: %w", name, ctx.Err())
	}
	list := b.Instances()
	if c.isLocal(name) {
		list = slices.DeleteFunc(list, func(i Instance) bool { return i.ID == c.id(name) })
	}
	return list, nil
}

// Names implements Registry.
func (c *consul) Names(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	services, _, err := c.client.Catalog().Services((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	c.endpoints.mu.RLock()
	defer c.endpoints.mu.RUnlock()
	if c.closed {
		return nil, fmt.Errorf("list names: %w", ErrClosed)
	}
	var names []string
	for service := range services {
		if name, ok := strings.CutPrefix(service, c.options.prefix); ok && namePattern.MatchString(name) {
			names = append(names, name)
		}
	}
	for name := range c.local {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Close implements Registry. A Consul that cannot be reached is no error: it forgets a process whose check fails.
func (c *consul) Close() error {
	if !c.endpoints.close() {
		return nil
	}
	c.stop()
	c.running.Wait()
	c.announcing.Lock()
	defer c.announcing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), consulTimeout)
	defer cancel()
	for _, name := range slices.Backward(slices.Clone(c.announced)) {
		if err := c.withdraw(ctx, name); err != nil {
			c.settings.log.Warn("consul was not told that this process ends", "name", name, "error", err)
		}
	}
	c.reach.close()
	c.idle()
	return nil
}
