package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/config"
)

func TestSetupLinks(t *testing.T) {
	listening := &net.TCPAddr{IP: net.IPv6zero, Port: 8080}
	for address, want := range map[string]string{
		":8080": "http://localhost:8080/admin/setup#t_-", "0.0.0.0:8080": "http://localhost:8080/admin/setup#t_-",
		"[::]:8080": "http://localhost:8080/admin/setup#t_-", ":0": "http://localhost:8080/admin/setup#t_-",
		"192.0.2.1:http-alt": "http://192.0.2.1:8080/admin/setup#t_-", "[2001:db8::1]:8080": "http://[2001:db8::1]:8080/admin/setup#t_-",
		"stoa.example:8080": "http://stoa.example:8080/admin/setup#t_-",
	} {
		if got := setupLink(&config.Serve{HTTPAddr: address}, listening, "t_-"); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	secure := &config.Serve{HTTPAddr: ":8080", TLSCert: "cert.pem", TLSKey: "key.pem"}
	if got := setupLink(secure, listening, "t"); got != "https://localhost:8080/admin/setup#t" {
		t.Error(got)
	}
}

// TestTheFirstStartInvitesAnAdministrator runs the command as main does, and reads what it writes.
func TestTheFirstStartInvitesAnAdministrator(t *testing.T) {
	data := t.TempDir()
	links := make(map[string]bool)
	for range 2 { // each start makes another link
		server := startServer(t, data)
		link := server.link(t)
		if links[link] {
			t.Error("two starts printed one link")
		}
		links[link] = true
		server.stop(t, link)
	}
	server := startServer(t, data)
	link := server.link(t)
	address, token, ok := strings.Cut(link, "/admin/setup#")
	if !ok || !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatal(link)
	}
	client := authv1connect.NewAuthServiceClient(http.DefaultClient, address)
	device, err := client.RegisterDevice(t.Context(), &authv1.RegisterDeviceRequest{Platform: authv1.Platform_PLATFORM_WEB})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.CreateFirstAdmin(t.Context(), &authv1.CreateFirstAdminRequest{
		SetupToken: token, DeviceId: device.GetDeviceId(), Username: "ada", Password: "correct horse battery",
	})
	if err != nil || res.GetUser().GetRole() != authv1.Role_ROLE_ADMIN {
		t.Fatal(res, err)
	}
	server.stop(t, link)

	server = startServer(t, data)
	select { // what it prints, it prints before it stops
	case <-server.up:
	case <-time.After(time.Minute):
		t.Fatal("it does not start")
	}
	if rest := server.stop(t, link); rest != "" {
		t.Errorf("a server with an administrator printed %q", rest)
	}
}

// running is a server, its output and its log.
type running struct {
	up     chan struct{} // closed at the log's line
	lines  *bufio.Reader
	log    *strings.Builder // read after logged
	logged sync.WaitGroup
	end    func() error
}

func startServer(t *testing.T, data string) *running {
	t.Helper()
	stdout, printing := pipe(t)
	stderr, logging := pipe(t)
	formerOut, formerErr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = printing, logging
	ctx, cancel := context.WithCancel(t.Context())
	s := &running{up: make(chan struct{}), lines: bufio.NewReader(stdout), log: &strings.Builder{}}
	s.logged.Go(func() {
		scanner := bufio.NewScanner(stderr)
		for seen := false; scanner.Scan(); {
			s.log.WriteString(scanner.Text() + "\n")
			if !seen && strings.Contains(scanner.Text(), "stoa is up") {
				seen = true
				close(s.up)
			}
		}
	})
	var cli commands
	parser := kong.Must(&cli, kong.BindTo(ctx, (*context.Context)(nil)))
	parsed, err := parser.Parse([]string{
		"serve", "--http-addr=127.0.0.1:0", "--rtmp-addr=127.0.0.1:0", "--data-dir", data, "--log-level=debug", "--drain-timeout=0s",
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- parsed.Run() }()
	s.end = sync.OnceValue(func() error {
		cancel()
		err := <-done
		os.Stdout, os.Stderr = formerOut, formerErr
		_, _ = printing.Close(), logging.Close()
		return err
	})
	t.Cleanup(func() { _ = s.end() })
	return s
}

// link reads the output up to the link.
func (s *running) link(t *testing.T) string {
	t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			t.Fatal("there was no link:", err)
		}
		if line = strings.TrimSpace(line); strings.Contains(line, "/admin/setup") {
			return line
		}
	}
}

// stop ends the server and returns what it printed meanwhile. No part of the link may stand in the log.
func (s *running) stop(t *testing.T, link string) string {
	t.Helper()
	if err := s.end(); err != nil {
		t.Error(err)
	}
	rest, err := io.ReadAll(s.lines)
	if err != nil {
		t.Error(err)
	}
	s.logged.Wait()
	_, token, _ := strings.Cut(link, "#")
	if log := s.log.String(); !strings.Contains(log, "stoa is up") || strings.Contains(log, token) {
		t.Errorf("the log:\n%s", log)
	}
	return string(rest)
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, w
}
