package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/services/chat"
)

// Restored prepares a data folder that a backup took the place of, while no server runs on it. It returns how many
// conversations devices will fetch anew.
func Restored(ctx context.Context, dataDir, store string, log *slog.Logger) (conversations int64, err error) {
	if store == "" {
		if store, err = storeURL(dataDir); err != nil {
			return 0, err
		}
	}
	if conversations, err = chat.Restored(ctx, service.Deps{Logger: log, StoreURL: store}); err != nil {
		return 0, fmt.Errorf("prepare restored store: %w", err)
	}
	return conversations, nil
}
