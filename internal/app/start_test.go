package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/testkit"
)

// startFails starts with settings that cannot work, and holds the failure to leave no goroutine and no open file.
func startFails(t *testing.T, cfg config.Serve) error {
	t.Helper()
	var err error
	files := openFiles(t)
	testkit.AssertNoLeaks(t, func() {
		var a *app.App
		if a, err = app.Start(t.Context(), cfg, testkit.Web(), slog.New(slog.DiscardHandler)); err == nil {
			t.Error("it starts")
			_ = a.Close(t.Context())
		} else if a != nil {
			t.Error("there is an app beside the error")
		}
	})
	testkit.Eventually(t, 10*time.Second, "all files are closed", func() bool { return openFiles(t) <= files })
	return err
}

// openFiles counts the descriptors of this process, where that can be known.
func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestWrongConfiguration(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, key := selfSigned(t)
	_, otherKey := selfSigned(t)
	file, garbage := write("file", "x"), write("garbage.pem", "hello")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test
	inData := func(name, content string) func(*config.Serve) {
		return func(c *config.Serve) { spoil(t, c.DataDir, name, content) }
	}
	const nobody = "127.0.0.1:1" // where nothing listens
	for name, c := range map[string]struct {
		change func(*config.Serve)
		want   []string // parts of the error
	}{
		"unknown bus":                          {func(c *config.Serve) { c.Bus = "kafka://broker" }, []string{"open bus", `"kafka"`}},
		"malformed bus":                        {func(c *config.Serve) { c.Bus = "%" }, []string{"open bus"}},
		"bus in no namespace":                  {func(c *config.Serve) { c.Bus = "pulsar://broker:6650?token=secret" }, []string{"open bus", "/tenant/namespace"}},
		"bus with a password":                  {func(c *config.Serve) { c.Bus = "pulsar://me:secret@broker/a/b" }, []string{"open bus", "tokenFile"}},
		"unknown store":                        {func(c *config.Serve) { c.Store = "oracle://user:secret@host" }, []string{"open store", `"oracle"`}},
		"store with options":                   {func(c *config.Serve) { c.Store = "sqlite:///tmp?mode=memory" }, []string{"open store", "options"}},
		"store in a file":                      {func(c *config.Serve) { c.Store = "sqlite:" + file }, []string{"open store", file}},
		"unknown registry":                     {func(c *config.Serve) { c.Registry = "etcd://host" }, []string{"open registry", `"etcd"`}},
		"malformed registry":                   {func(c *config.Serve) { c.Registry = "static:?chat=nowhere" }, []string{"open registry", "chat"}},
		"HTTP port in use":                     {func(c *config.Serve) { c.HTTPAddr = taken.Addr().String() }, []string{"open HTTP port", taken.Addr().String(), "in use"}},
		"RTMP port in use":                     {func(c *config.Serve) { c.RTMPAddr = taken.Addr().String() }, []string{"open RTMP port", taken.Addr().String(), "in use"}},
		"edge port in use":                     {func(c *config.Serve) { c.EdgeAddr = taken.Addr().String() }, []string{"open edge port", taken.Addr().String(), "in use"}},
		"store out of reach":                   {func(c *config.Serve) { c.Store = "postgres://user:secret@" + nobody + "/db?sslmode=disable" }, []string{"open store of", nobody, "refused"}},
		"another out of reach":                 {func(c *config.Serve) { c.Store = "mysql://user:secret@" + nobody + "/prefix" }, []string{"open store of", nobody, "refused"}},
		"store without its password's escapes": {func(c *config.Serve) { c.Store = "postgres://user:secret%zz@host/db" }, []string{"open store", "URL"}},
		"edge TLS port in use": {func(c *config.Serve) {
			c.TLSCert, c.TLSKey, c.EdgeAddr, c.EdgeTLSAddr = certificate, key, "127.0.0.1:0", taken.Addr().String()
		}, []string{"open edge TLS port", taken.Addr().String(), "in use"}},
		"malformed edge address":  {func(c *config.Serve) { c.EdgeAddr = "there" }, []string{"open edge port there"}},
		"edge TLS without a key":  {func(c *config.Serve) { c.EdgeTLSAddr = "127.0.0.1:0" }, []string{"--edge-tls-addr", "--tls-cert"}},
		"edge at every host":      {func(c *config.Serve) { c.EdgePublicURL = "ws://0.0.0.0:8080" }, []string{"--edge-public-url"}},
		"unknown devices policy":  {func(c *config.Serve) { c.EdgeDevices = "two" }, []string{"device policy", "two"}},
		"malformed HTTP address":  {func(c *config.Serve) { c.HTTPAddr = "here" }, []string{"open HTTP port here"}},
		"no such address":         {func(c *config.Serve) { c.HTTPAddr = "192.0.2.1:0" }, []string{"open HTTP port 192.0.2.1:0"}},
		"certificate missing":     {func(c *config.Serve) { c.TLSCert, c.TLSKey = "missing.pem", key }, []string{"load TLS certificate", "missing.pem"}},
		"key missing":             {func(c *config.Serve) { c.TLSCert, c.TLSKey = certificate, "missing.pem" }, []string{"load TLS certificate", "missing.pem"}},
		"certificate of nothing":  {func(c *config.Serve) { c.TLSCert, c.TLSKey = garbage, key }, []string{"load TLS certificate"}},
		"key of another":          {func(c *config.Serve) { c.TLSCert, c.TLSKey = certificate, otherKey }, []string{"load TLS certificate", "match"}},
		"certificate alone":       {func(c *config.Serve) { c.TLSCert = certificate }, []string{"--tls-key"}},
		"data folder below file":  {func(c *config.Serve) { c.DataDir = filepath.Join(file, "data") }, []string{"make data folder", file}},
		"data folder is a file":   {func(c *config.Serve) { c.DataDir = file }, []string{"make data folder", file}},
		"play key cut short":      {inData("play.key", "short"), []string{"play.key", "remove it"}},
		"operator key cut short":  {inData("operator.key", "short"), []string{"operator.key", "remove it"}},
		"operator key is folder":  {inData("operator.key/x", ""), []string{"operator key"}},
		"folder for HLS is taken": {inData("covers", "x"), []string{"covers"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testkit.Config(t)
			c.change(&cfg)
			err := startFails(t, cfg)
			for _, part := range c.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %s: %v", part, err)
				}
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("it shows a password, or has more than one line: %v", err)
			}
		})
	}
}

