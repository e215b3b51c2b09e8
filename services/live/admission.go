package live

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/services/live/ingest"
)

var _ ingest.Authorizer = (*air)(nil)

// Authorize implements ingest.Authorizer.
func (a *air) Authorize(ctx context.Context, app, key string, kick func(reason error)) (ingest.Publication, error) {
	publication, err := a.admit(ctx, app, key, kick)
	result := publishAccepted
	if err != nil {
		result = publishRefused
	}
	a.service.metrics.publishes.WithLabelValues(result).Inc()
	if err != nil {
		return nil, err // not the nil publication in an interface
	}
	return publication, nil
}

func (a *air) admit(ctx context.Context, app, key string, kick func(reason error)) (*encoder, error) {
	if app != rtmpApp {
		return nil, ingest.Refuse("Unknown application %q: the server address ends in /%s.", app, rtmpApp)
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	room, err := a.roomOf(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := a.allowed(ctx, room.OwnerID); err != nil {
		return nil, err
	}
	for {
		e, err := a.join(ctx, room, kick)
		if errors.Is(err, errEnded) {
			continue // the broadcast of before was just ending; join has waited for that
		}
		if err != nil {
			return nil, err
		}
		// The key may have been revoked meanwhile: whoever revokes it cuts the encoder that it sees, and this looks
		// after it can be seen.
		if again, err := a.roomOf(ctx, key); err != nil || again.ID != room.ID {
			e.Close(errKeyRevoked)
			return nil, ingest.Refuse("The stream key was revoked. Copy the current one.")
		}
		return e, nil
	}
}

// roomOf returns the room that a key opens.
func (a *air) roomOf(ctx context.Context, key string) (Room, error) {
	room, ok, err := a.service.db.roomByKey(ctx, hashKey(key))
	if err != nil {
		return Room{}, fmt.Errorf("look up stream key: %w", err)
	}
	if !ok {
		return Room{}, ingest.Refuse("The stream key is unknown or was revoked. Copy the current one.")
	}
	return room, nil
}

// allowed refuses encoders of people who are banned or gone.
func (a *air) allowed(ctx context.Context, ownerID string) error {
	resp, err := a.service.directory.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: []string{ownerID}})
	if err != nil {
		return fmt.Errorf("look up the room's owner: %w", err)
	}
	if len(resp.GetUsers()) == 0 || slices.Contains(resp.GetBannedUserIds(), ownerID) {
		return ingest.Refuse("The owner of this room may not go live.")
	}
	return nil
}
