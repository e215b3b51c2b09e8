package xds

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const tableName = "stoa"

// listeners is the port for clients: TCP, and with a certificate QUIC as well.
func listeners(cfg Config) ([]types.Resource, error) {
	host, port, err := hostPort(cfg.Address)
	if err != nil {
		return nil, err
	}
	tcp, err := manager(cfg, hcmv3.HttpConnectionManager_AUTO)
	if err != nil {
		return nil, err
	}
	chain := &listenerv3.FilterChain{Filters: []*listenerv3.Filter{tcp}}
	out := &listenerv3.Listener{
		Name: "clients", Address: address(host, port, corev3.SocketAddress_TCP), FilterChains: []*listenerv3.FilterChain{chain},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(1 << 20),
	}
	if cfg.Certificate == "" {
		return []types.Resource{out}, nil
	}
	common := &tlsv3.CommonTlsContext{
		AlpnProtocols:   []string{"h2", "http/1.1"},
		TlsParams:       &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		TlsCertificates: []*tlsv3.TlsCertificate{{CertificateChain: inline(cfg.Certificate), PrivateKey: inline(cfg.Key)}},
	}
	if chain.TransportSocket, err = socket("envoy.transport_sockets.tls", &tlsv3.DownstreamTlsContext{CommonTlsContext: common}); err != nil {
		return nil, err
	}
	quic, err := manager(cfg, hcmv3.HttpConnectionManager_HTTP3)
	if err != nil {
		return nil, err
	}
	over, err := socket("envoy.transport_sockets.quic", &quicv3.QuicDownstreamTransport{
		DownstreamTlsContext: &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificates: common.GetTlsCertificates()}},
	})
	if err != nil {
		return nil, err
	}
	return []types.Resource{out, &listenerv3.Listener{
		Name: "clients.quic", Address: address(host, port, corev3.SocketAddress_UDP),
		FilterChains:      []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{quic}, TransportSocket: over}},
		UdpListenerConfig: &listenerv3.UdpListenerConfig{QuicOptions: &listenerv3.QuicProtocolOptions{}},
	}}, nil
}

func inline(text string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
}

func socket(name string, m proto.Message) (*corev3.TransportSocket, error) {
	packed, err := anypb.New(m)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}, nil
}

// manager is how HTTP of clients is taken. Streams are never cut for being idle: they have heartbeats, and say themselves
// when nobody is there.
func manager(cfg Config, codec hcmv3.HttpConnectionManager_CodecType) (*listenerv3.Filter, error) {
	var filters []*hcmv3.HttpFilter
	add := func(name string, m proto.Message) error {
		packed, err := anypb.New(m)
		filters = append(filters, &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}})
		return err
	}
	if cfg.RateLimit > 0 {
		if err := add("envoy.filters.http.local_ratelimit", rateLimit(cfg)); err != nil {
			return nil, err
		}
	}
	brotli, err := anypb.New(&brotliv3.Brotli{Quality: wrapperspb.UInt32(4)})
	if err != nil {
		return nil, err
	}
	if err := add("envoy.filters.http.compressor", &compressorv3.Compressor{
		CompressorLibrary: &corev3.TypedExtensionConfig{Name: "brotli", TypedConfig: brotli},
		ResponseDirectionConfig: &compressorv3.Compressor_ResponseDirectionConfig{CommonConfig: &compressorv3.Compressor_CommonDirectionConfig{
			MinContentLength: wrapperspb.UInt32(1 << 10), ContentType: compressed(),
		}},
	}); err != nil {
		return nil, err
	}
	if err := add("envoy.filters.http.router", &routerv3.Router{}); err != nil {
		return nil, err
	}
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: "clients", CodecType: codec, HttpFilters: filters,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			RouteConfigName: tableName,
			ConfigSource: &corev3.ConfigSource{
				ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}, ResourceApiVersion: corev3.ApiVersion_V3,
			},
		}},
		UseRemoteAddress: wrapperspb.Bool(true), ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		NormalizePath: wrapperspb.Bool(true), MergeSlashes: false, PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_REJECT_REQUEST,
		StreamIdleTimeout: durationpb.New(0), RequestHeadersTimeout: durationpb.New(10 * time.Second),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  durationpb.New(2 * time.Minute),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams: wrapperspb.UInt32(250),
			ConnectionKeepalive:  &corev3.KeepaliveSettings{Interval: durationpb.New(30 * time.Second), Timeout: durationpb.New(15 * time.Second)},
		},
		MaxRequestHeadersKb: wrapperspb.UInt32(64),
		UpgradeConfigs:      []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		LocalReplyConfig:    replies(),
	}
	if codec == hcmv3.HttpConnectionManager_HTTP3 {
		hcm.Http3ProtocolOptions = &corev3.Http3ProtocolOptions{}
	}
	packed, err := anypb.New(hcm)
	if err != nil {
		return nil, err
	}
	return &listenerv3.Filter{
		Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed},
	}, nil
}

// compressed are the kinds of content that compression makes smaller and whose length does not tell a secret: streams bring
// their own.
func compressed() []string {
	return []string{"application/json", "application/proto", "text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml"}
}
