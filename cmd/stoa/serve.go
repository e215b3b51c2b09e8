package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/stoa-live/stoa/clients/web"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/telemetry"
)

type serveCommand struct {
	config.Serve `embed:""`
}

// Run serves until a signal comes or a part fails.
func (c *serveCommand) Run(ctx context.Context) error {
	log, err := telemetry.NewLogger(os.Stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	files := web.FS()
	if files == nil {
		log.Warn("this binary was built without the web app: run make web before make build")
	}
	a, err := app.Start(ctx, c.Serve, files, log)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
		err = nil
	case err = <-a.Failed():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout+20*time.Second)
	defer cancel()
	if closeErr := a.Close(closing); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("stop: %w", closeErr))
	}
	return err
}
