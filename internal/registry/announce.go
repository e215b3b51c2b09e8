package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
)

// Metadata of a service in Consul.
const (
	metaNode     = "stoa-node"
	metaInstance = "stoa-instance" // of one start of the node
	metaScheme   = "stoa-scheme"   // http or https
	metaZone     = "stoa-zone"
	metaWeight   = "stoa-weight"
	metaVersion  = "stoa-version"
)

const (
	// healthEvery and healthTimeout are how Consul asks for health: a dead process is out of the list within three seconds.
	healthEvery, healthTimeout = "1s", "2s"
	// forgetAfter is when Consul forgets a process that is not healthy.
	forgetAfter = "1m"
	// keepEvery is how often this process looks whether Consul still knows it.
	keepEvery = time.Second
	// takenWait is how long an earlier start of the node may take to be found dead.
	takenWait = 6 * time.Second
)

func (c *consul) service(name string) string { return c.options.prefix + name }

// id is this node's among the instances of a name.
func (c *consul) id(name string) string { return c.settings.node.ID + "-" + c.service(name) }

// Register implements Registry.
func (c *consul) Register(ctx context.Context, name string, endpoint Endpoint) error {
	endpoint, err := checked(name, endpoint)
	if err != nil {
		return err
	}
	switch node := c.settings.node; {
	case node.Address == "":
		return fmt.Errorf("register %s: this process has no address that others could be told (STOA_ADVERTISE)", name)
	case node.ID == "":
		return fmt.Errorf("register %s: this process has no node id (STOA_NODE)", name)
	}
	c.announcing.Lock()
	defer c.announcing.Unlock()
	if c.ctx.Err() != nil {
		return fmt.Errorf("register %s: %w", name, ErrClosed)
	}
	if err := c.vacant(ctx, name); err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	if err := c.announce(ctx, name); err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	if !slices.Contains(c.announced, name) {
		c.announced = append(c.announced, name)
	}
	return c.put(name, endpoint)
}

// vacant makes sure that no other process has this one's id. An earlier start of this node that crashed is healthy until
// Consul has found out.
func (c *consul) vacant(ctx context.Context, name string) error {
	deadline := time.Now().Add(takenWait)
	for {
		other, err := c.holder(ctx, name)
		if err != nil || other == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: another process is %s, at %s; give each one its own STOA_NODE", ErrTaken, c.settings.node.ID, other)
		}
		select {
		case <-time.After(takenWait / 12):
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ctx.Done():
			return ErrClosed
		}
	}
}

// holder returns the address of a healthy process that has this one's id and another address, "" if there is none. What
// has the same address is an earlier start of this process: it cannot live, for this one has its port.
func (c *consul) holder(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	list, _, err := c.client.Health().Service(c.service(name), "", true, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("ask consul: %w", said(err))
	}
	for _, e := range list {
		if e.Service == nil || e.Service.ID != c.id(name) || e.Service.Meta[metaInstance] == c.instance {
			continue
		}
		if i, err := instanceOf(e); err == nil && i.URL != c.settings.node.Address {
			return i.URL, nil
		}
	}
	return "", nil
}

// announce tells Consul's agent of a name; it takes calls once its first check has passed.
func (c *consul) announce(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	node := c.settings.node
	u, err := url.Parse(node.Address)
	if err != nil {
		return err
	}
	secure := u.Scheme == "https"
	port := 80
	switch {
	case u.Port() != "":
		if port, err = parsePort(u.Port()); err != nil {
			return err
		}
	case secure:
		port = 443
	}
	err = c.client.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
		ID: c.id(name), Name: c.service(name), Address: u.Hostname(), Port: port,
		Meta: map[string]string{
			metaNode: node.ID, metaInstance: c.instance, metaScheme: u.Scheme, metaZone: node.Zone,
			metaWeight: strconv.Itoa(c.options.weight), metaVersion: node.Version,
		},
		Weights: &api.AgentWeights{Passing: c.options.weight, Warning: 1},
		Check: &api.AgentServiceCheck{
			Name: "gRPC health", GRPC: net.JoinHostPort(u.Hostname(), strconv.Itoa(port)), GRPCUseTLS: secure,
			Interval: healthEvery, Timeout: healthTimeout, DeregisterCriticalServiceAfter: forgetAfter,
		},
	}, api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("tell consul: %w", said(err))
	}
	return nil
}

// Deregister implements Registry.
func (c *consul) Deregister(ctx context.Context, name string) error {
	c.announcing.Lock()
	defer c.announcing.Unlock()
	c.remove(name)
	if !slices.Contains(c.announced, name) {
		return nil
	}
	return c.withdraw(ctx, name)
}

// withdraw is called with announcing held. What was not told is not told again: the check will fail.
func (c *consul) withdraw(ctx context.Context, name string) error {
	c.announced = slices.DeleteFunc(c.announced, func(n string) bool { return n == name })
	ctx, cancel := context.WithTimeout(ctx, consulTimeout)
	defer cancel()
	options := (&api.QueryOptions{}).WithContext(ctx)
	known, _, err := c.client.Agent().Service(c.id(name), options)
	if err == nil && known.Meta[metaInstance] != c.instance {
		return nil // it is another's
	}
	if err == nil {
		err = c.client.Agent().ServiceDeregisterOpts(c.id(name), options)
	}
	if status, ok := errors.AsType[api.StatusError](err); ok && status.Code == http.StatusNotFound {
		return nil // Consul has forgotten it
	}
	if err != nil {
		return fmt.Errorf("deregister %s: %w", name, said(err))
	}
	return nil
}

// keep announces again what Consul has lost, as an agent does that was started anew.
func (c *consul) keep() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(keepEvery):
		}
		if err := c.compare(); err != nil && c.ctx.Err() == nil {
			c.reach.lost("its own agent", err)
			continue
		}
		c.reach.found("its own agent")
	}
}

// compare holds what Consul's agent knows of this node to what was announced.
func (c *consul) compare() error {
	c.announcing.Lock()
	defer c.announcing.Unlock()
	if len(c.announced) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, consulTimeout)
	defer cancel()
	filter := fmt.Sprintf("Meta[%q] == %q", metaNode, c.settings.node.ID)
	known, err := c.client.Agent().ServicesWithFilterOpts(filter, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("ask consul's agent: %w", said(err))
	}
	for _, name := range c.announced {
		entry := known[c.id(name)]
		switch {
		case entry != nil && entry.Meta[metaInstance] == c.instance:
			if c.taken[name] {
				delete(c.taken, name)
			}
		case entry != nil:
			if !c.taken[name] {
				c.taken[name] = true
				c.settings.log.Error("another process has taken this node's id; give each one its own STOA_NODE",
					"name", name, "node", c.settings.node.ID, "address", net.JoinHostPort(entry.Address, strconv.Itoa(entry.Port)))
			}
		default:
			if err := c.announce(ctx, name); err != nil {
				return err
			}
			delete(c.taken, name)
			c.settings.log.Info("announced again, consul had lost it", "name", name)
		}
	}
	return nil
}
