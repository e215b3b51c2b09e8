package live

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

// Bounds of pages.
const (
	pageDefault = 20
	pageMax     = 100
)

// rpcHandler is LiveService on the wire.
type rpcHandler struct{ s *Service }

var _ livev1connect.LiveServiceHandler = (*rpcHandler)(nil)

func (h *rpcHandler) CreateRoom(ctx context.Context, req *livev1.CreateRoomRequest) (*livev1.CreateRoomResponse, error) {
	room, err := h.s.createRoom(ctx, authn.MustFrom(ctx), req.GetTitle(), req.GetCategoryId(), req.GetRequestId())
	if err != nil {
		return nil, err
	}
	out, err := h.s.publicRoom(ctx, room)
	if err != nil {
		return nil, err
	}
	return &livev1.CreateRoomResponse{Room: out}, nil
}

func (h *rpcHandler) UpdateRoom(ctx context.Context, req *livev1.UpdateRoomRequest) (*livev1.UpdateRoomResponse, error) {
	if err := validMask(req.GetUpdateMask(), "title", "category_id"); err != nil {
		return nil, err
	}
	var title, category *string
	if slices.Contains(req.GetUpdateMask().GetPaths(), "title") {
		title = &req.Title
	}
	if slices.Contains(req.GetUpdateMask().GetPaths(), "category_id") {
		category = &req.CategoryId
	}
	room, err := h.s.updateRoom(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId(), title, category)
	if err != nil {
		return nil, err
	}
	out, err := h.s.publicRoom(ctx, room)
	if err != nil {
		return nil, err
	}
	return &livev1.UpdateRoomResponse{Room: out}, nil
}

// validMask checks an update mask against the fields that may be changed.
func validMask(mask *fieldmaskpb.FieldMask, fields ...string) error {
	if len(mask.GetPaths()) == 0 {
		return errs.InvalidArgument("UPDATE_MASK_INVALID", "update_mask names no field; it may name %q.", fields)
	}
	for _, path := range mask.GetPaths() {
		if !slices.Contains(fields, path) {
			return errs.InvalidArgument("UPDATE_MASK_INVALID", "update_mask names %q; it may name %q.", path, fields)
		}
	}
	return nil
}

func (h *rpcHandler) GetRoom(ctx context.Context, req *livev1.GetRoomRequest) (*livev1.GetRoomResponse, error) {
	room, err := h.s.db.room(ctx, req.GetRoomId())
	if err != nil {
		return nil, err
	}
	caller := authn.MustFrom(ctx)
	b, ok, err := h.s.lastBroadcast(ctx, room)
	if err != nil {
		return nil, err
	}
	out := &livev1.GetRoomResponse{}
	if out.Room, err = h.s.publicRoom(ctx, room); err != nil {
		return nil, err
	}
	if ok {
		out.Broadcast = h.s.broadcastProto(b)
	}
	if b.State.Watchable() {
		out.Playback = h.playback(ctx, room.ID, caller.SessionID)
	}
	if caller.UserID == room.OwnerID && room.Warning != nil {
		out.Warning = warningProto(*room.Warning)
	}
	return out, nil
}

