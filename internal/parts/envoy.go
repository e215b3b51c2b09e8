package parts

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const envoyVersion = "1.40.0"

// Envoy starts an Envoy that asks for its configuration at an address, under the name of a node and of its cluster. Its URL is
// that of its admin port.
func Envoy(ctx context.Context, folder, xds, node, cluster string) (*Running, error) {
	return begin(ctx, part{name: "envoy", ready: func(ctx context.Context, url string) error {
		return answers(ctx, url+"/ready", "LIVE")
	}, start: func(folder string) (*exec.Cmd, string, error) {
		program, err := envoyProgram()
		if err != nil {
			return nil, "", err
		}
		admin, err := FreePort()
		if err != nil {
			return nil, "", err
		}
		bootstrap, err := envoyBootstrap(admin, xds, node, cluster)
		if err != nil {
			return nil, "", err
		}
		config := filepath.Join(folder, "bootstrap.json")
		if err := os.WriteFile(config, bootstrap, 0o600); err != nil {
			return nil, "", err
		}
		// Test runs are several on one machine: without a base id they would share memory.
		run := exec.Command(program, "-c", config, "--use-dynamic-base-id", "--log-level", "warning", "--concurrency", "1")
		run.Dir = folder
		return run, "http://127.0.0.1:" + admin, nil
	}}, filepath.Join(folder, "envoy"))
}

// envoyBootstrap is the least that an Envoy needs to ask: who it is, and whom.
func envoyBootstrap(admin, xds, node, cluster string) ([]byte, error) {
	type object = map[string]any
	address := func(host, port string) (object, error) {
		n, err := strconv.Atoi(port)
		return object{"socket_address": object{"address": host, "port_value": n}}, err
	}
	at, err := address("127.0.0.1", admin)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(xds)
	if err != nil {
		return nil, err
	}
	server, err := address(host, port)
	if err != nil {
		return nil, err
	}
	ads := object{"ads": object{}, "resource_api_version": "V3"}
	return json.Marshal(object{
		"node":  object{"id": node, "cluster": cluster},
		"admin": object{"address": at},
		"dynamic_resources": object{
			"ads_config": object{
				"api_type": "GRPC", "transport_api_version": "V3",
				"grpc_services": []object{{"envoy_grpc": object{"cluster_name": "xds"}}},
			},
			"lds_config": ads, "cds_config": ads,
		},
		"static_resources": object{"clusters": []object{{
			"name": "xds", "type": "STATIC", "connect_timeout": "2s",
			"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
				"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": object{"http2_protocol_options": object{"connection_keepalive": object{"interval": "10s", "timeout": "5s"}}},
			}},
			"load_assignment": object{
				"cluster_name": "xds",
				"endpoints":    []object{{"lb_endpoints": []object{{"endpoint": object{"address": server}}}}},
			},
		}}},
		"overload_manager": object{"resource_monitors": []object{{
			"name": "envoy.resource_monitors.global_downstream_max_connections",
			"typed_config": object{
				"@type":                             "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
				"max_active_downstream_connections": 18000,
			},
		}}},
	})
}

// HasEnvoy reports whether Envoy is installed.
func HasEnvoy() bool {
	_, err := envoyProgram()
	return err == nil
}

func envoyProgram() (string, error) {
	return program("envoy-"+envoyVersion, byScript, filepath.Join(cache(), "bin"))
}
