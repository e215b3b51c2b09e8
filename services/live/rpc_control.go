package live

import (
	"context"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
)

// controlHandler is ControlService on the wire.
type controlHandler struct{ s *Service }

var _ livev1connect.ControlServiceHandler = (*controlHandler)(nil)

func (h *controlHandler) StopBroadcast(ctx context.Context, req *livev1.StopBroadcastRequest) (*livev1.StopBroadcastResponse, error) {
	if _, err := h.s.db.room(ctx, req.GetRoomId()); err != nil {
		return nil, err
	}
	b, err := h.s.endBroadcast(req.GetRoomId())
	if err != nil {
		return nil, err
	}
	return &livev1.StopBroadcastResponse{Broadcast: h.s.broadcastProto(b)}, nil
}

func (h *controlHandler) WarnOwner(ctx context.Context, req *livev1.WarnOwnerRequest) (*livev1.WarnOwnerResponse, error) {
	room, err := h.s.warnOwner(ctx, req.GetRoomId(), req.GetText())
	if err != nil {
		return nil, err
	}
	out, err := h.s.publicRoom(ctx, room)
	if err != nil {
		return nil, err
	}
	return &livev1.WarnOwnerResponse{Warning: warningProto(*room.Warning), Room: out}, nil
}

func (h *controlHandler) TakeDownCover(ctx context.Context, req *livev1.TakeDownCoverRequest) (*livev1.TakeDownCoverResponse, error) {
	room, err := h.s.covers.takeDown(ctx, req.GetRoomId())
	if err != nil {
		return nil, err
	}
	out, err := h.s.publicRoom(ctx, room)
	if err != nil {
		return nil, err
	}
	return &livev1.TakeDownCoverResponse{Room: out}, nil
}

func (h *controlHandler) GetTotals(context.Context, *livev1.GetTotalsRequest) (*livev1.GetTotalsResponse, error) {
	broadcasts, viewers, connections := h.s.air.totals()
	return &livev1.GetTotalsResponse{
		BroadcastCount: int32(broadcasts), ViewerCount: int32(viewers), ConnectionCount: int32(connections),
	}, nil
}
