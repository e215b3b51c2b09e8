package balance

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// member is an instance with its connections and its record.
type member struct {
	Instance

	balancer  *Balancer
	target    *url.URL
	transport *http.Transport
	inflight  atomic.Int64 // calls, a stream until its end
	gone      atomic.Bool  // from the list
	failures  atomic.Int32 // since the last success

	// Guarded by the balancer's lock.
	ejected   bool
	ejections int       // lately, for the length of the next
	returned  time.Time // from the last one
	timer     *time.Timer
}

func newMember(b *Balancer, i Instance, target *url.URL) *member {
	return &member{Instance: i, balancer: b, target: target, transport: newTransport(b.options.Dial)}
}

// newTransport speaks HTTP/2 only, with and without TLS: calls share a connection, and a dead peer is noticed by pings
// instead of by hanging calls.
func newTransport(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // Connect negotiates its own
	}
}

// request is the n-th attempt of a call, addressed to the member.
func (m *member) request(r *http.Request, n int, body *body, last bool) (*http.Request, error) {
	out := new(http.Request)
	*out = *r
	u := *r.URL
	u.Scheme, u.Host = m.target.Scheme, m.target.Host
	out.URL = &u
	if r.Host == r.URL.Host {
		out.Host = "" // the instance's; a proxy keeps the host that its client asked for
	}
	var err error
	if out.Body, err = body.take(n); err != nil {
		return nil, err
	}
	if !last {
		out.GetBody = nil // net/http would go on trying where it is refused
	}
	if n > 0 {
		out.Header = remaining(r)
	}
	return out, nil
}

// release ends a call.
func (m *member) release() {
	if m.inflight.Add(-1) == 0 && m.gone.Load() {
		m.balancer.mu.Lock()
		defer m.balancer.mu.Unlock()
		if m.inflight.Load() == 0 {
			m.balancer.drained(m)
		}
	}
}

// running is the body of a response, with which a call ends.
type running struct {
	io.ReadCloser

	member *member
	closed atomic.Bool
}

// Close implements io.Closer.
func (r *running) Close() error {
	err := r.ReadCloser.Close()
	if r.closed.CompareAndSwap(false, true) {
		r.member.release()
	}
	return err
}
