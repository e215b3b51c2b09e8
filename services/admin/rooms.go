package admin

import (
	"context"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
)

// ListRooms pages through rooms in the order of LiveService.ListRooms.
func (s *Service) ListRooms(ctx context.Context, r *livev1.ListRoomsRequest) (*livev1.ListRoomsResponse, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	return s.rooms.ListRooms(ctx, r)
}

// EndBroadcast ends a room's broadcast, whoever owns the room. Errors: NOT_FOUND (ROOM_NOT_FOUND), FAILED_PRECONDITION
// (NOT_LIVE).
func (s *Service) EndBroadcast(ctx context.Context, roomID, reason string) (broadcast *livev1.Broadcast, err error) {
	entry := Entry{Action: ActionEndBroadcast, TargetID: roomID, Detail: reason}
	err = s.act(ctx, entry, func(ctx context.Context, entry *Entry) error {
		res, err := s.live.StopBroadcast(ctx, &livev1.StopBroadcastRequest{RoomId: roomID})
		broadcast = res.GetBroadcast()
		entry.TargetName = broadcast.GetTitle()
		return err
	})
	return broadcast, err
}

// WarnStreamer leaves a warning for a room's owner, in place of the one before. Errors: NOT_FOUND (ROOM_NOT_FOUND).
func (s *Service) WarnStreamer(ctx context.Context, roomID, text string) (warning *livev1.Warning, err error) {
	entry := Entry{Action: ActionWarnStreamer, TargetID: roomID, Detail: text}
	err = s.act(ctx, entry, func(ctx context.Context, entry *Entry) error {
		res, err := s.live.WarnOwner(ctx, &livev1.WarnOwnerRequest{RoomId: roomID, Text: text})
		warning = res.GetWarning()
		entry.TargetName = res.GetRoom().GetTitle()
		return err
	})
	return warning, err
}

// TakeDownCover removes a room's cover until its next broadcast. Errors: NOT_FOUND (ROOM_NOT_FOUND).
func (s *Service) TakeDownCover(ctx context.Context, roomID, reason string) (room *livev1.Room, err error) {
	entry := Entry{Action: ActionTakeDownCover, TargetID: roomID, Detail: reason}
	err = s.act(ctx, entry, func(ctx context.Context, entry *Entry) error {
		res, err := s.live.TakeDownCover(ctx, &livev1.TakeDownCoverRequest{RoomId: roomID})
		room = res.GetRoom()
		entry.TargetName = room.GetTitle()
		return err
	})
	return room, err
}
