package app

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"connectrpc.com/grpchealth"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/secret"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/live"
)

func setHealth(checker *grpchealth.StaticChecker, names []string, serving bool) {
	status := grpchealth.StatusNotServing
	if serving {
		status = grpchealth.StatusServing
	}
	for _, name := range names {
		checker.SetStatus(name, status)
	}
	checker.SetStatus("", status)
}

// register makes every protobuf service of s found under its name, "live" for stoa.live.v1, until calls were drained.
func (a *App) register(ctx context.Context, reg registry.Registry, s service.Service, endpoint registry.Endpoint) error {
	seen := make(map[string]bool)
	for _, full := range s.Names() {
		name, err := registry.NameOf(full)
		if err != nil {
			return fmt.Errorf("register %s: %w", full, err)
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := reg.Register(ctx, name, endpoint); err != nil {
			return err
		}
		a.onClose("registration of "+name, func(ctx context.Context) error { return reg.Deregister(ctx, name) })
	}
	return nil
}

// storeFolder is where the databases are in a data folder.
const storeFolder = "db"

// storeURL names the databases in a data folder, whatever characters its path has.
func storeURL(dataDir string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(dataDir, storeFolder))
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	return "sqlite:" + (&url.URL{Path: filepath.ToSlash(folder)}).EscapedPath(), nil
}

func liveConfig(cfg config.Serve) (live.Config, error) {
	key, err := secret.File(filepath.Join(cfg.DataDir, "play.key"))
	if err != nil {
		return live.Config{}, fmt.Errorf("read play key: %w", err)
	}
	return live.Config{
		RTMPAddr: cfg.RTMPAddr, RTMPURL: cfg.LiveRTMPURL, PlaybackURL: cfg.LivePlaybackURL, Merge: cfg.LiveMerge,
		ReconnectWindow: cfg.LiveReconnectWindow, CoverInterval: cfg.LiveCoverInterval, FFmpeg: cfg.FFmpeg,
		StallTimeout: cfg.LiveStallTimeout, MaxViewers: cfg.LiveMaxViewers, PlayKey: []byte(key),
	}, nil
}
