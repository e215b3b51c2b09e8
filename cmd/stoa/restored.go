package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/telemetry"
)

type restoredCommand struct {
	DataDir string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"Data folder of the server."`
	Store   string `name:"store" env:"STOA_STORE" help:"Database of the server: sqlite:<folder>. Default: the folder db in the data folder."`
}

// Run prepares what was restored.
func (c *restoredCommand) Run(ctx context.Context) error {
	if c.Store == "" { // to open a store that is not there would make an empty one
		if _, err := os.Stat(filepath.Join(c.DataDir, "db", "chat.db")); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("there is no database in %s: name the server's folder by --data-dir", c.DataDir)
		}
	}
	log, err := telemetry.NewLogger(os.Stderr, "text", "warn")
	if err != nil {
		return err
	}
	n, err := app.Restored(ctx, c.DataDir, c.Store, log)
	if err != nil {
		return err
	}
	fmt.Printf("Devices will fetch %d conversations anew. Start the server now.\n", n)
	return nil
}
