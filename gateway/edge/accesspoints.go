package edge

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/netaddr"
)

// Path is where WebSockets are opened.
const Path = "/edge/v1"

// nodeLost is after which silence another edge is taken for gone.
const nodeLost = 30 * time.Second

// publicURL is where clients reach this edge's WebSocket as an operator says it, with the path where they left it out.
func publicURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "ws" && u.Scheme != "wss", !netaddr.IsReachable(u):
		return nil, errors.New("want an address that clients can open, such as wss://e1.example.org/edge/v1")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	return u, nil
}

// accessPoint is where clients reach this edge who called it at base: what the operator said counts before that.
func (e *Edge) accessPoint(base *url.URL) *edgev1.AccessPoint {
	if e.public != nil {
		base = e.public
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	p := &edgev1.AccessPoint{
		Node: e.cfg.Node, Zone: e.cfg.Zone, LoadPercent: int32(100 * len(e.sessions) / e.cfg.MaxSessions), //nolint:gosec // at most 100
		Draining: e.draining,
	}
	if base != nil {
		p.WebsocketUrl = base.String()
		p.TcpAddress, p.TlsAddress = portAt(base.Hostname(), e.cfg.TCP), portAt(base.Hostname(), e.cfg.TLS)
	}
	return p
}

// portAt is the address of an open port at a host, "" where it is closed, or open to programs on its own machine only.
func portAt(host string, open net.Addr) string {
	addr, ok := open.(*net.TCPAddr)
	if !ok || (addr.IP.IsLoopback() && !isLoopback(host)) {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}

// called is the address of this edge's WebSocket on the host that a client called; nil where that is not known.
func (e *Edge) called(ctx context.Context) *url.URL {
	scheme, host := "ws", ""
	if w := wireFrom(ctx); w != nil {
		host = w.host
		if w.secure {
			scheme = "wss"
		}
	}
	if info, ok := connect.CallInfoForHandlerContext(ctx); ok && e.deps.ClientAddressHeader != "" { // a gateway is in front
		h := info.RequestHeader()
		if h.Get("X-Forwarded-Host") != "" {
			host = h.Get("X-Forwarded-Host")
			scheme = map[bool]string{true: "wss", false: "ws"}[h.Get("X-Forwarded-Proto") == "https"]
		}
	}
	u, err := url.Parse(scheme + "://" + host + Path)
	if err != nil || u.Host != host || !netaddr.IsReachable(u) {
		return nil
	}
	return u
}

// nodes is the edges that were heard of.
type nodes struct {
	mu    sync.Mutex
	known map[string]heardNode
}

type heardNode struct {
	point *edgev1.AccessPoint
	at    time.Time
}

func newNodes() *nodes { return &nodes{known: make(map[string]heardNode)} }

// onNodeReport handles edge.node_report.
func (e *Edge) onNodeReport(_ context.Context, _ string, r *edgev1.NodeReport) error {
	e.nodes.mu.Lock()
	defer e.nodes.mu.Unlock()
	if r.GetGone() {
		delete(e.nodes.known, r.GetNode())
	} else if r.GetAccessPoint() != nil {
		e.nodes.known[r.GetNode()] = heardNode{r.GetAccessPoint(), e.deps.Now()}
	}
	return nil
}

// accessPoints ranks the edges that take connections and can be reached: the caller's zone first, then by load. base is the
// address that the caller used.
func (e *Edge) accessPoints(zone string, base *url.URL) []*edgev1.AccessPoint {
	now := e.deps.Now()
	e.nodes.mu.Lock()
	points := []*edgev1.AccessPoint{e.accessPoint(base)}
	for name, n := range e.nodes.known {
		if now.Sub(n.at) > nodeLost {
			delete(e.nodes.known, name)
		} else if name != e.cfg.Node {
			points = append(points, n.point)
		}
	}
	e.nodes.mu.Unlock()
	points = slices.DeleteFunc(points, func(p *edgev1.AccessPoint) bool { return p.GetDraining() || p.GetWebsocketUrl() == "" })
	far := func(p *edgev1.AccessPoint) int {
		if zone != "" && p.GetZone() == zone {
			return 0
		}
		return 1
	}
	slices.SortFunc(points, func(a, b *edgev1.AccessPoint) int {
		return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(a.GetLoadPercent(), b.GetLoadPercent()),
			cmp.Compare(a.GetNode(), b.GetNode()))
	})
	return points
}

// ListAccessPoints implements EdgeService.
func (h *edgeHandler) ListAccessPoints(
	ctx context.Context, r *edgev1.ListAccessPointsRequest,
) (*edgev1.ListAccessPointsResponse, error) {
	return &edgev1.ListAccessPointsResponse{AccessPoints: h.edge.accessPoints(r.GetZone(), h.edge.called(ctx))}, nil
}
