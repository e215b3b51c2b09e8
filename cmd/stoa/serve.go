package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/stoa-live/stoa/clients/web"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/heap"
	"github.com/stoa-live/stoa/internal/telemetry"
)

type serveCommand struct {
	config.Serve `embed:""`
}

// invitation is what who starts a server without an administrator reads.
const invitation = `
  Welcome to Stoa. It has no administrator yet: open this link to become the first one.

    %s

  It works once. The next start prints another one.

`

// setupLink is where a browser on this machine makes the first administrator. The token stands behind "#", which browsers
// send to nobody.
func setupLink(c *config.Serve, listening net.Addr, token string) string {
	link := url.URL{Scheme: "http", Path: "/admin/setup", Fragment: token}
	if c.TLSCert != "" {
		link.Scheme = "https"
	}
	host, _, _ := net.SplitHostPort(c.HTTPAddr) // it listens there, so it can be read
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String()) // the one that was found, for port 0
	link.Host = net.JoinHostPort(host, port)
	return link.String()
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
	keeping, stop := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { heap.Keep(keeping) })
	defer func() {
		stop()
		keeper.Wait()
	}()
	c.Version = version
	a, err := app.Start(ctx, c.Serve, files, log)
	if err != nil {
		return err
	}
	if token := a.SetupToken(); token != "" {
		// Not by the log: it may be kept, or sent elsewhere.
		fmt.Printf(invitation, setupLink(&c.Serve, a.HTTPAddr(), token))
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
