package main

import (
	"context"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/stoa-live/stoa/internal/testkit"
)

// TestRestored prepares a folder that has a database, and makes none where there is none.
func TestRestored(t *testing.T) {
	run := func(dataDir string) error {
		var cli commands
		parsed, err := kong.Must(&cli, kong.BindTo(t.Context(), (*context.Context)(nil))).Parse([]string{"restored", "--data-dir", dataDir})
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Run()
	}
	if err := run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("an empty folder: %v", err)
	}
	s := testkit.Start(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := run(s.DataDir); err != nil {
		t.Errorf("a server's folder: %v", err)
	}
}
