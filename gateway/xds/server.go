package xds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// NodeCluster is what Envoys of a front call their cluster in their bootstrap (--service-cluster). Others are refused.
const NodeCluster = "stoa-front"

// everybody is the key of the one snapshot that all Envoys share.
const everybody = "front"

// Server tells Envoys what to do.
type Server struct {
	cfg     Config
	logger  *slog.Logger
	cache   cache.SnapshotCache
	grpc    *grpc.Server
	metrics *metrics

	mu      sync.Mutex
	version int64
	latest  Instances
	told    *tale
	good    *tale   // the newest that an Envoy took whole
	recent  []*tale // the newest of all, for answers that come late
	streams map[int64]bool
}

// tale is a snapshot, and which types of resources an Envoy took of it.
type tale struct {
	*cache.Snapshot

	version int64
	taken   map[string]bool
}

// maxRecent is how many snapshots an answer may be late.
const maxRecent = 16

// New makes a server. It tells nothing before Set.
func New(cfg Config, logger *slog.Logger, registry prometheus.Registerer) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	m, err := newMetrics(registry)
	if err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	s := &Server{
		cfg: cfg, logger: logger.With(slog.String("service", "xds")), cache: cache.NewSnapshotCache(true, oneHash{}, nil),
		metrics: m, streams: make(map[int64]bool),
	}
	s.grpc = grpc.NewServer(
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 15 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.MaxConcurrentStreams(100),
	)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, serverv3.NewServer(context.Background(), s.cache, &serverv3.CallbackFuncs{
		StreamRequestFunc: s.asked,
		StreamClosedFunc:  func(stream int64, _ *corev3.Node) { s.left(stream) },
		DeltaStreamOpenFunc: func(context.Context, int64, string) error {
			return status.Error(codes.Unimplemented, "want the state of the world: api_type GRPC, not DELTA_GRPC")
		},
	}))
	return s, nil
}

// oneHash gives all Envoys one snapshot.
type oneHash struct{}

// ID implements cache.NodeHash.
func (oneHash) ID(*corev3.Node) string { return everybody }

// Serve answers Envoys on l until Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Close ends all streams. Envoys go on with what they know.
func (s *Server) Close() { s.grpc.Stop() }

// Set tells where the instances are now.
func (s *Server) Set(ctx context.Context, in Instances) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && reflect.DeepEqual(s.latest, in) {
		return nil
	}
	next, err := snapshot(s.cfg, s.version+1, in)
	if err != nil {
		return fmt.Errorf("xds: %w", err) // the last one stays
	}
	s.version++
	s.latest, s.told = in, &tale{next, s.version, make(map[string]bool)}
	s.recent = append(s.recent, s.told)
	s.recent = s.recent[max(0, len(s.recent)-maxRecent):]
	s.metrics.snapshots.Inc()
	return s.cache.SetSnapshot(ctx, everybody, next)
}

// asked hears what an Envoy says of what it was told.
func (s *Server) asked(stream int64, r *discoveryv3.DiscoveryRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if node := r.GetNode(); node != nil && (node.GetId() == "" || node.GetCluster() != NodeCluster) {
		s.metrics.refused.Inc()
		s.logger.Warn("an Envoy was refused", "node", short(node.GetId()), "cluster", short(node.GetCluster()))
		return status.Errorf(codes.PermissionDenied, "want a node with an id, of the cluster %q", NodeCluster)
	}
	if !s.streams[stream] {
		s.streams[stream] = true
		s.metrics.envoys.Set(float64(len(s.streams)))
	}
	if s.told == nil || r.GetResponseNonce() == "" { // the first request of a type
		return nil
	}
	if r.GetErrorDetail() == nil {
		s.took(r)
		return nil
	}
	// A stream whose Envoy refused is ended: told the same again at once, it would refuse for ever. It comes back by itself.
	refusal := status.Error(codes.Aborted, "what was refused is withdrawn, come back")
	if s.told == s.good { // an answer to what was taken back
		return refusal
	}
	s.metrics.withdrawn.Inc()
	s.logger.Error("an Envoy refused a snapshot, which is withdrawn", "type", r.GetTypeUrl(), "cause", r.GetErrorDetail().GetMessage())
	if s.good == nil { // nothing else is known
		return refusal
	}
	s.told = s.good
	good := s.good.Snapshot
	go func() { // not while this stream waits for us
		if err := s.cache.SetSnapshot(context.Background(), everybody, good); err != nil {
			s.logger.Error("the last good snapshot is not told", "cause", err.Error())
		}
	}()
	return refusal
}

// took notes what an Envoy took. The lock is held.
func (s *Server) took(r *discoveryv3.DiscoveryRequest) {
	for _, t := range s.recent {
		if t.GetVersion(r.GetTypeUrl()) != r.GetVersionInfo() {
			continue
		}
		t.taken[r.GetTypeUrl()] = true
		if len(t.taken) == len(kinds()) && (s.good == nil || s.good.version < t.version) {
			s.good = t
		}
	}
}

// kinds are the types of resources that every Envoy asks for.
func kinds() []string {
	return []string{resource.ListenerType, resource.RouteType, resource.ClusterType, resource.EndpointType}
}

func (s *Server) left(stream int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream)
	s.metrics.envoys.Set(float64(len(s.streams)))
}

// short bounds what a stranger says before it is logged.
func short(text string) string { return text[:min(len(text), 64)] }
