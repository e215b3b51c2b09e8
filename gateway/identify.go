package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/time/rate"

	lru "github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/stoa-live/stoa/internal/errs"
)

// ClientAddressHeader tells services who calls. The gateway sets it on every request and drops it from outside.
const ClientAddressHeader = "X-Stoa-Client-Address"

type clientKey struct{}

// clientAddress returns the address that identify found.
func clientAddress(r *http.Request) string {
	if a, ok := r.Context().Value(clientKey{}).(string); ok {
		return a
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// identify replaces what the outside says about itself by what the gateway knows: services believe these headers.
func (g *Gateway) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := clientAddress(r)
		scheme, host := "http", r.Host
		if r.TLS != nil {
			scheme = "https"
		}
		if addr, err := netip.ParseAddr(address); err == nil && contains(g.config.TrustedProxies, addr) {
			address = g.original(r, address)
			if s := r.Header.Get("X-Forwarded-Proto"); s == "http" || s == "https" {
				scheme = s
			}
			if h := r.Header.Get("X-Forwarded-Host"); h != "" {
				host = h
			}
		}
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Traceparent", "Tracestate", "Baggage"} {
			r.Header.Del(name)
		}
		r.Header.Set(ClientAddressHeader, address)
		r.Header.Set("X-Forwarded-Proto", scheme)
		r.Header.Set("X-Forwarded-Host", host)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, address)))
	})
}

// original returns the address before the trusted proxies: the last in X-Forwarded-For that is not one of them.
func (g *Gateway) original(r *http.Request, peer string) string {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return peer
		}
		if !contains(g.config.TrustedProxies, addr) {
			return addr.String()
		}
		peer = addr.String()
	}
	return peer
}

// limit refuses more requests from one address than allowed.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := g.limits.take(clientAddress(r)); wait > 0 {
			g.metrics.limited.Inc()
			w.Header().Set("Retry-After", "1")
			writeRPCError(w, r, errs.ResourceExhausted(errs.ReasonRateLimited, "Too many requests from this address.").
				With("retry_after_ms", strconv.FormatInt(wait.Milliseconds(), 10)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limiter holds one token bucket an address, for a bounded number of addresses.
type limiter struct {
	rate    float64
	buckets *lru.LRU[string, *rate.Limiter]
}

const (
	limitedAddresses = 100_000
	limitMemory      = 10 * time.Minute
	burstSeconds     = 4
)

func newLimiter(perSecond float64) *limiter {
	return &limiter{rate: perSecond, buckets: lru.NewLRU[string, *rate.Limiter](limitedAddresses, nil, limitMemory)}
}

// take returns 0 where the request may pass, or how long until one may. A /64 counts as one address.
func (l *limiter) take(address string) time.Duration {
	if l.rate <= 0 {
		return 0
	}
	if addr, err := netip.ParseAddr(address); err == nil && addr.Is6() && !addr.Is4In6() {
		if prefix, err := addr.Prefix(64); err == nil {
			address = prefix.String()
		}
	}
	bucket, ok := l.buckets.Get(address)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(l.rate), int(l.rate*burstSeconds)+1)
		l.buckets.Add(address, bucket)
	}
	if bucket.Allow() {
		return 0
	}
	return time.Duration(float64(time.Second) / l.rate)
}

// writeRPCError answers in the protocol of the request: Connect, gRPC or gRPC-Web.
func writeRPCError(w http.ResponseWriter, r *http.Request, err error) {
	writer := connect.NewErrorWriter()
	if writer.IsSupported(r) {
		_ = writer.Write(w, r, errs.ToConnect(err))
		return
	}
	errs.WriteHTTP(w, r, err)
}
