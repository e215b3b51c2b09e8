package xds_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/gateway/xds"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/parts"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/testkit"
)

const patience = 20 * time.Second

// names are those of all services in the registry.
func names() []string { return []string{"auth", "chat", "presence", "live", "admin", "site", "edge"} }

// house boots a process with a port for fronts.
func house(t *testing.T) *testkit.Server {
	t.Helper()
	return testkit.Start(t, func(c *config.Serve) {
		c.InternalAddr, c.ServiceKey = "127.0.0.1:0", base64.StdEncoding.EncodeToString(make([]byte, 32))
	})
}

// everywhere lists a process as the only one of all services.
func everywhere(s *testkit.Server) xds.Instances {
	in := xds.Instances{"": {{Address: s.HTTPAddr().String()}}}
	for _, name := range names() {
		in[name] = []xds.Instance{{Address: s.InternalAddr().String()}}
	}
	return in
}

// front is an Envoy, and the server that tells it what to do.
type front struct {
	*xds.Server

	t       *testing.T
	url     string
	log     *testkit.Log
	metrics *prometheus.Registry
	address string // of the server
}

// server starts one without an Envoy.
func server(t *testing.T, change func(c *xds.Config)) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := xds.Config{Services: app.PublicServices(), Address: port.Addr().String()}
	if err := port.Close(); err != nil { // Envoy takes it
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	f := &front{t: t, log: &testkit.Log{}, metrics: prometheus.NewRegistry(), url: "http://" + cfg.Address, address: l.Addr().String()}
	if f.Server, err = xds.New(cfg, slog.New(slog.NewTextHandler(f.log, nil)), f.metrics); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(l) }()
	t.Cleanup(func() {
		f.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

// serve is server with an Envoy that answers.
func serve(t *testing.T, in xds.Instances, change func(c *xds.Config)) *front {
	t.Helper()
	partstest.Envoy(t)
	f := server(t, change)
	if err := f.Set(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	envoy, err := parts.Envoy(t.Context(), t.TempDir(), f.address, "envoy-1", xds.NodeCluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server logged:\n%s\nEnvoy logged:\n%s", f.log, envoy.Tail())
		}
		if err := envoy.Stop(); err != nil {
			t.Error(err)
		}
	})
	f.eventually("Envoy listens", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return f
}

func (f *front) eventually(what string, holds func() bool) {
	f.t.Helper()
	testkit.Eventually(f.t, patience, what, holds)
}

// through is a process as it is reached by the front.
func (f *front) through(s *testkit.Server) *testkit.Server {
	other := *s
	other.URL = f.url
	return &other
}

// metric returns the value of a metric of the server.
func (f *front) metric(name string) float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue() + family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	f.t.Fatalf("no metric %s", name)
	return 0
}

// backend is a process that answers every request with its name, over HTTP/2 without TLS.
func backend(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP1(true)
	s := &http.Server{Protocols: protocols, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/grpc.health.v1.Health/Check" {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1}) // SERVING
			w.Header().Set("Grpc-Status", "0")
			return
		}
		answer(w, r)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// get reads what is at a path of the front.
func (f *front) get(path string, header http.Header) (status int, body string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = header
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // a test
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

func code(err error) connect.Code {
	if err == nil {
		return 0
	}
	return connect.CodeOf(err)
}

// selfSigned makes a certificate for this machine, and what trusts it.
func selfSigned(t *testing.T) (certificate, key string, trust *tls.Config) {
	t.Helper()
	chain, private := testkit.Certificate(t)
	trust = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !trust.RootCAs.AppendCertsFromPEM(chain) {
		t.Fatal("no certificate")
	}
	return string(chain), string(private), trust
}