func (h *rpcHandler) ListRooms(ctx context.Context, req *livev1.ListRoomsRequest) (*livev1.ListRoomsResponse, error) {
	cursor, ok, err := pagination.Decode[listCursor](req.GetPageToken())
	if err != nil {
		return nil, err
	}
	var after *listCursor
	if ok {
		after = &cursor
	}
	page, next, err := h.s.listRooms(ctx, wanted{
		categoryID: req.GetCategoryId(), ownerID: req.GetOwnerId(), onlyLive: req.GetOnlyLive(), query: req.GetQuery(),
	}, pagination.Size(req.GetPageSize(), pageDefault, pageMax), after)
	if err != nil {
		return nil, err
	}
	owners := make([]string, len(page))
	for i, l := range page {
		owners[i] = l.Room.OwnerID
	}
	users, err := h.s.users(ctx, owners...)
	if err != nil {
		return nil, err
	}
	out := &livev1.ListRoomsResponse{NextPageToken: next}
	for _, l := range page {
		item := &livev1.ListRoomsResponse_Item{Room: h.s.roomProto(l.Room, users)}
		if l.Broadcast != nil {
			item.Broadcast = h.s.broadcastProto(*l.Broadcast)
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

func (h *rpcHandler) ListCategories(_ context.Context, req *livev1.ListCategoriesRequest) (*livev1.ListCategoriesResponse, error) {
	type place struct {
		After string `json:"c"`
	}
	cursor, started, err := pagination.Decode[place](req.GetPageToken())
	if err != nil {
		return nil, err
	}
	rest := categories()
	if started {
		i := slices.IndexFunc(rest, func(c Category) bool { return c.ID == cursor.After })
		rest = rest[i+1:]
	}
	page, next := pagination.Page(rest, pagination.Size(req.GetPageSize(), pageDefault, pageMax), func(c Category) place { return place{c.ID} })
	out := &livev1.ListCategoriesResponse{NextPageToken: next}
	for _, c := range page {
		out.Categories = append(out.Categories, &livev1.Category{Id: c.ID, Name: c.Name, NameZh: c.NameZH})
	}
	return out, nil
}

func (h *rpcHandler) ListBroadcasts(ctx context.Context, req *livev1.ListBroadcastsRequest) (*livev1.ListBroadcastsResponse, error) {
	cursor, _, err := pagination.Decode[broadcastCursor](req.GetPageToken())
	if err != nil {
		return nil, err
	}
	page, next, err := h.s.listBroadcasts(ctx, req.GetRoomId(), pagination.Size(req.GetPageSize(), pageDefault, pageMax), cursor)
	if err != nil {
		return nil, err
	}
	out := &livev1.ListBroadcastsResponse{NextPageToken: next}
	for _, b := range page {
		out.Broadcasts = append(out.Broadcasts, h.s.broadcastProto(b))
	}
	return out, nil
}

func (h *rpcHandler) SetCover(ctx context.Context, req *livev1.SetCoverRequest) (*livev1.SetCoverResponse, error) {
	caller := authn.MustFrom(ctx).UserID
	var room Room
	var err error
	switch source := req.GetSource().(type) {
	case *livev1.SetCoverRequest_Image:
		room, err = h.s.uploadCover(ctx, caller, req.GetRoomId(), source.Image)
	case *livev1.SetCoverRequest_Snapshot:
		room, err = h.s.keepSnapshot(ctx, caller, req.GetRoomId())
	default: // the contract knows one more
		room, err = h.s.automaticCover(ctx, caller, req.GetRoomId())
	}
	if err != nil {
		return nil, err
	}
	out, err := h.s.publicRoom(ctx, room)
	if err != nil {
		return nil, err
	}
	return &livev1.SetCoverResponse{Room: out}, nil
}

func (h *rpcHandler) AcknowledgeWarning(ctx context.Context, req *livev1.AcknowledgeWarningRequest) (*livev1.AcknowledgeWarningResponse, error) {
	return &livev1.AcknowledgeWarningResponse{}, h.s.acknowledgeWarning(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId(), req.GetWarningId())
}

func (h *rpcHandler) GetStreamKey(ctx context.Context, req *livev1.GetStreamKeyRequest) (*livev1.GetStreamKeyResponse, error) {
	key, err := h.s.streamKey(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId())
	if err != nil {
		return nil, err
	}
	return &livev1.GetStreamKeyResponse{RtmpUrl: h.rtmpURL(ctx), StreamKey: key}, nil
}

func (h *rpcHandler) IssueStreamKey(ctx context.Context, req *livev1.IssueStreamKeyRequest) (*livev1.IssueStreamKeyResponse, error) {
	key, err := h.s.issueKey(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId())
	if err != nil {
		return nil, err
	}
	return &livev1.IssueStreamKeyResponse{RtmpUrl: h.rtmpURL(ctx), StreamKey: key}, nil
}

func (h *rpcHandler) RevokeStreamKey(ctx context.Context, req *livev1.RevokeStreamKeyRequest) (*livev1.RevokeStreamKeyResponse, error) {
	return &livev1.RevokeStreamKeyResponse{}, h.s.revokeKey(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId())
}

func (h *rpcHandler) EndBroadcast(ctx context.Context, req *livev1.EndBroadcastRequest) (*livev1.EndBroadcastResponse, error) {
	if _, err := h.s.ownRoom(ctx, authn.MustFrom(ctx).UserID, req.GetRoomId()); err != nil {
		return nil, err
	}
	b, err := h.s.endBroadcast(req.GetRoomId())
	if err != nil {
		return nil, err
	}
	return &livev1.EndBroadcastResponse{Broadcast: h.s.broadcastProto(b)}, nil
}

func (h *rpcHandler) GetStreamStats(ctx context.Context, req *livev1.GetStreamStatsRequest) (*livev1.GetStreamStatsResponse, error) {
	if _, err := h.s.db.room(ctx, req.GetRoomId()); err != nil {
		return nil, err
	}
	stats, b, err := h.s.air.stats(req.GetRoomId())
	if err != nil {
		return nil, err
	}
	out := statsProto(stats)
	out.Uptime = durationpb.New(h.s.now().Sub(b.StartedAt))
	return &livev1.GetStreamStatsResponse{Stats: out}, nil
}
