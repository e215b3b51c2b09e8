package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/stoa-live/stoa/internal/config"
)

// listenProfiles opens the port on which `go tool pprof` finds out where time and memory go. Profiles tell much of a
// process and cost it time, so the port is closed by default and may be on the loopback only.
func (a *App) listenProfiles(ctx context.Context, cfg config.Serve) error {
	if cfg.PprofAddr == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.PprofAddr)
	if err != nil {
		return fmt.Errorf("open profiles port %s: %w", cfg.PprofAddr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("profiles are not served any more", "cause", err)
		}
	}()
	a.onClose("profiles port", func(context.Context) error {
		err := server.Close()
		<-done
		return err
	})
	a.log.Info("profiles are served", "pprof", l.Addr().String())
	return nil
}
