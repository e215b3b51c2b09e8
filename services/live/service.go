package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/oklog/ulid/v2"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store"
	"github.com/stoa-live/stoa/services/live/hls"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
	"github.com/stoa-live/stoa/services/live/playback"
)

// rtmpApp is the application name in server addresses: rtmp://host:1935/live.
const rtmpApp = "live"

// Bus topics.
const (
	topicBroadcastChanged = "live.broadcast_changed"
	topicViewersChanged   = "chat.viewers_changed"
)

// Config is what an operator may choose.
type Config struct {
	RTMPAddr        string        // where encoders connect, such as ":1935"
	RTMPURL         string        // what streamers are told, such as "rtmp://live.example.org/live"; made from the request when empty
	PlaybackURL     string        // address before /live/… that viewers are told; made from the request when empty
	Merge           time.Duration // how long frames wait to be written together; see hub.Config
	ReconnectWindow time.Duration // how long a broadcast waits for its encoder
	CoverInterval   time.Duration // between snapshots
	FFmpeg          string        // program that decodes snapshots
	StallTimeout    time.Duration // a viewer that takes no byte for this long is cut
	MaxViewers      int           // FLV connections of this node
	PlayKey         []byte        // signs play URLs; at least 32 bytes, the same on all nodes
}

// Service is the live service of this node.
type Service struct {
	config   Config
	deps     service.Deps
	log      *slog.Logger
	now      func() time.Time
	db       *db
	hub      *hub.Hub
	hls      *hls.Packager
	covers   *covers
	playback *playback.Server
	ingest   *ingest.Server
	air      *air
	viewers  *viewers
	metrics  *metrics

	directory     authv1connect.DirectoryServiceClient
	conversations chatv1connect.ConversationServiceClient
	subscription  bus.Subscription
	listener      net.Listener
	accepting     chan error
}

var _ service.Service = (*Service)(nil)

// New opens the service's database. Nothing is accepted before Start.
func New(ctx context.Context, config Config, deps service.Deps) (*Service, error) {
	if len(config.PlayKey) < 32 {
		return nil, errors.New("open live service: the play key has fewer than 32 bytes")
	}
	log := deps.Logger.With("service", "live")
	database, err := store.Open(ctx, deps.StoreURL, "live", Migrations, log)
	if err != nil {
		return nil, fmt.Errorf("open live service: %w", err)
	}
	s := &Service{config: config, deps: deps, log: log, now: deps.Now, db: newDB(database), viewers: newViewers()}
	s.hub = hub.New(hub.Config{Merge: config.Merge})
	if s.hls, err = hls.NewPackager(filepath.Join(deps.DataDir, "hls"), log); err == nil {
		s.covers, err = newCovers(filepath.Join(deps.DataDir, "covers"), config.FFmpeg, config.CoverInterval, log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open live service: %w", err), database.Close())
	}
	signer := playback.NewSigner(config.PlayKey, s.now)
	s.playback = playback.NewServer(playback.Config{StallTimeout: config.StallTimeout, MaxViewers: config.MaxViewers},
		s.hub, s.hls, s.runningBroadcast, signer, deps.Metrics.Registry, log)
	s.air = newAir(s)
	s.metrics = newMetrics(deps.Metrics.Registry, s.air)
	// Frames that wait to be merged anyway may as well be read together: waking for each costs more than handling it.
	s.ingest = ingest.NewServer(ingest.Config{Gather: config.Merge / 4}, s.air, log)
	return s, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(string, http.Handler), options connect.HandlerOption) {
	handle(livev1connect.NewLiveServiceHandler(&rpcHandler{s}, options))
	handle(livev1connect.NewControlServiceHandler(&controlHandler{s}, options))
	handle(playback.Prefix, s.playback)
	handle(coverPrefix, s.covers)
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{livev1connect.LiveServiceName, livev1connect.ControlServiceName}
}

// Start implements service.Service: it takes up unfinished broadcasts and opens the RTMP port.
func (s *Service) Start(ctx context.Context) error {
	var err error
	if s.directory, err = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if s.conversations, err = rpc.Client(ctx, s.deps.Registry, "chat", chatv1connect.NewConversationServiceClient, s.deps.Client); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if s.subscription, err = bus.Subscribe(s.deps.Bus, topicViewersChanged, "", s.onViewersChanged); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if err := s.air.resume(ctx); err != nil {
		return fmt.Errorf("start live service: %w", err)
	}
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.RTMPAddr); err != nil {
		return fmt.Errorf("open RTMP port %s: %w", s.config.RTMPAddr, err)
	}
	s.accepting = make(chan error, 1)
	go func() { s.accepting <- s.ingest.Serve(s.listener) }()
	return nil
}

// RTMPAddr returns where encoders connect, once started.
func (s *Service) RTMPAddr() net.Addr { return s.listener.Addr() }

// Close implements service.Service: encoders and viewers are cut, and broadcasts wait to be resumed.
func (s *Service) Close(context.Context) error {
	var all []error
	if s.listener != nil {
		all = append(all, s.listener.Close(), <-s.accepting)
	}
	s.ingest.Close()
	s.air.close()
	s.playback.Close()
	s.hub.Close()
	s.hls.Close()
	if s.subscription != nil {
		all = append(all, s.subscription.Close())
	}
	s.metrics.unregister(s.deps.Metrics.Registry)
	return errors.Join(append(all, s.db.store.Close())...)
}

func (s *Service) onViewersChanged(_ context.Context, _ string, e *chatv1.ViewersChanged) error {
	s.viewers.set(e.GetConversationId(), int(e.GetCount()))
	return nil
}

func (s *Service) runningBroadcast(roomID string) (string, bool) {
	r := s.air.get(roomID)
	if r == nil {
		return "", false
	}
	return r.snapshot().ID, true
}

// announce tells the bus about a broadcast's state.
func (s *Service) announce(b Broadcast, room Room) {
	b.Viewers = s.viewers.count(room.ConversationID)
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	event := &livev1.BroadcastChanged{Broadcast: broadcastProto(b), ConversationId: room.ConversationID}
	if err := bus.Publish(ctx, s.deps.Bus, topicBroadcastChanged, room.ID, event); err != nil {
		s.log.Error("announce broadcast", "broadcast", b.ID, "error", err)
	}
}

func (s *Service) coverTaken(ctx context.Context, roomID string) {
	if err := s.db.setCover(ctx, roomID, s.now().UnixMilli()); err != nil && ctx.Err() == nil {
		s.log.Error("save cover", "room", roomID, "error", err)
	}
}

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
	return s.air.end(r, errEnded, false), nil
}

// lastBroadcast returns the room's running broadcast or its last one.
func (s *Service) lastBroadcast(ctx context.Context, room Room) (Broadcast, bool, error) {
	if r := s.air.get(room.ID); r != nil {
		b := r.snapshot()
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
