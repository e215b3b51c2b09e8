package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

// createRoom opens a room for its owner. Errors: TITLE_INVALID, CATEGORY_NOT_FOUND, TOO_MANY_ROOMS.
func (s *Service) createRoom(ctx context.Context, ownerID, title, categoryID, requestID string) (Room, error) {
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
	if n, err := s.db.countRooms(ctx, ownerID); err != nil {
		return Room{}, err
	} else if n >= maxRoomsPerOwner {
		return Room{}, errs.ResourceExhausted("TOO_MANY_ROOMS", "A user may have %d rooms.", maxRoomsPerOwner)
	}
	now := s.now().UTC()
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
	return s.db.updateRoom(ctx, roomID, title, categoryID, s.now().UTC())
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

// issueKey replaces the room's stream key; an encoder that uses the old one is cut. Errors: those of ownRoom.
func (s *Service) issueKey(ctx context.Context, callerID, roomID string) (string, error) {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return "", err
	}
	key, hash := newStreamKey()
	if err := s.db.setKey(ctx, roomID, hash); err != nil {
		return "", err
	}
	s.air.cut(roomID, errKeyRevoked)
	return key, nil
}

// revokeKey takes the room's stream key back and cuts the encoder that uses it. Errors: those of ownRoom.
func (s *Service) revokeKey(ctx context.Context, callerID, roomID string) error {
	if _, err := s.ownRoom(ctx, callerID, roomID); err != nil {
		return err
	}
	if err := s.db.setKey(ctx, roomID, nil); err != nil {
		return err
	}
	s.air.cut(roomID, errKeyRevoked)
	return nil
}

// endBroadcast ends the room's broadcast. Errors: NOT_LIVE.
func (s *Service) endBroadcast(roomID string) (Broadcast, error) {
	r := s.air.get(roomID)
	if r == nil {
		return Broadcast{}, errNotLive()
	}
	return s.air.end(r), nil
}

// lastBroadcast returns the room's running broadcast or its last one.
func (s *Service) lastBroadcast(ctx context.Context, room Room) (Broadcast, bool, error) {
	if r := s.air.get(room.ID); r != nil {
		b := *r.shown.Load()
		b.Viewers = s.viewers.count(room.ConversationID)
		return b, true, nil
	}
	if room.LastBroadcastID == "" {
		return Broadcast{}, false, nil
	}
	known, err := s.db.broadcasts(ctx, []string{room.LastBroadcastID})
	if err != nil {
		return Broadcast{}, false, err
	}
	b, ok := known[room.LastBroadcastID]
	b.State = Ended // whatever was saved last: it is not running
	b.Viewers = s.viewers.count(room.ConversationID)
	return b, ok, nil
}

// listing is one room in a list.
type listing struct {
	Room      Room
	Broadcast *Broadcast // nil before the first
}

// listCursor is where a page of ListRooms ended: among the rooms on the air (by viewers, then age) or among the others.
type listCursor struct {
	OnAir   bool   `json:"a,omitempty"`
	Viewers int    `json:"v,omitempty"`
	RoomID  string `json:"r"`
}

// listRooms returns a page: rooms on the air first, by viewers, then the others, newest first.
func (s *Service) listRooms(ctx context.Context, categoryID, ownerID string, onlyLive bool, size int, after *listCursor) ([]listing, string, error) {
	onAir := s.air.now()
	live := make([]string, 0, len(onAir))
	for id, b := range onAir {
		if b.State.Watchable() {
			live = append(live, id)
		}
	}
	var page []listing
	if after == nil || after.OnAir {
		rooms, err := s.db.rooms(ctx, roomFilter{categoryID: categoryID, ownerID: ownerID, ids: live})
		if err != nil {
			return nil, "", err
		}
		for _, room := range rooms {
			b := onAir[room.ID]
			if after == nil || b.Viewers < after.Viewers || (b.Viewers == after.Viewers && room.ID < after.RoomID) {
				page = append(page, listing{room, &b})
			}
		}
		slices.SortFunc(page, func(x, y listing) int {
			return cmp.Or(cmp.Compare(y.Broadcast.Viewers, x.Broadcast.Viewers), cmp.Compare(y.Room.ID, x.Room.ID))
		})
	}
	if len(page) <= size && !onlyLive {
		f := roomFilter{categoryID: categoryID, ownerID: ownerID, notIDs: live, limit: size + 1 - len(page)}
		if after != nil && !after.OnAir {
			f.beforeID = after.RoomID
		}
		rooms, err := s.db.rooms(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, room := range rooms {
			page = append(page, listing{Room: room})
		}
		if err := s.addLastBroadcasts(ctx, page, onAir); err != nil {
			return nil, "", err
		}
	}
	page, next := pagination.Page(page, size, func(last listing) listCursor {
		if last.Broadcast != nil && last.Broadcast.State.Watchable() {
			return listCursor{OnAir: true, Viewers: last.Broadcast.Viewers, RoomID: last.Room.ID}
		}
		return listCursor{RoomID: last.Room.ID}
	})
	return page, next, nil
}

func (s *Service) addLastBroadcasts(ctx context.Context, page []listing, onAir map[string]Broadcast) error {
	var ids []string
	for _, l := range page {
		if l.Broadcast == nil && l.Room.LastBroadcastID != "" {
			ids = append(ids, l.Room.LastBroadcastID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	known, err := s.db.broadcasts(ctx, ids)
	if err != nil {
		return err
	}
	for i, l := range page {
		if l.Broadcast != nil {
			continue
		}
		b, ok := onAir[l.Room.ID] // starting
		if !ok {
			b, ok = known[l.Room.LastBroadcastID]
			b.State = Ended
		}
		if ok {
			page[i].Broadcast = &b
		}
	}
	return nil
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
