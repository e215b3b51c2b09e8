package live

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/services/live/hub"
)

// Bounds of pages.
const (
	pageDefault = 20
	pageMax     = 100
)

// rpcHandler is LiveService on the wire.
type rpcHandler struct {
	livev1connect.UnimplementedLiveServiceHandler

	s *Service
}

var _ livev1connect.LiveServiceHandler = (*rpcHandler)(nil)

func (h *rpcHandler) CreateRoom(ctx context.Context, req *livev1.CreateRoomRequest) (*livev1.CreateRoomResponse, error) {
	room, err := h.s.createRoom(ctx, authn.MustFrom(ctx).UserID, req.GetTitle(), req.GetCategoryId(), req.GetRequestId())
	if err != nil {
		return nil, err
	}
	out, err := h.room(ctx, room)
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
	out, err := h.room(ctx, room)
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
	b, ok, err := h.s.lastBroadcast(ctx, room)
	if err != nil {
		return nil, err
	}
	out := &livev1.GetRoomResponse{}
	if out.Room, err = h.room(ctx, room); err != nil {
		return nil, err
	}
	if ok {
		out.Broadcast = broadcastProto(b)
	}
	if b.State.Watchable() {
		out.Playback = h.playback(ctx, room.ID, authn.MustFrom(ctx).SessionID)
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
	page, next, err := h.s.listRooms(ctx, req.GetCategoryId(), req.GetOwnerId(), req.GetOnlyLive(),
		pagination.Size(req.GetPageSize(), pageDefault, pageMax), after)
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
		item := &livev1.ListRoomsResponse_Item{Room: roomProto(l.Room, users)}
		if l.Broadcast != nil {
			item.Broadcast = broadcastProto(*l.Broadcast)
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
	return &livev1.EndBroadcastResponse{Broadcast: broadcastProto(b)}, nil
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

// controlHandler is ControlService on the wire.
type controlHandler struct {
	livev1connect.UnimplementedControlServiceHandler

	s *Service
}

var _ livev1connect.ControlServiceHandler = (*controlHandler)(nil)

func (h *controlHandler) StopBroadcast(ctx context.Context, req *livev1.StopBroadcastRequest) (*livev1.StopBroadcastResponse, error) {
	if _, err := h.s.db.room(ctx, req.GetRoomId()); err != nil {
		return nil, err
	}
	b, err := h.s.endBroadcast(req.GetRoomId())
	if err != nil {
		return nil, err
	}
	return &livev1.StopBroadcastResponse{Broadcast: broadcastProto(b)}, nil
}

// forwarded returns what the gateway says of the address that the client used; both are empty without a gateway.
func forwarded(ctx context.Context) (scheme, host string) {
	info, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return "", ""
	}
	return info.RequestHeader().Get("X-Forwarded-Proto"), info.RequestHeader().Get("X-Forwarded-Host")
}

// playback returns signed addresses: on the configured address, else on the one that the client used, else relative.
func (h *rpcHandler) playback(ctx context.Context, roomID, sessionID string) *livev1.Playback {
	base := h.s.config.PlaybackURL
	if scheme, host := forwarded(ctx); base == "" && host != "" {
		base = (&url.URL{Scheme: scheme, Host: host}).String()
	}
	urls := h.s.playback.Sign(base, roomID, sessionID)
	return &livev1.Playback{
		WsFlvUrl: urls.WebSocketFLV, FlvUrl: urls.FLV, HlsUrl: urls.HLS, ExpiresAt: timestamppb.New(urls.ExpiresAt),
	}
}

// rtmpURL returns the configured server address, else one on the host that the client used.
func (h *rpcHandler) rtmpURL(ctx context.Context) string {
	if h.s.config.RTMPURL != "" {
		return h.s.config.RTMPURL
	}
	_, host := forwarded(ctx)
	name := host
	if split, _, err := net.SplitHostPort(host); err == nil {
		name = split
	}
	if name == "" {
		name = "localhost"
	}
	if addr, ok := h.s.RTMPAddr().(*net.TCPAddr); ok && addr.Port != 1935 {
		name = net.JoinHostPort(name, strconv.Itoa(addr.Port))
	}
	return "rtmp://" + name + "/" + rtmpApp
}

func (h *rpcHandler) room(ctx context.Context, r Room) (*livev1.Room, error) {
	users, err := h.s.users(ctx, r.OwnerID)
	if err != nil {
		return nil, err
	}
	return roomProto(r, users), nil
}

func roomProto(r Room, users map[string]*authv1.User) *livev1.Room {
	// What anyone may see of a person: not the name that they sign in with.
	u := users[r.OwnerID]
	owner := &authv1.User{Id: r.OwnerID, Nickname: u.GetNickname(), AvatarUrl: u.GetAvatarUrl(), Role: u.GetRole()}
	out := &livev1.Room{
		Id: r.ID, Owner: owner, Title: r.Title, CategoryId: r.CategoryID, ConversationId: r.ConversationID,
		CreatedAt: timestamppb.New(r.CreatedAt), UpdatedAt: timestamppb.New(r.UpdatedAt),
	}
	if r.CoverVersion > 0 {
		out.CoverUrl = coverPrefix + r.ID + ".jpg?v=" + strconv.FormatInt(r.CoverVersion, 36)
	}
	return out
}

func broadcastProto(b Broadcast) *livev1.Broadcast {
	out := &livev1.Broadcast{
		Id: b.ID, RoomId: b.RoomID, State: livev1.BroadcastState(b.State), StartedAt: timestamppb.New(b.StartedAt), ViewerCount: int32(b.Viewers),
	}
	if !b.EndedAt.IsZero() {
		out.EndedAt = timestamppb.New(b.EndedAt)
	}
	return out
}

func statsProto(st hub.Stats) *livev1.StreamStats {
	return &livev1.StreamStats{
		Video: &livev1.VideoStats{
			Codec: st.VideoCodec, Profile: st.VideoProfile, Width: int32(st.Width), Height: int32(st.Height),
			FrameRate: st.FrameRate, BitrateBps: st.VideoBitrate,
		},
		Audio: &livev1.AudioStats{
			Codec: st.AudioCodec, SampleRate: int32(st.SampleRate), Channels: int32(st.Channels), BitrateBps: st.AudioBitrate,
		},
		GopLength: durationpb.New(st.GOPLength), Gaps: st.Gaps, ReceivedBytes: st.ReceivedBytes, Connections: int32(st.Viewers),
	}
}
