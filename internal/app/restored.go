package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

// Restored prepares a data folder that a backup took the place of, while no server runs on it. It returns how many
// conversations devices will fetch anew.
func Restored(ctx context.Context, dataDir, store string, log *slog.Logger) (conversations int64, err error) {
	if store == "" {
		// To open a store that is not there would make an empty one.
		if _, err := os.Stat(filepath.Join(dataDir, storeFolder, "chat.db")); errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("there is no database in %s: name the server's folder by --data-dir", dataDir)
		}
		if store, err = storeURL(dataDir); err != nil {
			return 0, err
		}
	}
	if conversations, err = chat.Restored(ctx, service.Deps{Logger: log, StoreURL: store}); err != nil {
		return 0, fmt.Errorf("prepare restored store: %w", err)
	}
	return conversations, nil
}
