package live

import (
	"context"

	"github.com/stoa-live/stoa/internal/pagination"
)

// endBroadcast ends the room's broadcast. Errors: NOT_LIVE.
func (s *Service) endBroadcast(roomID string) (Broadcast, error) {
	r := s.air.get(roomID)
	if r == nil {
		return Broadcast{}, errNotLive()
	}
	s.air.end(r)
	return s.air.view(r), nil
}

// lastBroadcast returns the room's running broadcast or its last one.
func (s *Service) lastBroadcast(ctx context.Context, room Room) (Broadcast, bool, error) {
	if r := s.air.get(room.ID); r != nil {
		return s.air.view(r), true, nil
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

// broadcastCursor is where a page of ListBroadcasts ended.
type broadcastCursor struct {
	ID string `json:"b"`
}

// listBroadcasts returns a page of a room's broadcasts, newest first. Errors: ROOM_NOT_FOUND.
func (s *Service) listBroadcasts(ctx context.Context, roomID string, size int, after broadcastCursor) ([]Broadcast, string, error) {
	room, err := s.db.room(ctx, roomID)
	if err != nil {
		return nil, "", err
	}
	// The running one is looked for before and after, for it may begin or end while the database is read.
	before := s.air.get(roomID)
	rows, err := s.db.roomBroadcasts(ctx, roomID, after.ID, size+1)
	if err != nil {
		return nil, "", err
	}
	running := []*running{before, s.air.get(roomID)}
	page, next := pagination.Page(rows, size, func(last Broadcast) broadcastCursor { return broadcastCursor{last.ID} })
	for i := range page {
		page[i].State = Ended // whatever was saved last, unless it is running
		page[i].Viewers = s.viewers.count(room.ConversationID)
		for _, r := range running {
			if r != nil && r.tally.broadcastID == page[i].ID {
				page[i] = s.air.view(r)
			}
		}
	}
	return page, next, nil
}
