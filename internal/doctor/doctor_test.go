package doctor_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/doctor"
	"github.com/stoa-live/stoa/internal/testkit"
)

// program writes a program that says something.
func program(t *testing.T, says string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o755); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	return path
}

func TestExamine(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close() //nolint:errcheck // a test
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*config.Serve)
		check  string
		state  doctor.State
		found  string
	}{
		"all well":            {func(*config.Serve) {}, "", doctor.Fine, ""},
		"bad settings":        {func(c *config.Serve) { c.MaxBody = 1 }, "settings", doctor.Broken, "--max-body"},
		"a busy port":         {func(c *config.Serve) { c.EdgeAddr = busy.Addr().String() }, "edge port", doctor.Broken, "in use"},
		"a file as folder":    {func(c *config.Serve) { c.DataDir = file }, "data folder", doctor.Broken, "is no folder"},
		"below a file":        {func(c *config.Serve) { c.DataDir = filepath.Join(file, "x") }, "data folder", doctor.Broken, "is no folder"},
		"a folder to be made": {func(c *config.Serve) { c.DataDir = filepath.Join(t.TempDir(), "a", "b") }, "data folder", doctor.Fine, "/a/b"},
		"many connections":    {func(c *config.Serve) { c.MaxConnections = 1 << 40 }, "open files", doctor.Warning, "a process"},
		"no ffmpeg":           {func(c *config.Serve) { c.FFmpeg = filepath.Join(file, "ffmpeg") }, "ffmpeg", doctor.Warning, "ffmpeg"},
		"another program":     {func(c *config.Serve) { c.FFmpeg = program(t, "hello") }, "ffmpeg", doctor.Warning, "does not tell"},
		"an old ffmpeg":       {func(c *config.Serve) { c.FFmpeg = program(t, "ffmpeg version 2.8.1 and so on") }, "ffmpeg", doctor.Warning, "2.8.1"},
		"an unknown bus":      {func(c *config.Serve) { c.Bus = "kafka:" }, "bus", doctor.Broken, "kafka"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testkit.Config(t)
			cfg.FFmpeg = program(t, "ffmpeg version 5.1.6-0+deb12u1 Copyright")
			c.change(&cfg)
			seen := false
			for _, f := range doctor.Examine(t.Context(), cfg) {
				if f.Check == c.check {
					seen = true
					if f.State != c.state || !strings.Contains(f.Found, c.found) {
						t.Errorf("got %+v", f)
					}
				} else if f.State == doctor.Broken {
					t.Errorf("also broken: %+v", f)
				}
				if (f.State == doctor.Fine) != (f.Do == "") {
					t.Errorf("what to do? %+v", f)
				}
			}
			if !seen && c.check != "" {
				t.Errorf("%s was not looked at", c.check)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".stoa-doctor-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOnlyWhatRunsIsLookedAt: who runs no live service needs no ffmpeg.
func TestOnlyWhatRunsIsLookedAt(t *testing.T) {
	cfg := testkit.Config(t)
	cfg.Services, cfg.ServiceKey, cfg.Bus = []string{"chat"}, strings.Repeat("A", 43)+"=", "nobus:"
	for _, f := range doctor.Examine(t.Context(), cfg) {
		if f.Check == "ffmpeg" {
			t.Errorf("got %+v", f)
		}
	}
}
