// Package registry is the port by which a service finds its neighbours: a name ("auth", "chat") becomes a base URL and
// the client that reaches it.
//
// A caller cannot see whether the neighbour lives in the same process or in another one. What must never happen here: a
// name that resolves to something else than was registered or configured; an unknown name is an error, never a guess.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrNotFound is returned by Resolve for a name that nobody registered.
var ErrNotFound = errors.New("no such service")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("registry is closed")

// Endpoint is where a service answers.
type Endpoint struct {
	// BaseURL has no path and no trailing slash.
	BaseURL string
	// Client reaches it. It has no timeout: calls bring their own.
	Client *http.Client
}

// Registry resolves names. Every backend is safe for concurrent use.
type Registry interface {
	// Register announces that name answers at endpoint; registering a name again replaces its endpoint. The service must
	// be ready to answer before it is announced.
	Register(ctx context.Context, name string, endpoint Endpoint) error
	// Deregister takes the announcement back. An unknown name is no error.
	Deregister(ctx context.Context, name string) error
	// Resolve returns where name answers now. Callers ask for each client that they build and keep the answer: an
	// endpoint stays good for the life of the process. Errors: ErrNotFound, ErrClosed.
	Resolve(ctx context.Context, name string) (Endpoint, error)
	// Names lists what is registered, sorted.
	Names(ctx context.Context) ([]string, error)
	// Close releases the registry's connections. Clients that it handed out no longer work.
	Close() error
}

// Open opens the registry that rawURL names:
//
//	static:                                    only what this process registers
//	static:?chat=http://10.0.0.7:8080&auth=…   and these neighbours, reached over HTTP/2
//
// An unknown scheme or a malformed address is an error.
func Open(_ context.Context, rawURL string) (Registry, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	switch u.Scheme {
	case "static":
		r, err := openStatic(u)
		if err != nil {
			return nil, fmt.Errorf("open registry %q: %w", rawURL, err)
		}
		return r, nil
	default:
		return nil, fmt.Errorf("open registry: unknown scheme %q, want static", u.Scheme)
	}
}

// NameOf returns the registry name of a Connect service: "auth" for "stoa.auth.v1.AuthService".
func NameOf(service string) (string, error) {
	parts := strings.Split(service, ".")
	if len(parts) != 4 || parts[0] != "stoa" || parts[1] == "" {
		return "", fmt.Errorf("%q is no service of stoa.<service>.<version>.<Name>", service)
	}
	return parts[1], nil
}
