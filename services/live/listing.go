package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/stoa-live/stoa/internal/pagination"
)

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

// wanted says which rooms to list; zero values want all.
type wanted struct {
	categoryID string
	ownerID    string
	onlyLive   bool
	query      string
}

// listRooms returns a page: rooms on the air first, by viewers, then the others, newest first.
func (s *Service) listRooms(ctx context.Context, w wanted, size int, after *listCursor) ([]listing, string, error) {
	found, err := s.search(ctx, w.query)
	if err != nil {
		return nil, "", err
	}
	filter := roomFilter{categoryID: w.categoryID, ownerID: w.ownerID, search: found}
	onAir := s.air.now()
	live := make([]string, 0, len(onAir))
	for id, b := range onAir {
		if b.State.Watchable() {
			live = append(live, id)
		}
	}
	var page []listing
	if after == nil || after.OnAir {
		f := filter
		f.ids = live
		rooms, err := s.db.rooms(ctx, f)
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
	if len(page) <= size && !w.onlyLive {
		f := filter
		f.notIDs, f.limit = live, size+1-len(page)
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
