package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/gateway/xds"
	"github.com/stoa-live/stoa/internal/app"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/telemetry"
)

type xdsCommand struct {
	Addr        string  `name:"addr" env:"STOA_XDS_ADDR" default:"127.0.0.1:7500" help:"Address on which Envoys ask (ADS over gRPC, not for clients)."`
	Listen      string  `name:"listen" env:"STOA_XDS_LISTEN" default:"0.0.0.0:8080" help:"Address on which Envoys listen for clients."`
	Registry    string  `name:"registry" env:"STOA_REGISTRY" required:"" help:"Where services are found, as for serve."`
	Web         string  `name:"web" env:"STOA_XDS_WEB" help:"HTTP address of a process that has the web apps, such as 10.0.0.7:8080; none without."`
	Certificate string  `name:"tls-cert" env:"STOA_TLS_CERT" help:"Certificate chain (PEM file) that Envoys show; with it they speak HTTP/3 as well."`
	Key         string  `name:"tls-key" env:"STOA_TLS_KEY" help:"Private key (PEM file) of the certificate."`
	RateLimit   float64 `name:"rate-limit" env:"STOA_RATE_LIMIT" default:"100" help:"Requests a second from one address at each Envoy, after a burst of four seconds' worth; 0 for no limit."`
	LogFormat   string  `name:"log-format" env:"STOA_LOG_FORMAT" default:"text" enum:"text,json" help:"text or json."`
	LogLevel    string  `name:"log-level" env:"STOA_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// xdsEvery is how often the registry's list, which it keeps up to date by itself, is looked at.
const xdsEvery = 250 * time.Millisecond

// Run tells Envoys where everything is until a signal comes.
func (c *xdsCommand) Run(ctx context.Context) (err error) {
	log, err := telemetry.NewLogger(os.Stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	cfg := xds.Config{Services: app.PublicServices(), Address: c.Listen, RateLimit: c.RateLimit}
	for _, file := range []struct {
		path string
		text *string
	}{{c.Certificate, &cfg.Certificate}, {c.Key, &cfg.Key}} {
		if file.path == "" {
			continue
		}
		pem, err := os.ReadFile(file.path) //nolint:gosec // the operator names it
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		*file.text = string(pem)
	}
	metrics := telemetry.NewMetrics()
	reg, err := registry.Open(ctx, c.Registry, registry.WithLogger(log), registry.WithMetrics(metrics.Registry))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	server, err := xds.New(cfg, log, metrics.Registry)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("open port for Envoys %s: %w", c.Addr, err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Close()
		err = errors.Join(err, <-served)
	}()
	log.Info("telling Envoys where everything is", "addr", l.Addr().String())
	return c.follow(ctx, reg, server, log)
}

// follow tells what the registry lists, each time that it changes.
func (c *xdsCommand) follow(ctx context.Context, reg registry.Registry, server *xds.Server, log *slog.Logger) error {
	look := time.NewTicker(xdsEvery)
	defer look.Stop()
	for told := ""; ; {
		in, useless, err := c.instances(ctx, reg)
		if err == nil {
			err = server.Set(ctx, in)
		}
		if ctx.Err() != nil {
			return nil
		}
		problem := strings.Join(useless, "; ")
		if err != nil {
			problem = err.Error()
		}
		if problem != "" && problem != told { // once, as long as it stays the same
			log.Error("Envoys are not told of everything", "cause", problem)
		}
		told = problem
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// instances lists who answers for the routes, without those that no Envoy can call.
func (c *xdsCommand) instances(ctx context.Context, reg registry.Registry) (in xds.Instances, useless []string, err error) {
	in = make(xds.Instances)
	if c.Web != "" {
		in[""] = []xds.Instance{{Address: c.Web}}
	}
	for _, route := range gateway.Routes(app.PublicServices()) {
		if _, known := in[route.Service]; known || route.Service == "" {
			continue
		}
		in[route.Service] = nil
		list, err := reg.Instances(ctx, route.Service)
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return nil, nil, err
		}
		for _, i := range list {
			instance, err := xds.InstanceAt(i.URL, i.Zone, i.Weight)
			if err != nil {
				useless = append(useless, i.ID+": "+err.Error())
				continue
			}
			in[route.Service] = append(in[route.Service], instance)
		}
	}
	return in, useless, nil
}
