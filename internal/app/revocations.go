package app

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/registry"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/services/auth"
)

// revocationsEvery is how often the list is asked for, in case the bus lost an event.
const revocationsEvery = time.Minute

// followRevocations keeps this process's verifier informed: of what was revoked before it started, by events from now
// on, and by the list now and then.
func (a *App) followRevocations(ctx context.Context, events bus.Bus, reg registry.Registry, stack rpc.Deps) error {
	options, err := rpc.ClientOptions(stack, "gateway")
	if err != nil {
		return err
	}
	directory, err := rpc.Client(ctx, reg, "auth", authv1connect.NewDirectoryServiceClient, options)
	if err != nil {
		return fmt.Errorf("follow revocations: %w", err)
	}
	subscription, err := bus.Subscribe(events, auth.TopicSessionsRevoked, "", func(_ context.Context, _ string, e *authv1.SessionsRevoked) error {
		addRevocations(stack.Revocations, e.GetRevocations())
		return nil
	})
	if err != nil {
		return fmt.Errorf("follow revocations: %w", err)
	}
	load := func(ctx context.Context) error {
		since := timestamppb.New(time.Now().Add(-AccessLifetime))
		resp, err := directory.ListRevocations(ctx, &authv1.ListRevocationsRequest{Since: since})
		if err != nil {
			return fmt.Errorf("list revocations: %w", err)
		}
		addRevocations(stack.Revocations, resp.GetRevocations())
		return nil
	}
	polling, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-polling.Done():
				return
			case <-time.After(revocationsEvery):
			}
			if err := load(polling); err != nil && polling.Err() == nil {
				a.log.Warn("revocations were not refreshed", "error", err)
			}
		}
	}()
	a.onClose("revocations", func(context.Context) error {
		stop()
		<-done
		return subscription.Close()
	})
	return a.patiently(ctx, "auth", load)
}

// startPatience is how long a process waits at its start for neighbours that start as well.
const startPatience = 2 * time.Minute

// patiently tries again, for as long as startPatience, where a neighbour cannot be reached yet.
func (a *App) patiently(ctx context.Context, neighbour string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for told := false; ; told = true {
		err := try(ctx)
		if err == nil || connect.CodeOf(err) != connect.CodeUnavailable {
			return err
		}
		if !told {
			a.log.Info("waiting for a neighbour", "neighbour", neighbour, "cause", err.Error())
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func addRevocations(known *authn.Revocations, list []*authv1.Revocation) {
	for _, r := range list {
		known.Add(r.GetSessionId(), r.GetRevokedAt().AsTime())
	}
}
