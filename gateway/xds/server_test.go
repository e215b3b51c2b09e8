package xds_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/prometheus/client_golang/prometheus"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/stoa-live/stoa/gateway/xds"
)

// envoy speaks ADS as Envoys do.
type envoy struct {
	t      *testing.T
	node   *corev3.Node
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
}

func (f *front) envoy(id, cluster string) *envoy {
	f.t.Helper()
	conn, err := grpc.NewClient(f.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	f.t.Cleanup(cancel)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	return &envoy{t: f.t, node: &corev3.Node{Id: id, Cluster: cluster}, stream: stream}
}

// ask asks for a type, and returns its answer.
func (e *envoy) ask(kind string) (*discoveryv3.DiscoveryResponse, error) {
	e.t.Helper()
	if err := e.stream.Send(&discoveryv3.DiscoveryRequest{Node: e.node, TypeUrl: kind}); err != nil {
		return nil, err
	}
	return e.stream.Recv()
}

// say answers what it was told: it takes it, or refuses it and stays with an older version.
func (e *envoy) say(told *discoveryv3.DiscoveryResponse, version, refusal string) {
	e.t.Helper()
	r := &discoveryv3.DiscoveryRequest{Node: e.node, TypeUrl: told.GetTypeUrl(), VersionInfo: version, ResponseNonce: told.GetNonce()}
	if refusal != "" {
		r.ErrorDetail = &rpcstatus.Status{Message: refusal}
	}
	if err := e.stream.Send(r); err != nil {
		e.t.Fatal(err)
	}
}

// TestARefusedSnapshotIsWithdrawn: who comes next is told the last one that was taken, and so is who refused.
func TestARefusedSnapshotIsWithdrawn(t *testing.T) {
	t.Parallel()
	f := server(t, nil)
	if err := f.Set(t.Context(), xds.Instances{"chat": {{Address: "127.0.0.1:1"}}}); err != nil {
		t.Fatal(err)
	}
	first := f.envoy("envoy-1", xds.NodeCluster)
	kinds := []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}
	good := ""
	for _, kind := range kinds {
		told, err := first.ask(kind)
		if err != nil {
			t.Fatal(err)
		}
		good = told.GetVersionInfo()
		first.say(told, good, "")
	}
	if err := f.Set(t.Context(), xds.Instances{"chat": {{Address: "127.0.0.1:2"}}}); err != nil {
		t.Fatal(err)
	}
	told, err := first.stream.Recv()
	if err != nil || told.GetVersionInfo() == good {
		t.Fatalf("told %v, %v", told, err)
	}
	first.say(told, good, "this cannot be")
	for err == nil { // the other types of the same snapshot may be on their way
		_, err = first.stream.Recv()
	}
	if status.Code(err) != codes.Aborted {
		t.Errorf("the stream ended with %v", err)
	}
	f.eventually("the last good one is told", func() bool {
		told, err := f.envoy("envoy-2", xds.NodeCluster).ask(resource.EndpointType)
		return err == nil && told.GetVersionInfo() == good
	})
	if n := f.metric("stoa_xds_snapshots_withdrawn_total"); n != 1 || !strings.Contains(f.log.String(), "this cannot be") {
		t.Errorf("%v withdrawn, log is %s", n, f.log)
	}
	if err := f.Set(t.Context(), xds.Instances{"chat": {{Address: "127.0.0.1:3"}}}); err != nil {
		t.Fatal(err)
	}
	f.eventually("a new one is told", func() bool {
		told, err := f.envoy("envoy-3", xds.NodeCluster).ask(resource.EndpointType)
		return err == nil && told.GetVersionInfo() != good
	})
}

// TestStrangersAreTold nothing.
func TestStrangersAreTold(t *testing.T) {
	t.Parallel()
	f := server(t, nil)
	if err := f.Set(t.Context(), xds.Instances{}); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*envoy{f.envoy("", xds.NodeCluster), f.envoy("envoy-1", ""), f.envoy("envoy-1", strings.Repeat("x", 1<<16))} {
		if told, err := e.ask(resource.ListenerType); status.Code(err) != codes.PermissionDenied {
			t.Errorf("told %v, %v", told, err)
		}
	}
	if n := f.metric("stoa_xds_refused_total"); n != 3 || len(f.log.String()) > 4000 {
		t.Errorf("%v refused, %d bytes logged", n, len(f.log.String()))
	}
}

func TestBadInstancesChangeNothing(t *testing.T) {
	t.Parallel()
	f := server(t, nil)
	if err := f.Set(t.Context(), xds.Instances{"chat": {{Address: "127.0.0.1:1"}}}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "chat.internal:80"} {
		if err := f.Set(t.Context(), xds.Instances{"chat": {{Address: bad}}}); err == nil {
			t.Errorf("%q was told", bad)
		}
	}
	told, err := f.envoy("envoy-1", xds.NodeCluster).ask(resource.EndpointType)
	if err != nil || told.GetVersionInfo() != "1" {
		t.Errorf("told %v, %v", told, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]xds.Config{
		"missing port":      {Address: "127.0.0.1"},
		"want an IP":        {Address: "example.org:80"},
		"go together":       {Address: "127.0.0.1:80", Certificate: "x"},
		"rate limit is -1;": {Address: "127.0.0.1:80", RateLimit: -1},
	} {
		if _, err := xds.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
}
