package xds

import (
	"math"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	locallimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stoa-live/stoa/gateway"
)

// routeTable is the routes of the Go gateway as Envoy has them.
func routeTable(cfg Config, routes []gateway.Route) (*routev3.RouteConfiguration, error) {
	elsewhere, err := anypb.New(&previoushostsv3.PreviousHostsPredicate{})
	if err != nil {
		return nil, err
	}
	host := &routev3.VirtualHost{
		Name: "clients", Domains: []string{"*"},
		// Services believe these headers: whatever a client writes into them goes, and Envoy's own word comes.
		RequestHeadersToRemove: []string{gateway.ClientAddressHeader},
		RequestHeadersToAdd: []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: gateway.ClientAddressHeader, Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}},
	}
	if cfg.Certificate != "" {
		_, port, err := hostPort(cfg.Address)
		if err != nil {
			return nil, err
		}
		host.ResponseHeadersToAdd = []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{
			Key: "alt-svc", Value: gateway.AltSvc(int(port)),
		}}}
	}
	for _, r := range routes {
		match := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: r.Path}}
		if strings.HasSuffix(r.Path, "/") {
			match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: r.Path}
		}
		action := &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: clusterOf(r)},
			Timeout:          durationpb.New(0), IdleTimeout: durationpb.New(0), // calls bring deadlines, streams have none
			MaxStreamDuration: &routev3.RouteAction_MaxStreamDuration{GrpcTimeoutHeaderMax: durationpb.New(0)},
			// Only what was certainly not sent.
			RetryPolicy: &routev3.RetryPolicy{
				RetryOn: "connect-failure,refused-stream", NumRetries: wrapperspb.UInt32(2),
				RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
					Name:       "envoy.retry_host_predicates.previous_hosts",
					ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: elsewhere},
				}},
				RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
					BaseInterval: durationpb.New(25 * time.Millisecond), MaxInterval: durationpb.New(250 * time.Millisecond),
				},
			},
		}
		action.UpgradeConfigs = []*routev3.RouteAction_UpgradeConfig{{UpgradeType: "websocket", Enabled: wrapperspb.Bool(upgrades(r.Kind))}}
		host.Routes = append(host.Routes, &routev3.Route{Name: r.Path, Match: match, Action: &routev3.Route_Route{Route: action}})
	}
	return &routev3.RouteConfiguration{Name: tableName, VirtualHosts: []*routev3.VirtualHost{host}}, nil
}

// rateLimit is one bucket for each address, and a huge one for all of them.
func rateLimit(cfg Config) *locallimitv3.LocalRateLimit {
	bucket := func(perSecond float64) *typev3.TokenBucket {
		return &typev3.TokenBucket{
			MaxTokens: uint32(max(1, math.Ceil(4*perSecond))), TokensPerFill: wrapperspb.UInt32(uint32(max(1, math.Ceil(perSecond)))),
			FillInterval: durationpb.New(time.Second),
		}
	}
	always := &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 100}}
	return &locallimitv3.LocalRateLimit{
		StatPrefix: "clients", TokenBucket: bucket(1_000_000), FilterEnabled: always, FilterEnforced: always,
		Status:                &typev3.HttpStatus{Code: typev3.StatusCode_TooManyRequests},
		MaxDynamicDescriptors: wrapperspb.UInt32(100_000),
		Descriptors: []*commonlimitv3.LocalRateLimitDescriptor{{
			Entries: []*commonlimitv3.RateLimitDescriptor_Entry{{Key: "remote_address"}}, TokenBucket: bucket(cfg.RateLimit),
		}},
		RateLimits: []*routev3.RateLimit{{Actions: []*routev3.RateLimit_Action{{
			ActionSpecifier: &routev3.RateLimit_Action_RemoteAddress_{RemoteAddress: &routev3.RateLimit_Action_RemoteAddress{}},
		}}}},
		RateLimitedAsResourceExhausted: true,
	}
}

// replies turns what Envoy refuses by itself into errors of Connect's unary protocol. gRPC gets its own from Envoy.
func replies() *hcmv3.LocalReplyConfig {
	reply := func(status uint32, code, message string) *hcmv3.ResponseMapper {
		body, _ := structpb.NewStruct(map[string]any{"code": code, "message": message}) // two texts
		return &hcmv3.ResponseMapper{
			Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
				StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: &accesslogv3.ComparisonFilter{
					Op: accesslogv3.ComparisonFilter_EQ, Value: &corev3.RuntimeUInt32{DefaultValue: status, RuntimeKey: "stoa.none"},
				}},
			}},
			BodyFormatOverride: &corev3.SubstitutionFormatString{Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: body}},
		}
	}
	return &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{
		reply(429, "resource_exhausted", "Too many requests came from this address. Try again in a moment."),
		reply(503, "unavailable", "The service cannot be reached right now. Try again soon."),
		reply(504, "deadline_exceeded", "The service did not answer in time."),
		reply(413, "resource_exhausted", "The request is too large."),
	}}
}
