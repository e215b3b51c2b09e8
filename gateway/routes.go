package gateway

import (
	"fmt"

	"github.com/stoa-live/stoa/internal/registry"
)

// Kind is what a route carries, and so how a front treats it.
type Kind int

// Kinds of routes.
const (
	RPC      Kind = iota // unary calls and streams of one protobuf service
	Playback             // long answers of media and pictures
	Socket               // long connections over WebSocket
	Keys                 // the keys of access tokens
	Web                  // the web apps
)

// Route is where requests go by their path. The Go gateway and Envoy are given the same ones.
type Route struct {
	Path    string // a prefix where it ends with a slash, else the whole path
	Service string // as the registry names it; "" where every process has it
	Kind    Kind
}

// Where things are, besides services and the web app.
const (
	EdgePath    = "/edge/v1"               // long connections over WebSocket
	KeysPath    = "/.well-known/jwks.json" // keys of access tokens (RFC 7517)
	livePath    = "/live/"
	avatarsPath = "/auth/avatars/"
	livePage    = "/live" // of the app; a mux would send it on to the folder of playback
	healthPath  = "/healthz"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
)

// AltSvc is the header by which a front tells clients that HTTP/3 is on a port (RFC 7838).
func AltSvc(port int) string { return fmt.Sprintf(`h3=":%d"; ma=86400`, port) }

// Routes returns the routes of a front that serves these protobuf services to clients, the longest paths first. Operators'
// paths are not among them: they are about one process.
func Routes(services []string) []Route {
	routes := make([]Route, 0, len(services)+6)
	for _, s := range services {
		name, err := registry.NameOf(s)
		if err != nil { // health and reflection are about any process
			name = ""
		}
		routes = append(routes, Route{"/" + s + "/", name, RPC})
	}
	return append(routes,
		Route{KeysPath, "auth", Keys}, Route{avatarsPath, "auth", Playback}, Route{EdgePath, "edge", Socket},
		Route{livePath, "live", Playback}, Route{livePage, "", Web}, Route{"/", "", Web})
}
