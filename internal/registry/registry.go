// Package registry is the port by which a service finds its neighbours: a name ("auth", "chat") becomes a base URL and
// the client that reaches it.
//
// A caller cannot see whether the neighbour lives in the same process or in others, nor in how many: the client spreads
// calls over them (package balance). What must never happen here: a name that resolves to something else than was
// registered or configured; an unknown name is an error, never a guess; a token in a log or an error.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/balance"
)

// ErrNotFound is returned by Resolve for a name that nobody registered.
var ErrNotFound = errors.New("no such service")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("registry is closed")

// ErrTaken is returned by Register where another process has this one's node id.
var ErrTaken = errors.New("node id is taken")

// ErrNoInstance is why a call to a name fails for which nobody answers now.
var ErrNoInstance = balance.ErrNoInstance

// Instance is one process that answers for a name.
type Instance = balance.Instance

// Endpoint is where a service answers.
type Endpoint struct {
	// BaseURL has no path and no trailing slash.
	BaseURL string
	// Client reaches it. It has no timeout: calls bring their own.
	Client *http.Client
}

// Registry resolves names. Every backend is safe for concurrent use.
type Registry interface {
	// Register announces that name answers at endpoint; registering a name again replaces its endpoint. This process
	// calls the endpoint whatever others announced; they are told the node's address. The service must be ready to answer
	// before it is announced. Errors: ErrTaken, ErrClosed.
	Register(ctx context.Context, name string, endpoint Endpoint) error
	// Deregister takes the announcement back. An unknown name is no error.
	Deregister(ctx context.Context, name string) error
	// Resolve returns where name answers. Callers ask for each client that they build, after what lives in their own
	// process was registered, and keep the answer: an endpoint stays good for the life of the process, whatever instances
	// come and go. Where nobody answers for the name at the time of a call, that fails as connect.CodeUnavailable.
	//
	// Errors: ErrNotFound for a name that can have no instance, which only a backend knows that knows all of them;
	// ErrClosed.
	Resolve(ctx context.Context, name string) (Endpoint, error)
	// Instances lists which processes take calls for name now, as far as this one knows, without itself.
	Instances(ctx context.Context, name string) ([]Instance, error)
	// Names lists what is registered, sorted.
	Names(ctx context.Context) ([]string, error)
	// Close takes back what was announced, the last first, and releases the registry's connections. Clients that it handed
	// out no longer work, but calls that run may end.
	Close() error
}

// Node is this process, as others are told of it.
type Node struct {
	// ID is unique among the processes of a mesh.
	ID string
	// Zone is where it is, as operators name it.
	Zone string
	// Version of the binary.
	Version string
	// Address is where others reach this process's services: an http or https URL without a path. It is needed to
	// announce any to others.
	Address string
}

// Option changes how a registry is opened.
type Option func(*settings)

type settings struct {
	node    Node
	log     *slog.Logger
	metrics prometheus.Registerer
	consul  *http.Client // for tests
}

// WithNode says who this process is.
func WithNode(n Node) Option { return func(s *settings) { s.node = n } }

// WithLogger logs when the registry cannot be reached, what it lists in vain, and which instances fail.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithMetrics counts instances and calls.
func WithMetrics(r prometheus.Registerer) Option { return func(s *settings) { s.metrics = r } }

// Open opens the registry that rawURL names:
//
//	static:                                    only what this process registers
//	static:?chat=http://10.0.0.7:8080&auth=…   and these neighbours, reached over HTTP/2; addresses of one name are
//	                                           separated by commas, and share its calls
//	consul://127.0.0.1:8500                    what Consul lists; the host is an agent. Options: token or tokenFile,
//	                                           datacenter to look in (the agent's), tls (true or false), prefix of Consul's names for services
//	                                           ("stoa-"), weight of this process from 1 to 100 (1)
//
// An unknown scheme, an unknown option, a malformed address and an agent that does not answer are errors, which never show
// the token.
func Open(ctx context.Context, rawURL string, options ...Option) (Registry, error) {
	s := settings{log: slog.New(slog.DiscardHandler), metrics: prometheus.NewRegistry()}
	for _, option := range options {
		option(&s)
	}
	scheme, _, _ := strings.Cut(rawURL, ":")
	if scheme != "static" && scheme != "consul" {
		return nil, fmt.Errorf("open registry: unknown scheme %q, want static or consul", scheme)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL
		}
		return nil, fmt.Errorf("open registry %s: %w", scheme, err)
	}
	if s.node.Address != "" {
		if s.node.Address, err = baseURL(s.node.Address); err != nil {
			return nil, fmt.Errorf("open registry %s: address of this process: %w", scheme, err)
		}
	}
	var r Registry
	if scheme == "static" {
		r, err = openStatic(u, s)
	} else {
		r, err = openConsul(ctx, u, s)
	}
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", scheme, err)
	}
	return r, nil
}

// NameOf returns the registry name of a Connect service: "auth" for "stoa.auth.v1.AuthService".
func NameOf(service string) (string, error) {
	parts := strings.Split(service, ".")
	if len(parts) != 4 || parts[0] != "stoa" || parts[1] == "" {
		return "", fmt.Errorf("%q is no service of stoa.<service>.<version>.<Name>", service)
	}
	return parts[1], nil
}
