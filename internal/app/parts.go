package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"connectrpc.com/grpchealth"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
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

// loadRevocations asks auth for the sessions whose tokens may still be alive.
func (a *App) loadRevocations(ctx context.Context, reg registry.Registry, stack rpc.Deps, deps service.Deps) error {
	options, err := rpc.ClientOptions(stack, "gateway")
	if err != nil {
		return err
	}
	directory, err := rpc.Client(ctx, reg, "auth", authv1connect.NewDirectoryServiceClient, options)
	if err != nil {
		return fmt.Errorf("load revocations: %w", err)
	}
	resp, err := directory.ListRevocations(ctx, &authv1.ListRevocationsRequest{Since: timestamppb.New(deps.Now().Add(-AccessLifetime))})
	if err != nil {
		return fmt.Errorf("load revocations: %w", err)
	}
	for _, r := range resp.GetRevocations() {
		stack.Revocations.Add(r.GetSessionId(), r.GetRevokedAt().AsTime())
	}
	return nil
}

// storeURL names the databases in a data folder, whatever characters its path has.
func storeURL(dataDir string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(dataDir, "db"))
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	return "sqlite:" + (&url.URL{Path: filepath.ToSlash(folder)}).EscapedPath(), nil
}

func liveConfig(cfg config.Serve) (live.Config, error) {
	key, err := secretFile(filepath.Join(cfg.DataDir, "play.key"))
	if err != nil {
		return live.Config{}, fmt.Errorf("read play key: %w", err)
	}
	return live.Config{
		RTMPAddr: cfg.RTMPAddr, RTMPURL: cfg.LiveRTMPURL, PlaybackURL: cfg.LivePlaybackURL, Merge: cfg.LiveMerge,
		ReconnectWindow: cfg.LiveReconnectWindow, CoverInterval: cfg.LiveCoverInterval, FFmpeg: cfg.FFmpeg,
		StallTimeout: cfg.LiveStallTimeout, MaxViewers: cfg.LiveMaxViewers, PlayKey: key,
	}, nil
}

// secretFile returns the 32 random bytes in a file that only its owner can read, which it makes where there is none.
func secretFile(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		return key, os.WriteFile(path, key, 0o600)
	}
	if err == nil && len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold 32 bytes: remove it to have it made anew", path)
	}
	return key, err
}
