package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddressHeader tells services who calls. The gateway sets it on every request and drops it from outside.
const ClientAddressHeader = "X-Stoa-Client-Address"

// What services are told about the address that the client used.
const (
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

type clientKey struct{}

// client is who sent a request.
type client struct {
	address   string
	forwarded bool // by somebody whom we do not trust, or so they say
}

// clientOf returns what identify found.
func clientOf(r *http.Request) client {
	c, _ := r.Context().Value(clientKey{}).(client)
	return c
}

func clientAddress(r *http.Request) string { return clientOf(r).address }

// identify replaces what the outside says about itself by what the gateway knows: services believe these headers.
func (g *Gateway) identify(r *http.Request) *http.Request {
	c := client{address: peerAddress(r)}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if addr, err := netip.ParseAddr(c.address); err == nil && contains(g.config.TrustedProxies, addr) {
		c.address = g.original(r, c.address)
		if s := last(r.Header.Values(forwardedProto)); s == "http" || s == "https" {
			scheme = s
		}
		if h := last(r.Header.Values(forwardedHost)); h != "" {
			host = h
		}
	} else if c.forwarded = forwards(r.Header); c.forwarded {
		g.warned.Do(func() {
			g.config.Logger.WarnContext(r.Context(), "forwarding headers of an untrusted peer are ignored: if it is your proxy, name it by --trusted-proxies",
				"peer", c.address)
		})
	}
	for name := range r.Header {
		if claim(name) {
			delete(r.Header, name)
		}
	}
	r.Header.Set(ClientAddressHeader, c.address)
	r.Header.Set(forwardedProto, scheme)
	r.Header.Set(forwardedHost, host)
	return r.WithContext(context.WithValue(r.Context(), clientKey{}, c))
}

// claim reports whether a header says what only we, or a proxy that we trust, may say.
func claim(name string) bool {
	switch name {
	case "Traceparent", "Tracestate", "Baggage":
		return true
	}
	return forwarding(name) || strings.HasPrefix(name, "X-Stoa-")
}

// forwarding reports whether a header is one that proxies write.
func forwarding(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-")
}

func forwards(header http.Header) bool {
	for name := range header {
		if forwarding(name) {
			return true
		}
	}
	return false
}

// peerAddress returns who is at the other end of the connection.
func peerAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return plain(addr)
	}
	return host
}

// plain spells an address in the one way in which it is compared and counted.
func plain(addr netip.Addr) string { return addr.Unmap().WithZone("").String() }

// last returns the entry that the peer wrote; those before it may be the client's.
func last(lists []string) string {
	if len(lists) == 0 {
		return ""
	}
	list := lists[len(lists)-1]
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

// original returns the address before the trusted proxies: the last in X-Forwarded-For that is not one of them.
func (g *Gateway) original(r *http.Request, peer string) string {
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return peer
		}
		peer = plain(addr)
		if !contains(g.config.TrustedProxies, addr) {
			return peer
		}
	}
	return peer
}

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
