package config_test

import (
	"math"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/stoa-live/stoa/internal/config"
)

// parse reads arguments as the binary does.
func parse(t *testing.T, args ...string) (config.Serve, error) {
	t.Helper()
	var c config.Serve
	parser, err := kong.New(&c, kong.Name("stoa"), kong.Exit(func(int) { t.Error("the parser exits") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return c, err
}

func TestDefaults(t *testing.T) {
	for field := range reflect.TypeFor[config.Serve]().Fields() {
		if field.Tag.Get("kong") == "-" {
			continue // no setting
		}
		t.Setenv(field.Tag.Get("env"), "") // and taken away again afterwards
		if err := os.Unsetenv(field.Tag.Get("env")); err != nil {
			t.Fatal(err)
		}
	}
	got, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Serve{
		HTTPAddr: ":8080", RTMPAddr: ":1935", DataDir: "./data", Bus: "mem:", Registry: "static:", HTTP3: true,
		MetricsAllow: []string{"127.0.0.0/8", "::1/128"}, RateLimit: 100, MaxBody: 1 << 20, MaxConnections: 18000, DrainTimeout: 10 * time.Second,
		LiveMerge: 350 * time.Millisecond, LiveReconnectWindow: 30 * time.Second, LiveCoverInterval: 15 * time.Second,
		LiveStallTimeout: 10 * time.Second, LiveMaxViewers: 15000, FFmpeg: "ffmpeg",
		EdgeAddr: ":7700", EdgeDevices: "any", EdgeFrameRate: 100, ChatUserRate: 3, ChatRoomRate: 200, LogFormat: "text", LogLevel: "info",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

func TestFlagsAndVariables(t *testing.T) {
	t.Setenv("STOA_HTTP_ADDR", ":1")
	t.Setenv("STOA_LIVE_MERGE", "0s")
	t.Setenv("STOA_CORS_ORIGINS", "https://a.example,https://b.example")
	got, err := parse(t, "--http-addr", ":2", "--trusted-proxies", "10.0.0.0/8,192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	if got.HTTPAddr != ":2" || got.LiveMerge != 0 {
		t.Errorf("a flag does not win over its variable, or a variable over the default: %+v", got)
	}
	if !slices.Equal(got.CORSOrigins, []string{"https://a.example", "https://b.example"}) ||
		!slices.Equal(got.TrustedProxies, []string{"10.0.0.0/8", "192.0.2.7"}) {
		t.Errorf("lists became %q and %q", got.CORSOrigins, got.TrustedProxies)
	}
}

func TestWhatTheParserRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--no-such-flag"},
		{"--log-format", "xml"},
		{"--log-level", "loud"},
		{"--drain-timeout", "10"},
		{"--max-body", "many"},
		{"--rate-limit", "fast"},
		{"--tls-cert", "only.pem"},
		{"stray"},
	} {
		if _, err := parse(t, args...); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: want one line of error, got %v", args, err)
		}
	}
}

func TestValidate(t *testing.T) {
	key := strings.Repeat("A", 43) + "=" // 32 bytes
	for name, c := range map[string]struct {
		change func(*config.Serve)
		want   string // part of the error; "" for none
	}{
		"certificate without key":  {func(c *config.Serve) { c.TLSCert = "a.pem" }, "--tls-key"},
		"key without certificate":  {func(c *config.Serve) { c.TLSKey = "a.pem" }, "--tls-cert"},
		"certificate and key":      {func(c *config.Serve) { c.TLSCert, c.TLSKey = "a.pem", "b.pem" }, ""},
		"proxy by name":            {func(c *config.Serve) { c.TrustedProxies = []string{"proxy.example"} }, "--trusted-proxies"},
		"profiles for everybody":   {func(c *config.Serve) { c.PprofAddr = ":6060" }, "--pprof-addr"},
		"profiles for the network": {func(c *config.Serve) { c.PprofAddr = "192.0.2.1:6060" }, "--pprof-addr"},
		"profiles for this host":   {func(c *config.Serve) { c.PprofAddr = "[::1]:6060" }, ""},
		"proxies":                  {func(c *config.Serve) { c.TrustedProxies = []string{"10.0.0.0/8", "::1", ""} }, ""},
		"metrics network too wide": {func(c *config.Serve) { c.MetricsAllow = []string{"10.0.0.0/33"} }, "--metrics-allow"},
		"origin without scheme":    {func(c *config.Serve) { c.CORSOrigins = []string{"example.org"} }, "--cors-origins"},
		"origin with a path":       {func(c *config.Serve) { c.CORSOrigins = []string{"https://example.org/"} }, "--cors-origins"},
		"origin with a query":      {func(c *config.Serve) { c.CORSOrigins = []string{"https://example.org?"} }, "--cors-origins"},
		"empty origin":             {func(c *config.Serve) { c.CORSOrigins = []string{""} }, "--cors-origins"},
		"origins": {func(c *config.Serve) {
			c.CORSOrigins = []string{"https://example.org", "http://localhost:5173", "https://*.example.org", "*"}
		}, ""},
		"RTMP address over HTTP":  {func(c *config.Serve) { c.LiveRTMPURL = "http://example.org/live" }, "--live-rtmp-url"},
		"RTMP address":            {func(c *config.Serve) { c.LiveRTMPURL = "rtmps://example.org/live" }, ""},
		"playback without scheme": {func(c *config.Serve) { c.LivePlaybackURL = "cdn.example.org" }, "--live-playback-url"},
		"playback malformed":      {func(c *config.Serve) { c.LivePlaybackURL = "http://[" }, "--live-playback-url"},
		"playback":                {func(c *config.Serve) { c.LivePlaybackURL = "https://cdn.example.org" }, ""},
		"edge address of HTTP":    {func(c *config.Serve) { c.EdgePublicURL = "https://e1.example.org" }, "--edge-public-url"},
		"edge address of nobody":  {func(c *config.Serve) { c.EdgePublicURL = "ws://:8080" }, "--edge-public-url"},
		"edge address of all":     {func(c *config.Serve) { c.EdgePublicURL = "ws://0.0.0.0:8080/edge/v1" }, "--edge-public-url"},
		"edge address, no port":   {func(c *config.Serve) { c.EdgePublicURL = "ws://example.org:70000" }, "--edge-public-url"},
		"edge address with query": {func(c *config.Serve) { c.EdgePublicURL = "wss://example.org?a=b" }, "--edge-public-url"},
		"edge address":            {func(c *config.Serve) { c.EdgePublicURL = "wss://e1.example.org/edge/v1" }, ""},
		"edge TLS alone":          {func(c *config.Serve) { c.EdgeTLSAddr = ":7701" }, "--edge-tls-addr"},
		"node with a dot":         {func(c *config.Serve) { c.Node = "e1.example" }, "--node"},
		"long node":               {func(c *config.Serve) { c.Node = strings.Repeat("n", 33) }, "--node"},
		"long zone":               {func(c *config.Serve) { c.Zone = strings.Repeat("z", 65) }, "--zone"},
		"advertised name":         {func(c *config.Serve) { c.Advertise = "10.0.0.7:8080" }, "--advertise"},
		"advertised address":      {func(c *config.Serve) { c.Advertise = "http://10.0.0.7:8080" }, ""},
		"node and zone":           {func(c *config.Serve) { c.Node, c.Zone = "e-1", "eu_west-1" }, ""},
		"negative drain":          {func(c *config.Serve) { c.DrainTimeout = -1 }, "--drain-timeout"},
		"no drain":                {func(c *config.Serve) { c.DrainTimeout = 0 }, ""},
		"negative merge":          {func(c *config.Serve) { c.LiveMerge = -1 }, "--live-merge"},
		"long merge":              {func(c *config.Serve) { c.LiveMerge = 3 * time.Second }, "--live-merge"},
		"no merge":                {func(c *config.Serve) { c.LiveMerge = 0 }, ""},
		"negative window":         {func(c *config.Serve) { c.LiveReconnectWindow = -1 }, "--live-reconnect-window"},
		"no window":               {func(c *config.Serve) { c.LiveReconnectWindow = 0 }, ""},
		"covers all the time":     {func(c *config.Serve) { c.LiveCoverInterval = time.Millisecond }, "--live-cover-interval"},
		"no stall timeout":        {func(c *config.Serve) { c.LiveStallTimeout = 0 }, "--live-stall-timeout"},
		"negative rate":           {func(c *config.Serve) { c.RateLimit = -1 }, "--rate-limit"},
		"no number as rate":       {func(c *config.Serve) { c.RateLimit = math.NaN() }, "--rate-limit"},
		"endless rate":            {func(c *config.Serve) { c.RateLimit = math.Inf(1) }, "--rate-limit"},
		"no rate limit":           {func(c *config.Serve) { c.RateLimit = 0 }, ""},
		"small body":              {func(c *config.Serve) { c.MaxBody = 1023 }, "--max-body"},
		"smallest body":           {func(c *config.Serve) { c.MaxBody = 1 << 10 }, ""},
		"largest body":            {func(c *config.Serve) { c.MaxBody = 16 << 20 }, ""},
		"large body":              {func(c *config.Serve) { c.MaxBody = 16<<20 + 1 }, "--max-body"},
		"negative connections":    {func(c *config.Serve) { c.MaxConnections = -1 }, "--max-connections"},
		"any connections":         {func(c *config.Serve) { c.MaxConnections = 0 }, ""},
		"a part":                  {func(c *config.Serve) { c.Services, c.ServiceKey, c.Bus = []string{"chat"}, key, "pulsar://x" }, ""},
		"a front":                 {func(c *config.Serve) { c.Services, c.ServiceKey, c.Bus = []string{"gateway"}, key, "pulsar://x" }, ""},
		"all, named":              {func(c *config.Serve) { c.Services = config.Services() }, ""},
		"another service":         {func(c *config.Serve) { c.Services = []string{"chat", "video"} }, `there is no "video"`},
		"a part without a key":    {func(c *config.Serve) { c.Services, c.Bus = []string{"chat"}, "pulsar://x" }, "--service-key"},
		"a port without a key":    {func(c *config.Serve) { c.InternalAddr = ":7400" }, "--service-key"},
		"a short key":             {func(c *config.Serve) { c.ServiceKey = "c2hvcnQ=" }, "--service-key: service key: want 32 bytes"},
		"a part alone":            {func(c *config.Serve) { c.Services, c.ServiceKey = []string{"chat"}, key }, "--bus"},
		"no viewers":              {func(c *config.Serve) { c.LiveMaxViewers = 0 }, "--live-max-viewers"},
	} {
		t.Run(name, func(t *testing.T) {
			conf, err := parse(t)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&conf)
			err = conf.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("want one line about %s, got %v", c.want, err)
			}
		})
	}
}

func TestPlaybackOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"": "", "https://cdn.example": "https://cdn.example", "http://cdn.example:8080/base/": "http://cdn.example:8080",
		"https://user:word@[2001:db8::1]:1/x?y#z": "https://[2001:db8::1]:1",
	} {
		if got := (&config.Serve{LivePlaybackURL: address}).PlaybackOrigin(); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	got, err := config.Networks([]string{" 10.1.0.0/16 ", "192.0.2.7", "2001:db8::1", ""})
	want := []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::1/128"),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+[0-9]?(-[a-z]+)*$`)
	seen := make(map[string]bool)
	for field := range reflect.TypeFor[config.Serve]().Fields() {
		if field.Tag.Get("kong") == "-" {
			continue // no setting
		}
		flag, env, help := field.Tag.Get("name"), field.Tag.Get("env"), field.Tag.Get("help")
		if !name.MatchString(flag) || seen[flag] {
			t.Errorf("%s: the flag %q is malformed or not unique", field.Name, flag)
		}
		seen[flag] = true
		if want := "STOA_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")); env != want {
			t.Errorf("%s: the variable is %q, want %s", field.Name, env, want)
		}
		if !strings.HasSuffix(help, ".") {
			t.Errorf("%s: the help is no sentence: %q", field.Name, help)
		}
	}
}

func TestPageIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != config.Markdown() {
		t.Error("docs/configuration.md differs from the settings: run make generate")
	}
}
