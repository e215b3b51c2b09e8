package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway/xds"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/parts"
	"github.com/stoa-live/stoa/internal/parts/partstest"
	"github.com/stoa-live/stoa/internal/testkit"
)

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

// TestEnvoyFollowsConsul: a process that comes takes calls through Envoy, and one that has gone takes none.
func TestEnvoyFollowsConsul(t *testing.T) {
	consul := partstest.URL(t, "consul") + "?prefix=" + strings.ToLower(rand.Text()) + "-"
	partstest.Envoy(t)
	ctx, stop := context.WithCancel(t.Context())
	c := xdsCommand{Addr: freeAddress(t), Listen: freeAddress(t), Registry: consul, LogFormat: "text", LogLevel: "error"}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	envoy, err := parts.Envoy(t.Context(), t.TempDir(), c.Addr, "envoy-1", xds.NodeCluster)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envoy.Stop(); err != nil {
			t.Error(err)
		}
	})
	ask := func() connect.Code {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := authv1connect.NewAuthServiceClient(http.DefaultClient, "http://"+c.Listen).GetSetup(ctx, &authv1.GetSetupRequest{})
		if err == nil {
			return 0
		}
		return connect.CodeOf(err)
	}
	until := func(what string, code connect.Code) time.Duration {
		t.Helper()
		start := time.Now()
		testkit.Eventually(t, time.Minute, what, func() bool { return ask() == code })
		return time.Since(start)
	}
	until("Envoy says that nobody is there", connect.CodeUnavailable)
	s := testkit.Start(t, func(cfg *config.Serve) {
		cfg.Registry, cfg.InternalAddr = consul, "127.0.0.1:0"
		cfg.ServiceKey = base64.StdEncoding.EncodeToString(make([]byte, 32))
	})
	t.Logf("a new process took calls after %v", until("a process answers", 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was out after %v", until("nobody is there again", connect.CodeUnavailable))
}
