package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stoa-live/stoa/gateway"
)

// cluster is the instances of one service, as Envoy calls them: the least loaded of two, without those that fail.
func cluster(name string, kind gateway.Kind) (*clusterv3.Cluster, error) {
	protocol := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			ConnectionKeepalive: &corev3.KeepaliveSettings{
				Interval: durationpb.New(10 * time.Second), Timeout: durationpb.New(5 * time.Second),
			},
		}},
	}
	if upgrades(kind) {
		protocol.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	}
	options, err := anypb.New(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: protocol},
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout: durationpb.New(time.Hour), // of a connection without streams
		},
	})
	if err != nil {
		return nil, err
	}
	out := &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}, ResourceApiVersion: corev3.ApiVersion_V3,
		}},
		ConnectTimeout:                durationpb.New(connectTimeout),
		LbPolicy:                      clusterv3.Cluster_LEAST_REQUEST,
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
		IgnoreHealthOnHostRemoval:     true, // who deregisters drains, and takes nothing new
		OutlierDetection: &clusterv3.OutlierDetection{
			ConsecutiveGatewayFailure: wrapperspb.UInt32(5), EnforcingConsecutiveGatewayFailure: wrapperspb.UInt32(100),
			Consecutive_5Xx: wrapperspb.UInt32(100), // what a service answers is no sign that it is ill
			Interval:        durationpb.New(time.Second), BaseEjectionTime: durationpb.New(5 * time.Second), MaxEjectionPercent: wrapperspb.UInt32(50),
		},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: wrapperspb.UInt32(100_000), MaxPendingRequests: wrapperspb.UInt32(10_000), MaxRequests: wrapperspb.UInt32(100_000),
			RetryBudget: &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
				BudgetPercent: &typev3.Percent{Value: 20}, MinRetryConcurrency: wrapperspb.UInt32(3),
			},
		}}},
	}
	if !upgrades(kind) { // the same processes, of which another cluster knows
		out.HealthChecks = []*corev3.HealthCheck{{
			Timeout: durationpb.New(2 * time.Second), Interval: durationpb.New(healthEvery), NoTrafficInterval: durationpb.New(healthEvery),
			UnhealthyThreshold: wrapperspb.UInt32(2), HealthyThreshold: wrapperspb.UInt32(1),
			HealthChecker: &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{}},
		}}
	}
	return out, nil
}

// assignment is where the instances of a cluster are, by zone.
func assignment(name string, list []Instance) (*endpointv3.ClusterLoadAssignment, error) {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for _, in := range sorted(list) {
		host, port, err := hostPort(in.Address)
		if err != nil {
			return nil, err
		}
		last := len(out.GetEndpoints()) - 1
		if last < 0 || out.GetEndpoints()[last].GetLocality().GetZone() != in.Zone {
			out.Endpoints = append(out.Endpoints, &endpointv3.LocalityLbEndpoints{
				Locality: &corev3.Locality{Zone: in.Zone}, LoadBalancingWeight: wrapperspb.UInt32(0),
			})
			last++
		}
		weight := max(1, in.Weight)
		zone := out.GetEndpoints()[last]
		zone.LoadBalancingWeight = wrapperspb.UInt32(zone.GetLoadBalancingWeight().GetValue() + weight)
		zone.LbEndpoints = append(zone.LbEndpoints, &endpointv3.LbEndpoint{
			LoadBalancingWeight: wrapperspb.UInt32(weight),
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: address(host, port, corev3.SocketAddress_TCP),
			}},
		})
	}
	return out, nil
}

func address(host string, port uint32, protocol corev3.SocketAddress_Protocol) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Protocol: protocol, Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
