// Package service is the shape that every capability has towards the house: what it needs, and how it is mounted and
// closed. It holds no behaviour. One that learns a service's folder has learnt them all:
//
//	<name>.go            the domain: types, rules, in the field's own words
//	service.go           use cases, with authorization, transactions and events
//	rpc.go               the Connect handlers: proto to domain and back, nothing else
//	store.go             its database; schema/ and migrations/ beside it
package service

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
)

// Deps is what the house gives to each service.
type Deps struct {
	Logger   *slog.Logger
	Metrics  *telemetry.Metrics
	Bus      bus.Bus
	Registry registry.Registry
	// Client is the option for clients of neighbours, as rpc.ClientOptions made it for this service.
	Client connect.ClientOption
	// StoreURL is where store.Open finds the service's own database.
	StoreURL string
	// DataDir is a folder of this node for files that are not in the database.
	DataDir string
	// Now is the clock.
	Now func() time.Time
}

// Service is one capability, running.
type Service interface {
	// Mount registers the service's handlers.
	Mount(handle func(path string, handler http.Handler), options connect.HandlerOption)
	// Names lists its protobuf services, for health and reflection.
	Names() []string
	// Start begins what needs its neighbours to be reachable. It is called once all services are mounted.
	Start(ctx context.Context) error
	// Close ends what the service does by itself and closes its database; handlers have returned by then.
	Close(ctx context.Context) error
}
