package live

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// createRoom opens a room for the caller. Errors: TITLE_INVALID, CATEGORY_NOT_FOUND, ROOM_CREATION_DISABLED,
// TOO_MANY_ROOMS.
func (s *Service) createRoom(ctx context.Context, caller authn.Principal, title, categoryID, requestID string) (Room, error) {
	ownerID := caller.UserID
	title, err := validTitle(title)
	if err != nil {
		return Room{}, err
	}
	if err := validCategory(categoryID); err != nil {
		return Room{}, err
	}
	if room, ok, err := s.db.roomByRequest(ctx, ownerID, requestID); err != nil || ok {
		return room, err
	}
	if err := s.mayCreate(ctx, caller); err != nil {
		return Room{}, err
	}
	if n, err := s.db.countRooms(ctx, ownerID); err != nil {
		return Room{}, err
	} else if n >= maxRoomsPerOwner {
		return Room{}, errs.ResourceExhausted("TOO_MANY_ROOMS", "A user may have %d rooms.", maxRoomsPerOwner)
	}
	now := s.stamp()
	room := Room{
		ID: ulid.Make().String(), OwnerID: ownerID, Title: title, CategoryID: categoryID,
		ConversationID: ulid.Make().String(), RequestID: requestID, CreatedAt: now, UpdatedAt: now,
	}
	// The conversation comes first: a room without one could not be entered, one without a room is never seen.
	if _, err := s.conversations.CreateConversation(ctx, &chatv1.CreateConversationRequest{
		ConversationId: room.ConversationID, Kind: chatv1.ConversationKind_CONVERSATION_KIND_LIVE_ROOM, OwnerId: ownerID,
	}); err != nil {
		return Room{}, fmt.Errorf("create the room's conversation: %w", err)
	}
	return s.db.createRoom(ctx, room)
}

// mayCreate asks the site's settings whether users may open rooms now; the staff always may. Errors:
// ROOM_CREATION_DISABLED.
func (s *Service) mayCreate(ctx context.Context, caller authn.Principal) error {
	if caller.IsStaff() {
		return nil
	}
	resp, err := s.site.GetSite(ctx, &sitev1.GetSiteRequest{})
	if err != nil {
		return fmt.Errorf("ask for the site's settings: %w", err)
	}
	if !resp.GetSite().GetRoomCreationEnabled() {
		return errRoomCreationDisabled()
	}
	return nil
}

// updateRoom changes what is not nil. Errors: ROOM_NOT_FOUND, NOT_ROOM_OWNER, TITLE_INVALID, CATEGORY_NOT_FOUND.
func (s *Service) updateRoom(ctx context.Context, callerID, roomID string, title, categoryID *string) (Room, error) {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return Room{}, err
	}
	if title != nil {
		valid, err := validTitle(*title)
		if err != nil {
			return Room{}, err
		}
		title = &valid
	}
	if categoryID != nil {
		if err := validCategory(*categoryID); err != nil {
			return Room{}, err
		}
	}
	return s.db.updateRoom(ctx, roomID, title, categoryID, s.stamp())
}

// ownRoom returns a room of the caller's. Errors: ROOM_NOT_FOUND, NOT_ROOM_OWNER.
func (s *Service) ownRoom(ctx context.Context, callerID, roomID string) (Room, error) {
	room, err := s.db.room(ctx, roomID)
	if err != nil {
		return Room{}, err
	}
	if room.OwnerID != callerID {
		return Room{}, errNotOwner()
	}
	return room, nil
}

// users returns people by id, from the auth service.
func (s *Service) users(ctx context.Context, ids ...string) (map[string]*authv1.User, error) {
	slices.Sort(ids)
	out := make(map[string]*authv1.User, len(ids))
	for chunk := range slices.Chunk(slices.Compact(ids), 200) {
		resp, err := s.directory.BatchGetUsers(ctx, &authv1.BatchGetUsersRequest{UserIds: chunk})
		if err != nil {
			return nil, fmt.Errorf("look up users: %w", err)
		}
		for _, u := range resp.GetUsers() {
			out[u.GetId()] = u
		}
	}
	return out, nil
}

// warnOwner leaves a warning for a room's owner, in place of one that was not acknowledged. Errors: ROOM_NOT_FOUND.
func (s *Service) warnOwner(ctx context.Context, roomID, text string) (Room, error) {
	return s.db.setWarning(ctx, roomID, Warning{ID: ulid.Make().String(), Text: text, At: s.stamp()})
}

// acknowledgeWarning takes away a warning that the owner has read. Errors: those of ownRoom, WARNING_NOT_FOUND where it
// is not the room's latest or was acknowledged before.
func (s *Service) acknowledgeWarning(ctx context.Context, callerID, roomID, warningID string) error {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return err
	}
	cleared, err := s.db.clearWarning(ctx, roomID, warningID)
	if err == nil && !cleared {
		err = errWarningNotFound(warningID)
	}
	return err
}
