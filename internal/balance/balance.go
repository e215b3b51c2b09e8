// Package balance spreads the calls to one name over the instances that answer for it: an http.RoundTripper over a list
// that may change at any time. Backends of package registry keep the list; nothing here knows where it comes from.
//
// A call goes to the less loaded of two instances that are drawn by weight, of the caller's own zone where that has enough
// of them. An instance that fails again and again is left out for a while. A call that failed is made once more, elsewhere,
// if that can do no harm and the budget of retries allows it.
//
// What must never happen here: a call that may have been carried out is made again, unless its contract says that this
// changes nothing; an instance that left the list is given new calls, or its running streams are cut.
package balance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoInstance is why a call cannot be made: nobody answers for the name.
var ErrNoInstance = errors.New("no healthy instance")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("balancer is closed")

const (
	defaultFirstWait = 2 * time.Second
	dialTimeout      = 3 * time.Second
)

// Instance is one process that answers for a name.
type Instance struct {
	// ID is unique among the instances of a name.
	ID string
	// URL is scheme://host:port, with http or https.
	URL string
	// Zone is where it is, as operators name it; "" is unknown.
	Zone string
	// Weight is its share of calls beside the others', at least 1.
	Weight int
	// Version of its binary, for people.
	Version string
}

// Options are what a Balancer needs to know.
type Options struct {
	// Name is what the instances answer for. It is a label of metrics, so no client may choose it.
	Name string
	// Zone is the caller's own.
	Zone string
	// Logger is told of ejections; nil for none.
	Logger *slog.Logger
	// Metrics counts; nil for none.
	Metrics *Metrics
	// FirstWait is how long a call waits for the first list; 2 s when 0.
	FirstWait time.Duration
	// Dial opens connections; over TCP when nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Balancer is an http.RoundTripper. Requests name any host: it is replaced.
type Balancer struct {
	options Options
	log     *slog.Logger
	count   counters
	view    atomic.Pointer[view] // nil before the first list
	listed  chan struct{}        // closed with the first list
	ended   chan struct{}        // closed by Close
	budget  budget

	mu       sync.Mutex
	members  map[Instance]*member
	draining map[*member]bool
	closed   bool
}

var _ http.RoundTripper = (*Balancer)(nil)

// New returns a balancer without a list.
func New(o Options) *Balancer {
	if o.FirstWait == 0 {
		o.FirstWait = defaultFirstWait
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Balancer{
		options: o, log: o.Logger.With("name", o.Name), count: o.Metrics.of(o.Name), listed: make(chan struct{}), ended: make(chan struct{}),
		members: make(map[Instance]*member), draining: make(map[*member]bool),
	}
}

// Update replaces the list. Instances that stay keep their connections and their record; one that left ends its running
// calls and then its connections. Instances whose URL is no address are an error, and the list stays as it was.
func (b *Balancer) Update(list []Instance) error {
	targets := make(map[Instance]*url.URL, len(list))
	for _, i := range list {
		u, err := url.Parse(i.URL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || i.Weight < 1 {
			return fmt.Errorf("instance %q of %s: %q, weight %d, is no address with a weight", i.ID, b.options.Name, i.URL, i.Weight)
		}
		targets[i] = u
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	for i, m := range b.members {
		if _, stays := targets[i]; !stays {
			delete(b.members, i)
			b.leave(m)
		}
	}
	for i, u := range targets {
		if b.members[i] == nil {
			b.members[i] = newMember(b, i, u)
		}
	}
	b.rebuild()
	return nil
}

// leave is called with the lock held.
func (b *Balancer) leave(m *member) {
	if m.timer != nil {
		m.timer.Stop()
	}
	b.draining[m] = true
	m.gone.Store(true)
	if m.inflight.Load() == 0 {
		b.drained(m)
	}
}

// drained is called with the lock held, when a member that is gone has no call.
func (b *Balancer) drained(m *member) {
	m.transport.CloseIdleConnections()
	delete(b.draining, m)
	b.count.draining.Set(float64(len(b.draining)))
}

// rebuild makes calls see the members as they are. It is called with the lock held.
func (b *Balancer) rebuild() {
	v := newView(b.members, b.options.Zone)
	if b.view.Swap(v) == nil {
		close(b.listed)
	}
	b.count.healthy.Set(float64(len(v.all.members)))
	b.count.ejected.Set(float64(len(b.members) - len(v.all.members)))
	b.count.draining.Set(float64(len(b.draining)))
}

// Instances lists what takes calls now.
func (b *Balancer) Instances() []Instance {
	v := b.view.Load()
	if v == nil {
		return nil
	}
	out := make([]Instance, len(v.all.members))
	for i, m := range v.all.members {
		out[i] = m.Instance
	}
	return out
}

// Listed is closed once there is a first list.
func (b *Balancer) Listed() <-chan struct{} { return b.listed }

// Close ends the balancer: new calls are refused. Calls that run may end.
func (b *Balancer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	close(b.ended)
	for i, m := range b.members {
		delete(b.members, i)
		b.leave(m)
	}
	b.view.Store(&view{})
	b.count.healthy.Set(0)
	b.count.ejected.Set(0)
}

// current returns the view, waiting for the first list.
func (b *Balancer) current(ctx context.Context) (*view, error) {
	if v := b.view.Load(); v != nil {
		return v, nil
	}
	wait := time.NewTimer(b.options.FirstWait)
	defer wait.Stop()
	select {
	case <-b.listed:
		return b.view.Load(), nil
	case <-wait.C:
		return nil, fmt.Errorf("call %s: %w: the registry has not listed any yet", b.options.Name, ErrNoInstance)
	case <-b.ended:
		return nil, fmt.Errorf("call %s: %w", b.options.Name, ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("call %s: wait for the registry: %w", b.options.Name, ctx.Err())
	}
}

// RoundTrip implements http.RoundTripper.
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	b.budget.earn()
	body := newBody(r)
	var tried [maxAttempts]*member
	for n := 0; ; n++ {
		v, err := b.current(ctx)
		var m *member
		if err == nil {
			if m = v.pick(tried[:n]); m == nil {
				err = b.nobody()
			}
		}
		if err != nil {
			body.abandon()
			b.count.none.Inc()
			return nil, err
		}
		tried[n] = m
		last := n == maxAttempts-1 || !v.others(tried[:n+1])
		res, err := b.attempt(m, r, n, body, last)
		why := worth(r, res, err)
		if why == nil || last || ctx.Err() != nil || !body.again() {
			body.drop()
			return res, err
		}
		if !b.budget.spend(time.Now()) {
			b.count.spent.Inc()
			body.drop()
			return res, err
		}
		why(&b.count).Inc()
		if res != nil {
			_ = res.Body.Close() // it is another's answer that counts
		}
	}
}

func (b *Balancer) nobody() error {
	select {
	case <-b.ended:
		return fmt.Errorf("call %s: %w", b.options.Name, ErrClosed)
	default:
		return fmt.Errorf("call %s: %w", b.options.Name, ErrNoInstance)
	}
}

// attempt makes the call at one instance and judges that by how it went.
func (b *Balancer) attempt(m *member, r *http.Request, n int, body *body, last bool) (*http.Response, error) {
	out, err := m.request(r, n, body, last)
	if err != nil {
		return nil, err
	}
	m.inflight.Add(1)
	start := time.Now()
	res, err := m.transport.RoundTrip(out)
	switch {
	case err == nil && !isGateway(res):
		m.succeeded()
		b.count.ok.Inc()
	case err == nil:
		b.failed(m)
		b.count.gateway.Inc()
	case r.Context().Err() != nil:
		// A caller that goes away proves nothing; one that waited in vain for long does.
		if errors.Is(r.Context().Err(), context.DeadlineExceeded) && time.Since(start) >= hung {
			b.failed(m)
		}
		b.count.ended.Inc()
	default:
		b.failed(m)
		b.count.failed.Inc()
	}
	if err != nil {
		m.release()
		return nil, fmt.Errorf("call %s at %s: %w", b.options.Name, m.target.Host, err)
	}
	res.Request = r
	res.Body = &running{ReadCloser: res.Body, member: m}
	return res, nil
}

// isGateway reports whether somebody in between, or a server without the service, answered instead of the instance. What
// a handler says, even that it is not available, is no fault of the instance: a client may have brought it about.
func isGateway(r *http.Response) bool {
	switch r.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return false
	}
	kind := r.Header.Get("Content-Type")
	for _, own := range []string{"application/json", "application/proto", "application/connect", "application/grpc"} {
		if strings.HasPrefix(kind, own) {
			return false
		}
	}
	return true
}
