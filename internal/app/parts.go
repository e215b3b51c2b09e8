package app

import (
	"fmt"
	"net/url"
	"path/filepath"

	"connectrpc.com/grpchealth"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/secret"
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