// spoil puts something into a data folder that does not belong there.
func spoil(t *testing.T, dataDir, name, content string) {
	t.Helper()
	path := filepath.Join(dataDir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedDatabase(t *testing.T) {
	storetest.OnlySQLite(t, "it damages the files")
	for _, service := range []string{"auth", "chat", "live", "admin"} {
		cfg := testkit.Config(t)
		spoil(t, cfg.DataDir, "db/"+service+".db", strings.Repeat("no database ", 1000))
		if err := startFails(t, cfg); err == nil || !strings.Contains(err.Error(), "open store of "+service) || !strings.Contains(err.Error(), "not a database") {
			t.Errorf("%s: %v", service, err)
		}
	}
}

func TestDatabaseOfANewerBinary(t *testing.T) {
	cfg := testkit.Config(t)
	same := func(c *config.Serve) { c.DataDir, c.Store = cfg.DataDir, cfg.Store }
	s := testkit.Start(t, same)
	guest := s.Guest(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"auth", "chat", "live", "admin"} {
		newer := func(statement string) {
			t.Helper()
			if err := storetest.With(t, databaseURL(cfg.DataDir, cfg.Store), service, fstest.MapFS{
				"migrations/" + storetest.Folder() + "/9999_newer.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")},
			}, func(db *sql.DB) error {
				_, err := db.ExecContext(t.Context(), statement)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		newer("SELECT 1")
		err := startFails(t, cfg)
		if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), service) || !strings.Contains(err.Error(), "9999") {
			t.Errorf("%s: %v", service, err)
		}
		newer("DELETE FROM goose_db_version WHERE version_id = 9999")
	}
	again := testkit.Start(t, same)
	if _, err := as(again, binary, guest.Token).auth.GetMe(t.Context(), &authv1.GetMeRequest{}); err != nil {
		t.Errorf("what was refused was also changed: %v", err)
	}
}

func TestDataFolderOfAnyName(t *testing.T) {
	t.Parallel()
	storetest.OnlySQLite(t, "it looks for the files")
	s := testkit.Start(t, func(c *config.Serve) { c.DataDir = filepath.Join(c.DataDir, "50% of ü? #1 a+b") })
	s.Guest(t)
	if _, err := os.Stat(filepath.Join(s.DataDir, "db", "auth.db")); err != nil {
		t.Error(err)
	}
}

// TestSecondProcessByMistake starts on the settings of a process that runs.
func TestSecondProcessByMistake(t *testing.T) {
	first := testkit.Start(t)
	segment := filepath.Join(first.DataDir, "hls", "broadcast", "segment.ts")
	if err := os.MkdirAll(filepath.Dir(segment), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segment, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testkit.Config(t)
	cfg.DataDir, cfg.HTTPAddr, cfg.RTMPAddr = first.DataDir, first.HTTPAddr().String(), first.RTMPAddr().String()
	if err := startFails(t, cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(segment); err != nil {
		t.Errorf("the first one's files are gone: %v", err)
	}
	first.Guest(t)
}

func TestNothingIsLeftRunning(t *testing.T) {
	files := openFiles(t)
	testkit.AssertNoLeaks(t, func() {
		t.Run("a life", func(t *testing.T) {
			s := testkit.Start(t)
			owner := as(s, binary, s.User(t, "owner").Token)
			room := owner.openRoom(t, "A room")
			owner.say(t, room.GetConversationId(), "hello")
			owner.subscribe(t, room.GetConversationId())
			key, err := owner.live.IssueStreamKey(t.Context(), &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			s.Publish(t, key.GetRtmpUrl(), key.GetStreamKey())
		})
	})
	testkit.Eventually(t, 10*time.Second, "all files are closed", func() bool { return openFiles(t) <= files })
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	s := testkit.Start(t, func(c *config.Serve) { c.TLSCert, c.TLSKey = certificate, key })
	pool := x509.NewCertPool()
	chain, err := os.ReadFile(certificate)
	if err != nil || !pool.AppendCertsFromPEM(chain) {
		t.Fatal(err)
	}
	for proto, http2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(http2)
		protocols.SetHTTP1(!http2)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, body := fetch(t, client, r); res.Proto != proto || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %d %s", proto, res.Proto, res.StatusCode, body)
		}
		options := []connect.ClientOption{connect.WithGRPCWeb()}
		if http2 {
			options = []connect.ClientOption{connect.WithGRPC()}
		}
		auth := authv1connect.NewAuthServiceClient(client, s.URL, options...)
		if _, err := auth.RegisterDevice(t.Context(), &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_WEB}); err != nil {
			t.Errorf("%s: %v", proto, err)
		}
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}}} //nolint:gosec // the test
	if res, err := old.Get(s.URL + "/readyz"); err == nil {
		_ = res.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// selfSigned writes a certificate for loopback and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	chain, private := testkit.Certificate(t)
	folder := t.TempDir()
	certificate, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	if err := errors.Join(os.WriteFile(certificate, chain, 0o600), os.WriteFile(key, private, 0o600)); err != nil {
		t.Fatal(err)
	}
	return certificate, key
}
