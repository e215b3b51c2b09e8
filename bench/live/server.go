package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// target starts a server.
type target func(ctx context.Context) (*server, error)

// server is a measured process.
type server struct {
	process *exec.Cmd
	rtmp    string // where to publish; empty where the server makes its own bytes
	play    func(ctx context.Context) (string, error)
	cleanup func()
}

// cpu returns user and system time so far, to the nanosecond, from the process's CPU clock.
func (s *server) cpu() (time.Duration, error) {
	// The clock id of another process's CPU time, as clock_getcpuclockid(3) makes it.
	clock := int32(^s.process.Process.Pid)<<3 | 2
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// rss returns resident memory in bytes.
func (s *server) rss() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n * 1024, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/<pid>/status")
}

func (s *server) stop() {
	_ = s.process.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = s.process.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = s.process.Process.Kill()
		<-done
	}
	if s.cleanup != nil {
		s.cleanup()
	}
}

func start(env []string, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	return cmd, cmd.Start()
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// reachable waits until something accepts connections at address.
func reachable(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing answers at %s: %w", address, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func floorTarget(shape streamShape) target {
	return func(ctx context.Context) (*server, error) {
		address, err := freePort()
		if err != nil {
			return nil, err
		}
		cmd, err := start(nil, os.Args[0], "floor", "-listen", address, "-bitrate", strconv.Itoa(shape.bitrate))
		if err != nil {
			return nil, err
		}
		play := func(context.Context) (string, error) { return "http://" + address + "/", nil }
		return &server{process: cmd, play: play}, reachable(ctx, address)
	}
}

func lalTarget() target {
	return func(ctx context.Context) (*server, error) {
		rtmpAddr, err1 := freePort()
		httpAddr, err2 := freePort()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		cmd, err := start(nil, os.Args[0], "lal", "-rtmp", rtmpAddr, "-http", httpAddr)
		if err != nil {
			return nil, err
		}
		play := func(context.Context) (string, error) { return "http://" + httpAddr + "/live/bench.flv", nil }
		return &server{process: cmd, rtmp: "rtmp://" + rtmpAddr + "/live/bench", play: play}, reachable(ctx, rtmpAddr)
	}
}
