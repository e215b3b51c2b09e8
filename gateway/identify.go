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

// clientAddress returns the address that identify found.
func clientAddress(r *http.Request) string {
	address, _ := r.Context().Value(clientKey{}).(string)
	return address
}

// identify replaces what the outside says about itself by what the gateway knows: services believe these headers.
func (g *Gateway) identify(r *http.Request) *http.Request {
	address := peerAddress(r)
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if addr, err := netip.ParseAddr(address); err == nil && contains(g.config.TrustedProxies, addr) {
		address = g.original(r, address)
		if s := first(r.Header.Get(forwardedProto)); s == "http" || s == "https" {
			scheme = s
		}
		if h := first(r.Header.Get(forwardedHost)); h != "" {
			host = h
		}
	}
	for name := range r.Header {
		if claim(name) {
			delete(r.Header, name)
		}
	}
	r.Header.Set(ClientAddressHeader, address)
	r.Header.Set(forwardedProto, scheme)
	r.Header.Set(forwardedHost, host)
	return r.WithContext(context.WithValue(r.Context(), clientKey{}, address))
}

// claim reports whether a header says what only we, or a proxy that we trust, may say.
func claim(name string) bool {
	switch name {
	case "Forwarded", "X-Real-Ip", "Traceparent", "Tracestate", "Baggage":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Stoa-")
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

// first returns the entry that the outermost proxy wrote.
func first(list string) string {
	entry, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(entry)
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
