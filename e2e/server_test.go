package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// server is the binary's server on free ports of the loopback, with a data folder of its own.
type server struct {
	t        *testing.T
	program  []string // that serves, with what runs it before it
	settings []string // STOA_...=...
	pardons  []string // parts of lines that are expected to be logged as errors
	dataDir  string
	url      string // of web, API and playback; set once it is up
	rtmpAddr string
	client   *http.Client
	process  *process
	stopped  bool // by the test itself
}

// serve starts a server and waits until it is ready. At the end of the test it is told to stop, and must do so cleanly.
func serve(t *testing.T, settings ...string) *server {
	t.Helper()
	s := newServer(t, settings...)
	s.start("127.0.0.1:0", "127.0.0.1:0")
	return s
}

// newServer makes a server that is not started yet.
func newServer(t *testing.T, settings ...string) *server {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &server{
		t: t, program: []string{stoaBinary}, settings: settings, dataDir: t.TempDir(),
		client: &http.Client{Transport: transport},
	}
}

// start runs the binary on addresses where port 0 means a free one.
func (s *server) start(httpAddr, rtmpAddr string) {
	s.t.Helper()
	cmd := exec.Command(s.program[0], append(s.program[1:len(s.program):len(s.program)], "serve")...)
	cmd.Env = append(cleanEnv(),
		"STOA_HTTP_ADDR="+httpAddr, "STOA_RTMP_ADDR="+rtmpAddr, "STOA_DATA_DIR="+s.dataDir,
		"STOA_RATE_LIMIT=0", "STOA_LOG_FORMAT=text", "STOA_EDGE_ADDR=127.0.0.1:0")
	cmd.Env = append(cmd.Env, s.settings...)
	s.process, s.stopped = start(s.t, cmd), false
	p := s.process
	s.t.Cleanup(func() {
		if p == s.process && !s.stopped {
			s.stop()
		}
		p.kill()
		s.checkLog(p)
	})
	eventually(s.t, "the server says that it is up", func() error {
		s.process.running()
		return s.readAddresses()
	})
	eventually(s.t, "the server is ready", func() error {
		s.process.running()
		resp, err := s.client.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// upLine is what the server logs once it listens.
var upLine = regexp.MustCompile(`msg="stoa is up" http=(\S+) rtmp=(\S+)`)

// readAddresses finds in the log where the server listens.
func (s *server) readAddresses() error {
	if at := upLine.FindStringSubmatch(s.process.output.String()); at != nil {
		s.url, s.rtmpAddr = "http://"+at[1], at[2]
		return nil
	}
	return fmt.Errorf("the log says nothing of it:\n%s", s.process.output.tail())
}

// crash kills the server as a power cut would.
func (s *server) crash() {
	s.t.Helper()
	s.process.running()
	s.process.kill()
	s.stopped = true
}

// restart starts the server anew on the same addresses and data folder.
func (s *server) restart() {
	s.t.Helper()
	s.client.CloseIdleConnections()
	s.start(strings.TrimPrefix(s.url, "http://"), s.rtmpAddr)
}

// stop tells the server to stop and checks that it did so cleanly.
func (s *server) stop() {
	s.t.Helper()
	s.stopped = true
	s.client.CloseIdleConnections()
	s.process.signal(syscall.SIGTERM)
	if err := s.process.ended(); err != nil {
		s.t.Errorf("the server did not stop cleanly: %v", err)
	}
}

// checkLog fails the test at a race, at a panic, and at an error that neither the server nor the test expected.
func (s *server) checkLog(p *process) {
	s.t.Helper()
	log := p.output.String()
	for _, sign := range []string{"DATA RACE", "panic", "fatal error:"} {
		if strings.Contains(log, sign) {
			s.t.Errorf("the server's log contains %q", sign)
		}
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") &&
			!slices.ContainsFunc(s.pardons, func(part string) bool { return strings.Contains(line, part) }) {
			s.t.Errorf("the server logged %s", line)
			break
		}
	}
	if s.t.Failed() {
		if at := strings.Index(log, "DATA RACE"); at >= 0 {
			s.t.Logf("first race:\n%.6000s", log[at:])
		}
		s.t.Logf("the server's log ends:\n%s", p.output.tail())
	}
}

// command runs one of the binary's tools to its end and returns what it wrote.
func (s *server) command(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, stoaBinary, args...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// get fetches a path or a whole address and returns the response with its body read.
func (s *server) get(address string) (*http.Response, []byte) {
	s.t.Helper()
	resp, body, err := s.do(http.MethodGet, address)
	must(s.t, err)
	return resp, body
}

func (s *server) do(method, address string) (*http.Response, []byte, error) {
	if strings.HasPrefix(address, "/") {
		address = s.url + address
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// cleanEnv is this process's environment without settings for stoa. The race detector waits a second at exit for races
// of threads that still run; a tenth is enough where a test runs ten tools.
func cleanEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "STOA_") })
	return append(env, "GORACE=atexit_sleep_ms=100")
}

// within is a context for one call.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
