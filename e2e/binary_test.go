// Package e2e_test runs the built binary as its users do: ffmpeg is the encoder, ffprobe, Go clients and a browser are
// the viewers, and all of them meet on real sockets. The binary is built with the race detector, and each test reads the
// server's log to the end: a race or a panic fails the test that was running.
//
// What must never happen here: a test that passes because it waited long enough. Conditions are polled up to a deadline,
// and no measured time decides.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// stoaBinary is built by TestMain, which is the only one to write it.
var stoaBinary string

// webFolder is the watch page's folder, from here.
const webFolder = "../clients/web"

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "end-to-end tests cannot run:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run builds the binary, runs the tests and removes it.
func run(m *testing.M) (code int, err error) {
	for _, program := range []string{"ffmpeg", "ffprobe", "npm", "strace", chromium()} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, fmt.Errorf("%s is missing: make setup installs what the tests need (%w)", program, err)
		}
	}
	if _, err := os.Stat(filepath.Join(webFolder, "dist/app/index.html")); err != nil {
		return 0, fmt.Errorf("the web app is not built: run make web first (%w)", err)
	}
	dir, err := os.MkdirTemp("", "stoa-e2e-")
	if err != nil {
		return 0, fmt.Errorf("make a folder for the binary: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	stoaBinary = filepath.Join(dir, "stoa")
	build := exec.Command("go", "build", "-race", "-o", stoaBinary, "../cmd/stoa")
	build.Env = append(os.Environ(), "CGO_ENABLED=1") // the race detector needs it
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build the binary: %w", err)
	}
	return m.Run(), nil
}

// chromium is the browser that the browser tests start.
func chromium() string {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	return "chromium"
}
