package main

import (
	"context"
	"fmt"
	"os"

	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/telemetry"
)

type restoredCommand struct {
	DataDir string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"Data folder of the server."`
	Store   string `name:"store" env:"STOA_STORE" help:"Database of the server, as stoa serve has it. Default: the folder db in the data folder."`
}

// Run prepares what was restored.
func (c *restoredCommand) Run(ctx context.Context) error {
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
