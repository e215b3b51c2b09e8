package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gateway/edge"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/presence/v1/presencev1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/admin"
	"github.com/stoa-live/stoa/services/auth"
	"github.com/stoa-live/stoa/services/chat"
	"github.com/stoa-live/stoa/services/live"
	"github.com/stoa-live/stoa/services/presence"
)

// PublicServices may be called from outside. Everything else is for neighbours only.
func PublicServices() []string {
	return []string{
		authv1connect.AuthServiceName, livev1connect.LiveServiceName, chatv1connect.ChatServiceName, chatv1connect.GroupServiceName, adminv1connect.AdminServiceName,
		sitev1connect.SiteServiceName, edgev1connect.EdgeServiceName, presencev1connect.PresenceServiceName,
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
	}
}

// house is an App while it is built: the services that live in this process.
type house struct {
	*App

	cfg      config.Serve
	registry registry.Registry
	deps     service.Deps
	stack    rpc.Deps
	services map[string]service.Service
	found    []string // names in the registry of what is here
}

// open makes the services of this process.
func (h *house) open(ctx context.Context) error {
	openers := map[string]func(service.Deps) (service.Service, error){
		"auth": func(d service.Deps) (_ service.Service, err error) {
			// The gateway in front of everything sets the client's address on each request, so it may be believed.
			h.auth, err = auth.New(ctx, auth.Config{AccessLifetime: AccessLifetime, TrustClientAddress: true}, d)
			return h.auth, err
		},
		"chat": func(d service.Deps) (service.Service, error) {
			return chat.New(ctx, chat.Config{UserRate: h.cfg.ChatUserRate, RoomRate: h.cfg.ChatRoomRate}, d)
		},
		"presence": func(d service.Deps) (service.Service, error) { return presence.New(ctx, presence.Config{}, d) },
		"live": func(d service.Deps) (service.Service, error) {
			cfg, err := liveConfig(h.cfg)
			if err != nil {
				return nil, err
			}
			h.live, err = live.New(ctx, cfg, d)
			return h.live, err
		},
		"admin": func(d service.Deps) (_ service.Service, err error) {
			h.admin, err = admin.New(ctx, admin.Config{Version: h.cfg.Version}, d)
			return h.admin, err
		},
		"edge": func(d service.Deps) (_ service.Service, err error) {
			h.edge, err = edge.New(h.edgeConfig(h.cfg), h.edgeDeps(d, h.stack))
			return h.edge, err
		},
	}
	for _, name := range h.names() {
		if name != "auth" { // which comes first, and the keys with it
			if err := h.findKeys(ctx); err != nil {
				return err
			}
		}
		d := h.deps
		var err error
		if d.Client, err = rpc.ClientOptions(h.stack, name); err != nil {
			return err
		}
		s, err := openers[name](d)
		if err != nil { // it says itself what it could not do
			return err
		}
		h.onClose(name, s.Close)
		h.services[name] = s
	}
	return h.findKeys(ctx)
}

// names lists the services of this process in the order in which they start: auth first, for the others look people up.
func (h *house) names() []string {
	return slices.DeleteFunc(slices.Clone(config.Services()), func(name string) bool { return !h.cfg.Runs(name) })
}

// findKeys finds the keys by which access tokens are checked, where that is not known yet.
func (h *house) findKeys(ctx context.Context) error {
	if h.stack.Verifier != nil {
		return nil
	}
	if h.auth != nil {
		h.stack.Verifier = authn.NewVerifier(h.auth.KeySource(), time.Now)
		return nil
	}
	endpoint, err := h.registry.Resolve(ctx, "auth")
	if err != nil {
		return fmt.Errorf("find the keys of access tokens: %w", err)
	}
	keys := authn.NewRemoteKeys(endpoint.Client, endpoint.BaseURL+gateway.KeysPath, time.Now)
	h.stack.Verifier = authn.NewVerifier(keys, time.Now)
	return nil
}

// mount puts all handlers of this process, internal ones included, on one mux, and holds the authorization table to
// what is really served.
func (h *house) mount() (*http.ServeMux, error) {
	stack := h.stack
	stack.MaxBytes = int(max(h.cfg.MaxBody, rpc.DefaultMaxBytes))
	options, err := rpc.HandlerOptions(stack)
	if err != nil {
		return nil, err
	}
	options = connect.WithHandlerOptions(options, strictJSON())
	mux := http.NewServeMux()
	var names []string
	var descriptors []protoreflect.ServiceDescriptor
	for _, s := range h.services {
		s.Mount(rpc.Handle(mux), options)
		names = append(names, s.Names()...)
	}
	for _, name := range names {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("find descriptor of %s: %w", name, err)
		}
		descriptors = append(descriptors, d.(protoreflect.ServiceDescriptor))
	}
	if err := authn.Table().Check(descriptors...); err != nil {
		return nil, fmt.Errorf("authorization table: %w", err)
	}
	if h.auth != nil {
		mux.Handle("GET "+gateway.KeysPath, h.auth.JWKS())
	}
	if h.edge != nil {
		mux.Handle("GET "+gateway.EdgePath, h.edge)
	}
	// What clients may not call they are not told of, either.
	open := slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(PublicServices(), name) })
	checker := rpc.Mount(mux, h.log, open...)
	h.health = func(serving bool) { setHealth(checker, open, serving) }
	h.health(false) // until all have started
	return mux, nil
}

// register makes every protobuf service of this process found under its name, "live" for stoa.live.v1, until calls were
// drained.
func (h *house) register(ctx context.Context, endpoint registry.Endpoint) error {
	for _, s := range h.services {
		for _, full := range s.Names() {
			name, err := registry.NameOf(full)
			if err != nil {
				return fmt.Errorf("register %s: %w", full, err)
			}
			if slices.Contains(h.found, name) {
				continue
			}
			h.found = append(h.found, name)
			if err := h.registry.Register(ctx, name, endpoint); err != nil {
				return err
			}
			h.onClose("registration of "+name, func(ctx context.Context) error { return h.registry.Deregister(ctx, name) })
		}
	}
	return nil
}

// start starts the services.
func (h *house) start(ctx context.Context) error {
	for _, name := range h.names() {
		if err := h.services[name].Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	return nil
}

func (h *house) openGateway(local *http.ServeMux, web fs.FS) error {
	proxies, err1 := config.Networks(h.cfg.TrustedProxies)
	allow, err2 := config.Networks(h.cfg.MetricsAllow)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	front := gateway.Config{
		Services: PublicServices(), Local: local, IsLocal: func(name string) bool { return slices.Contains(h.found, name) }, Registry: h.registry,
		Web: web, Metrics: h.deps.Metrics, Logger: h.log.With("service", "gateway"), CORSOrigins: h.cfg.CORSOrigins, TrustedProxies: proxies,
		MetricsAllow: allow, RateLimit: h.cfg.RateLimit, MaxBody: h.cfg.MaxBody, PlaybackOrigin: h.cfg.PlaybackOrigin(),
	}
	if h.live != nil {
		front.Playback = local
	}
	if h.auth != nil {
		front.JWKS = h.auth.JWKS()
	}
	if h.edge != nil {
		front.Edge = h.edge
	}
	var err error
	h.gateway, err = gateway.New(front)
	return err
}
