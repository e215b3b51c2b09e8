package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/stoa-live/stoa/internal/balance"
)

const (
	// watchWait is how long Consul may keep a query that has nothing new.
	watchWait = 55 * time.Second
	// watchSlack is how much later than that an answer may be; Consul itself adds up to a sixteenth.
	watchSlack = 10 * time.Second
	// watchPace is the least time between two queries, watchPoll that where Consul gives no index to wait for.
	watchPace, watchPoll = 50 * time.Millisecond, time.Second
	// firstBackoff and lastBackoff bound the waits after failures, half of which is random.
	firstBackoff, lastBackoff = 200 * time.Millisecond, 3 * time.Second
	// keepMissing is how long instances stay that a registry lost which has just come back: they announce themselves again.
	keepMissing = 4 * time.Second
)

// watch keeps the list of one name.
type watch struct {
	consul   *consul
	name     string
	balancer *balance.Balancer
	log      *slog.Logger

	index     uint64
	last      map[string]Instance // by id, as published
	skipped   map[[2]string]bool  // ids and reasons that were logged
	failures  int                 // in a row
	keepUntil time.Time           // what is missing stays until then
}

func newWatch(c *consul, name string, b *balance.Balancer) *watch {
	return &watch{consul: c, name: name, balancer: b, log: c.settings.log.With("name", name)}
}

// run asks until ctx ends. Where there is no answer, the last list stays.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.ask(ctx)
		pause := watchPace
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.consul.reach.lost(w.name, err)
			pause = min(firstBackoff<<min(w.failures, 8), lastBackoff)
			pause = pause/2 + rand.N(pause/2) //nolint:gosec // no secret
			w.failures++
			w.index = 0 // what comes back may count anew
		} else {
			w.consul.reach.found(w.name)
			w.failures = 0
			if w.index == 0 { // it cannot be waited for
				pause = watchPoll
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// ask makes one query and publishes what it says.
func (w *watch) ask(ctx context.Context) error {
	q := &api.QueryOptions{WaitIndex: w.index, WaitTime: watchWait}
	if missing := time.Until(w.keepUntil); missing > 0 {
		q.WaitTime = max(missing.Round(time.Millisecond), 100*time.Millisecond)
	}
	limit := consulTimeout
	if w.index > 0 {
		limit = q.WaitTime + watchSlack
	}
	query, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	list, meta, err := w.consul.client.Health().Service(w.consul.service(w.name), "", true, q.WithContext(query))
	if err != nil {
		return fmt.Errorf("ask consul for %s: %w", w.name, said(err))
	}
	if w.last != nil && (meta.LastIndex < w.index || w.failures > 0) {
		w.keepUntil = time.Now().Add(keepMissing)
	}
	w.index = meta.LastIndex
	return w.publish(w.read(list))
}

// publish hands the list on, with what is missing while that may come back.
func (w *watch) publish(found map[string]Instance) error {
	if time.Now().Before(w.keepUntil) {
		for id, i := range w.last {
			if _, ok := found[id]; !ok {
				found[id] = i
			}
		}
	}
	list := make([]Instance, 0, len(found))
	for _, i := range found {
		list = append(list, i)
	}
	if err := w.balancer.Update(list); err != nil {
		return err
	}
	w.last = found
	return nil
}

// read takes what is an instance, and says once of each other entry why it is none.
func (w *watch) read(list []*api.ServiceEntry) map[string]Instance {
	found, skipped := make(map[string]Instance, len(list)), make(map[[2]string]bool)
	for _, e := range list {
		i, err := instanceOf(e)
		if err == nil {
			found[i.ID] = i
			continue
		}
		key := [2]string{i.ID, err.Error()}
		if !w.skipped[key] && !skipped[key] {
			w.log.Warn("entry of the registry is skipped", "id", i.ID, "error", err)
		}
		skipped[key] = true
	}
	w.skipped = skipped
	return found
}

// instanceOf reads an entry. What others may have written into Consul is believed in no part.
func instanceOf(e *api.ServiceEntry) (Instance, error) {
	if e == nil || e.Service == nil {
		return Instance{}, errors.New("it has no service")
	}
	s := e.Service
	if s.ID == "" {
		return Instance{}, errors.New("it has no id")
	}
	i := Instance{ID: s.ID, Zone: s.Meta[metaZone], Version: s.Meta[metaVersion], Weight: 1}
	host := s.Address
	if host == "" && e.Node != nil {
		host = e.Node.Address
	}
	if !isHost(host) {
		return i, fmt.Errorf("address %q is none", host)
	}
	if s.Port < 1 || s.Port > 65535 {
		return i, fmt.Errorf("port %d is none", s.Port)
	}
	scheme := s.Meta[metaScheme]
	switch scheme {
	case "":
		scheme = "http"
	case "http", "https":
	default:
		return i, fmt.Errorf("scheme %q is neither http nor https", scheme)
	}
	if text, ok := s.Meta[metaWeight]; ok {
		var err error
		if i.Weight, err = parseWeight(text); err != nil {
			return i, err
		}
	}
	i.URL = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(s.Port))
	return i, nil
}
