// Package config is every setting of `stoa serve`, each of which is a flag and an environment variable. The struct tags
// are the only place where names, defaults and help stand; docs/configuration.md is made from them.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/netaddr"
)

// Serve is the configuration of one process.
type Serve struct {
	// Version of the binary. It is told to the staff and is no setting.
	Version string `kong:"-"`

	HTTPAddr string `name:"http-addr" env:"STOA_HTTP_ADDR" default:":8080" help:"Address of web, API and playback."`
	RTMPAddr string `name:"rtmp-addr" env:"STOA_RTMP_ADDR" default:":1935" help:"Address for encoders."`
	DataDir  string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"Folder for the database, covers, HLS segments and the operator key."`

	Store     string `name:"store" env:"STOA_STORE" help:"Database: sqlite:<folder>, postgres://user:password@host:port/database (a schema stoa_<service> for each service) or mysql://user:password@host:port/prefix (MySQL or MariaDB, a database <prefix>_<service> for each). PostgreSQL takes sslmode (require, which is the default, verify-ca, verify-full, disable), sslrootcert, sslcert and sslkey; MySQL takes tls (true, skip-verify, false, which is the default). Default: the folder db in the data folder."`
	Bus       string `name:"bus" env:"STOA_BUS" default:"mem:" help:"Events between services: mem: inside of one process, or pulsar://host:6650,host2:6650/tenant/namespace for Apache Pulsar, pulsar+ssl:// by TLS. Options after ?, joined by &: partitions=4 divides each topic, and has to be the same in all processes for ever; token= or tokenFile=; ca= for a file of certificates; prefix= for names of topics; queue=500 events fetched ahead."`
	Registry  string `name:"registry" env:"STOA_REGISTRY" default:"static:" help:"Where services are found: static: for this process only, static:?chat=http://10.0.0.7:8080,http://10.0.0.8:8080&auth=… with neighbours and their addresses, or consul://127.0.0.1:8500?tokenFile=/run/token&datacenter=dc1&prefix=stoa-&weight=1&tls=false by an agent of Consul. token=… is the token itself."`
	Node      string `name:"node" env:"STOA_NODE" help:"Name of this process among all of them, of at most 32 letters, digits, - and _. Default: random."`
	Zone      string `name:"zone" env:"STOA_ZONE" help:"Zone of this process, of at most 64 letters, digits, - and _. Services call each other within a zone where it has enough of them; clients look for a near edge."`
	Advertise string `name:"advertise" env:"STOA_ADVERTISE" help:"Where other processes reach the services of this one, such as http://10.0.0.7:7400. Default: the internal address, where it names one."`

	Services     []string `name:"services" env:"STOA_SERVICES" help:"What this process runs, of auth, chat, presence, live, admin and edge; gateway alone for none of them. Default: all. It finds the others in the registry."`
	InternalAddr string   `name:"internal-addr" env:"STOA_INTERNAL_ADDR" help:"Address for other processes of the mesh, such as 10.0.0.5:7400, not for clients; empty for none."`
	ServiceKey   string   `name:"service-key" env:"STOA_SERVICE_KEY" help:"Key by which processes of a mesh know each other: 32 random bytes in base64, the same for all. Default: one of this process alone."`

	TLSCert string `name:"tls-cert" env:"STOA_TLS_CERT" help:"Certificate chain (PEM file) for the HTTP address; plain HTTP without one."`
	TLSKey  string `name:"tls-key" env:"STOA_TLS_KEY" help:"Private key (PEM file) of the certificate."`
	HTTP3   bool   `name:"http3" env:"STOA_HTTP3" default:"true" negatable:"" help:"With a certificate, speak HTTP/3 on the UDP port of the HTTP address as well."`

	CORSOrigins    []string      `name:"cors-origins" env:"STOA_CORS_ORIGINS" help:"Origins of other web pages that may call the API, or *. Default: none."`
	TrustedProxies []string      `name:"trusted-proxies" env:"STOA_TRUSTED_PROXIES" help:"Networks (CIDR) of proxies whose X-Forwarded-* headers count. Default: none."`
	MetricsAllow   []string      `name:"metrics-allow" env:"STOA_METRICS_ALLOW" default:"127.0.0.0/8,::1/128" help:"Networks (CIDR) that may read /metrics."`
	RateLimit      float64       `name:"rate-limit" env:"STOA_RATE_LIMIT" default:"100" help:"Requests a second from one address, after a burst of four seconds' worth; 0 for no limit."`
	MaxBody        int64         `name:"max-body" env:"STOA_MAX_BODY" default:"1048576" help:"Largest request body in bytes, from 1024 (1 KiB) to 16777216 (16 MiB)."`
	MaxConnections int           `name:"max-connections" env:"STOA_MAX_CONNECTIONS" default:"18000" help:"Open connections to the HTTP address; one more is closed at once. Keep it above the viewers and well below the files that the process may open. 0 for no limit."`
	DrainTimeout   time.Duration `name:"drain-timeout" env:"STOA_DRAIN_TIMEOUT" default:"10s" help:"How long running calls may take to end at a shutdown."`

	LiveMerge           time.Duration `name:"live-merge" env:"STOA_LIVE_MERGE" default:"350ms" help:"The knob of delay: frames wait this long to be written together. 0s is the lowest delay, at about eight times the CPU a viewer."`
	LiveReconnectWindow time.Duration `name:"live-reconnect-window" env:"STOA_LIVE_RECONNECT_WINDOW" default:"30s" help:"How long a broadcast waits for an encoder that was lost."`
	LiveCoverInterval   time.Duration `name:"live-cover-interval" env:"STOA_LIVE_COVER_INTERVAL" default:"15s" help:"Between snapshots of a live picture."`
	LiveStallTimeout    time.Duration `name:"live-stall-timeout" env:"STOA_LIVE_STALL_TIMEOUT" default:"10s" help:"A viewer that takes no byte for this long is cut."`
	LiveMaxViewers      int           `name:"live-max-viewers" env:"STOA_LIVE_MAX_VIEWERS" default:"15000" help:"FLV connections of this process."`
	LiveRTMPURL         string        `name:"live-rtmp-url" env:"STOA_LIVE_RTMP_URL" help:"Server address that streamers are told. Default: made from the address they called."`
	LivePlaybackURL     string        `name:"live-playback-url" env:"STOA_LIVE_PLAYBACK_URL" help:"Address before /live/… that viewers are told. Default: the address they called."`
	FFmpeg              string        `name:"ffmpeg" env:"STOA_FFMPEG" default:"ffmpeg" help:"Program that decodes covers."`

	EdgeAddr      string  `name:"edge-addr" env:"STOA_EDGE_ADDR" default:":7700" help:"Address for long connections over TCP; empty for none. Over WebSocket they are on the HTTP address, at /edge/v1."`
	EdgeTLSAddr   string  `name:"edge-tls-addr" env:"STOA_EDGE_TLS_ADDR" help:"Address for long connections over TLS, with the certificate of the HTTP address; empty for none."`
	EdgePublicURL string  `name:"edge-public-url" env:"STOA_EDGE_PUBLIC_URL" help:"Where clients are told to open WebSockets, such as wss://e1.example.org/edge/v1, and at whose host to open TCP. Default: the address they called. Needed where there are several nodes."`
	EdgeDevices   string  `name:"edge-devices" env:"STOA_EDGE_DEVICES" default:"any" enum:"any,platform,device" help:"Devices of a user that may be connected at once: any, one a platform, or one device."`
	EdgeFrameRate float64 `name:"edge-frame-rate" env:"STOA_EDGE_FRAME_RATE" default:"100" help:"Frames a second that one long connection may send in the long run, after a burst of four seconds' worth; more ends it."`

	ChatUserRate float64 `name:"chat-user-rate" env:"STOA_CHAT_USER_RATE" default:"3" help:"Messages a second that one user may send in the long run, after a burst of ten, or of three seconds' worth."`
	ChatRoomRate float64 `name:"chat-room-rate" env:"STOA_CHAT_ROOM_RATE" default:"200" help:"Messages a second that one live room takes in the long run, after a burst of two seconds' worth."`

	PprofAddr string `name:"pprof-addr" env:"STOA_PPROF_ADDR" help:"Loopback address, such as 127.0.0.1:6060, on which go tool pprof reads profiles at /debug/pprof/; empty for none."`

	LogFormat string `name:"log-format" env:"STOA_LOG_FORMAT" default:"text" enum:"text,json" help:"text or json."`
	LogLevel  string `name:"log-level" env:"STOA_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// Services lists what a process can run, in the order in which it starts.
func Services() []string { return []string{"auth", "chat", "presence", "live", "admin", "edge"} }

// noService stands for a process that runs none of the services.
const noService = "gateway"

// Runs reports whether the process runs a service.
func (c *Serve) Runs(service string) bool {
	return len(c.Services) == 0 || slices.Contains(c.Services, service)
}

// isPart reports whether others run what this process does not.
func (c *Serve) isPart() bool {
	return slices.ContainsFunc(Services(), func(s string) bool { return !c.Runs(s) })
}

// validateMesh says what is wrong with the settings of a mesh.
func (c *Serve) validateMesh() error {
	for _, s := range c.Services {
		if s != noService && !slices.Contains(Services(), s) {
			return fmt.Errorf("--services: there is no %q; there are %s", s, strings.Join(append(Services(), noService), ", "))
		}
	}
	if c.ServiceKey != "" {
		if _, err := authn.ParseServiceKey(c.ServiceKey); err != nil {
			return fmt.Errorf("--service-key: %w", err)
		}
	}
	if (c.isPart() || c.InternalAddr != "") && c.ServiceKey == "" {
		return errors.New("--service-key is needed where there are several processes; openssl rand -base64 32 makes one")
	}
	if c.isPart() && strings.HasPrefix(c.Bus, "mem:") {
		return errors.New("--bus: events in memory reach this process only; the services that it does not run need pulsar://")
	}
	return nil
}

// Validate says in one line what is wrong first, or returns nil.
func (c *Serve) Validate() error {
	if err := c.validateMesh(); err != nil {
		return err
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	for _, list := range []struct {
		flag  string
		value []string
	}{{"--trusted-proxies", c.TrustedProxies}, {"--metrics-allow", c.MetricsAllow}} {
		if _, err := Networks(list.value); err != nil {
			return fmt.Errorf("%s: %w", list.flag, err)
		}
	}
	if c.EdgeTLSAddr != "" && c.TLSCert == "" {
		return errors.New("--edge-tls-addr needs --tls-cert and --tls-key")
	}
	if c.PprofAddr != "" && !isLoopback(c.PprofAddr) {
		return fmt.Errorf("--pprof-addr: %q is no address of the loopback such as 127.0.0.1:6060", c.PprofAddr)
	}
	for _, name := range []struct {
		flag, value string
		most        int
	}{{"--node", c.Node, 32}, {"--zone", c.Zone, 64}} {
		if !isName(name.value, name.most) {
			return fmt.Errorf("%s: %q must have at most %d letters, digits, - and _", name.flag, name.value, name.most)
		}
	}
	// What is no address at all is told in other words below.
	if u, err := url.Parse(c.EdgePublicURL); err == nil && u.Host != "" && !netaddr.IsReachable(u) {
		return errors.New("--edge-public-url: clients cannot open it; it must have a host, a port if any, and a path, and no more")
	}
	for _, origin := range c.CORSOrigins {
		if !isOrigin(origin) {
			return fmt.Errorf("--cors-origins: %q is no origin such as https://example.org", origin)
		}
	}
	for _, address := range []struct {
		flag, value string
		schemes     []string
	}{
		{"--live-rtmp-url", c.LiveRTMPURL, []string{"rtmp", "rtmps"}},
		{"--live-playback-url", c.LivePlaybackURL, []string{"http", "https"}},
		{"--edge-public-url", c.EdgePublicURL, []string{"ws", "wss"}},
		{"--advertise", c.Advertise, []string{"http", "https"}},
	} {
		u, err := url.Parse(address.value)
		if address.value != "" && (err != nil || !slices.Contains(address.schemes, u.Scheme) || u.Host == "") {
			return fmt.Errorf("%s: %q is no address such as %s://example.org", address.flag, address.value, address.schemes[0])
		}
	}
	for _, d := range []struct {
		flag            string
		value, from, to time.Duration
	}{
		{"--drain-timeout", c.DrainTimeout, 0, time.Hour},
		{"--live-merge", c.LiveMerge, 0, 2 * time.Second}, // more only adds delay
		{"--live-reconnect-window", c.LiveReconnectWindow, 0, 24 * time.Hour},
		{"--live-cover-interval", c.LiveCoverInterval, time.Second, 24 * time.Hour},
		{"--live-stall-timeout", c.LiveStallTimeout, time.Second, time.Hour},
	} {
		if d.value < d.from || d.value > d.to {
			return fmt.Errorf("%s is %v; it must be from %v to %v", d.flag, d.value, d.from, d.to)
		}
	}
	switch {
	case !(c.RateLimit >= 0 && c.RateLimit <= maxRate): // nor NaN
		return fmt.Errorf("--rate-limit is %v; it must be from 0 to %d", c.RateLimit, maxRate)
	case !(c.EdgeFrameRate > 0 && c.EdgeFrameRate <= maxRate):
		return fmt.Errorf("--edge-frame-rate is %v; it must be above 0, and at most %d", c.EdgeFrameRate, maxRate)
	case !(c.ChatUserRate > 0 && c.ChatUserRate <= maxRate):
		return fmt.Errorf("--chat-user-rate is %v; it must be above 0, and at most %d", c.ChatUserRate, maxRate)
	case !(c.ChatRoomRate > 0 && c.ChatRoomRate <= maxRate):
		return fmt.Errorf("--chat-room-rate is %v; it must be above 0, and at most %d", c.ChatRoomRate, maxRate)
	case c.MaxBody < minBody || c.MaxBody > maxBody:
		return fmt.Errorf("--max-body is %d; it must be from %d to %d", c.MaxBody, minBody, maxBody)
	case c.MaxConnections < 0:
		return fmt.Errorf("--max-connections is %d; it must be at least 0", c.MaxConnections)
	case c.LiveMaxViewers < 1:
		return fmt.Errorf("--live-max-viewers is %d; it must be at least 1", c.LiveMaxViewers)
	}
	return nil
}

const (
	maxRate = 1_000_000 // requests a second
	minBody = 1 << 10   // bytes
	maxBody = 16 << 20  // bytes
)

// isLoopback reports whether an address to listen on is reached from this machine only.
func isLoopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().IsLoopback()
}

// PlaybackOrigin is the scheme, host and port of the address that viewers are told, or "" where that is the one they
// called.
func (c *Serve) PlaybackOrigin() string {
	u, err := url.Parse(c.LivePlaybackURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// isName reports whether text is a name of at most so many bytes; none is one, too.
func isName(text string, most int) bool {
	return len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// isOrigin reports whether text is what a browser may send as Origin, in which one * stands for any part of the host, or
// is * for all.
func isOrigin(text string) bool {
	if text == "*" {
		return true
	}
	u, err := url.Parse(strings.Replace(text, "*", "x", 1))
	return err == nil && u.Scheme != "" && u.Host != "" && u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == "" &&
		!strings.HasSuffix(text, "#") && !strings.HasSuffix(text, "?")
}

// Networks parses CIDRs; a bare address is a network of one.
func Networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if addr, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
		}
		out = append(out, prefix)
	}
	return out, nil
}
