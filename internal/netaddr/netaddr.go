// Package netaddr looks at addresses of the network: who is behind one, and whether others can open one.
package netaddr

import (
	"cmp"
	"net/netip"
	"net/url"
	"strconv"
)

// Client is what one client has to itself, to be counted and limited by: an IPv4 address, or the /64 of an IPv6 address. A
// zone is of this machine, and leaves none.
func Client(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits) // only too many bits are an error
	return network
}

// ClientName is Client as people write it: "192.0.2.7", "2001:db8:1:2::/64".
func ClientName(address netip.Addr) string {
	network := Client(address)
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

// IsReachable reports whether others can open an address as it is: it names a host, not all of this one's, perhaps a port
// and a path, and nothing else goes with it.
func IsReachable(u *url.URL) bool {
	_, badPort := strconv.ParseUint(cmp.Or(u.Port(), "1"), 10, 16)
	address, noAddress := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "" && badPort == nil && (noAddress != nil || !address.IsUnspecified()) &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
