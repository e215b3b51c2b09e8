package live_test

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/service"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/live"
)

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "live", live.Migrations)
	storetest.AssertMatches(t, ent.NewClient(ent.Driver(db.WriteDriver())).Schema)
}

func TestCreateRoomOnce(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	request := &livev1.CreateRoomRequest{Title: "  Morning coffee ", CategoryId: "talk", RequestId: "the-same-wish"}
	rooms := make(chan *livev1.Room, 8)
	var all sync.WaitGroup
	for range cap(rooms) {
		all.Go(func() {
			res, err := n.as("ann").CreateRoom(t.Context(), request)
			if err != nil {
				t.Error(err)
			}
			rooms <- res.GetRoom()
		})
	}
	all.Wait()
	room := <-rooms
	for range cap(rooms) - 1 {
		if other := <-rooms; other.GetId() != room.GetId() || other.GetConversationId() != room.GetConversationId() {
			t.Errorf("one wish made rooms %v and %v", room, other)
		}
	}
	if room.GetTitle() != "Morning coffee" || room.GetCategoryId() != "talk" || room.GetOwner().GetNickname() != "nick ann" ||
		len(room.GetId()) != 26 || room.GetCoverUrl() != "" || room.GetCreatedAt() == nil {
		t.Errorf("the room is %v", room)
	}
	n.talks.set(func(c *conversations) {
		if c.owner[room.GetConversationId()] != "ann" {
			t.Errorf("the room's conversation %q was not made for its owner: %v", room.GetConversationId(), c.owner)
		}
	})
	later, err := n.as("ann").CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: "Other", CategoryId: "games", RequestId: "the-same-wish"})
	n.must(err)
	if later.GetRoom().GetId() != room.GetId() || later.GetRoom().GetTitle() != "Morning coffee" {
		t.Errorf("the wish again gives %v", later)
	}
	for owner, request := range map[string]string{"bob": "the-same-wish", "ann": "another-wish"} {
		res, err := n.as(owner).CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: request})
		n.must(err)
		if res.GetRoom().GetId() == room.GetId() {
			t.Errorf("%s's %q is the same room", owner, request)
		}
	}
}

func TestRoomWithoutConversationIsNone(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	n.talks.set(func(c *conversations) { c.down = true })
	request := &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: requestID()}
	if _, err := n.as("ann").CreateRoom(t.Context(), request); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("without chat: %v", err)
	}
	list, err := n.as("ann").ListRooms(t.Context(), &livev1.ListRoomsRequest{})
	n.must(err)
	if len(list.GetItems()) != 0 {
		t.Errorf("a room without a conversation is listed: %v", list)
	}
	n.talks.set(func(c *conversations) { c.down = false })
	if _, err := n.as("ann").CreateRoom(t.Context(), request); err != nil {
		t.Errorf("the same wish again: %v", err)
	}
}

func TestTitlesAndCategories(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	for name, c := range map[string]struct {
		title, category, reason string
		code                    connect.Code
	}{
		"good":                     {"Tea & 茶", "music", "", 0},
		"80 characters":            {strings.Repeat("茶", 80), "music", "", 0},
		"81 characters":            {strings.Repeat("茶", 81), "music", errs.ReasonInvalidArgument, connect.CodeInvalidArgument},
		"spaces":                   {" \u00a0\u3000 ", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"nothing that can be seen": {"\u200b\u200d", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"a line break":             {"a\nb", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"a NUL":                    {"a\x00b", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"an unknown category":      {"x", "gambling", "CATEGORY_NOT_FOUND", connect.CodeNotFound},
		"a category in capitals":   {"x", "Music", "CATEGORY_NOT_FOUND", connect.CodeNotFound},
	} {
		_, created := n.as("ann").CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: c.title, CategoryId: c.category, RequestId: requestID()})
		_, updated := n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
			RoomId: room.GetId(), Title: c.title, CategoryId: c.category, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title", "category_id"}},
		})
		for call, err := range map[string]error{"CreateRoom": created, "UpdateRoom": updated} {
			if c.reason == "" && err != nil || c.reason != "" && !errs.Is(err, c.code, c.reason) {
				t.Errorf("%s: %s: %v", name, call, err)
			}
		}
	}
	for name, r := range map[string]*livev1.CreateRoomRequest{
		"no title":           {CategoryId: "talk", RequestId: requestID()},
		"no category":        {Title: "x", RequestId: requestID()},
		"no request id":      {Title: "x", CategoryId: "talk"},
		"a short request id": {Title: "x", CategoryId: "talk", RequestId: "1234567"},
		"a long request id":  {Title: "x", CategoryId: "talk", RequestId: strings.Repeat("r", 65)},
	} {
		if _, err := n.as("ann").CreateRoom(t.Context(), r); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUpdateMask(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	update := func(paths ...string) (*livev1.Room, error) {
		res, err := n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
			RoomId: room.GetId(), Title: "New", CategoryId: "games", UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return res.GetRoom(), err
	}
	for _, paths := range [][]string{{}, {"owner"}, {"title", "id"}, {"*"}, {"Title"}, {"room.title"}} {
		if _, err := update(paths...); !errs.Is(err, connect.CodeInvalidArgument, "UPDATE_MASK_INVALID") {
			t.Errorf("mask %q: %v", paths, err)
		}
	}
	if _, err := n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{RoomId: room.GetId(), Title: "New"}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("no mask: %v", err)
	}
	if got := n.get(room.GetId()).GetRoom(); got.GetTitle() != room.GetTitle() || got.GetCategoryId() != room.GetCategoryId() {
		t.Errorf("refused updates changed the room to %v", got)
	}
	changed, err := update("title")
	n.must(err)
	if changed.GetTitle() != "New" || changed.GetCategoryId() != "talk" {
		t.Errorf("the title alone: %v", changed)
	}
	changed, err = update("category_id")
	n.must(err)
	if changed.GetCategoryId() != "games" || changed.GetConversationId() != room.GetConversationId() || !changed.GetUpdatedAt().AsTime().After(room.GetUpdatedAt().AsTime()) {
		t.Errorf("the category too: %v", changed)
	}
	if got := n.get(room.GetId()).GetRoom(); got.GetTitle() != "New" || got.GetCategoryId() != "games" {
		t.Errorf("afterwards the room is %v", got)
	}
}

func TestTooManyRooms(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	for range 20 {
		n.open("ann")
	}
	_, err := n.as("ann").CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: requestID()})
	if !errs.Is(err, connect.CodeResourceExhausted, "TOO_MANY_ROOMS") {
		t.Errorf("the 21st room: %v", err)
	}
	n.open("bob")
}

// callAll makes each call about a room and returns its error by name.
func (n *node) callAll(c livev1connect.LiveServiceClient, roomID string) map[string]error {
	n.t.Helper()
	ctx := n.t.Context()
	_, create := c.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: requestID()})
	_, update := c.UpdateRoom(ctx, &livev1.UpdateRoomRequest{RoomId: roomID, Title: "x", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
	_, issue := c.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: roomID})
	_, revoke := c.RevokeStreamKey(ctx, &livev1.RevokeStreamKeyRequest{RoomId: roomID})
	_, end := c.EndBroadcast(ctx, &livev1.EndBroadcastRequest{RoomId: roomID})
	_, get := c.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: roomID})
	_, stats := c.GetStreamStats(ctx, &livev1.GetStreamStatsRequest{RoomId: roomID})
	_, list := c.ListRooms(ctx, &livev1.ListRoomsRequest{})
	_, categories := c.ListCategories(ctx, &livev1.ListCategoriesRequest{})
	return map[string]error{
		"CreateRoom": create, "UpdateRoom": update, "IssueStreamKey": issue, "RevokeStreamKey": revoke, "EndBroadcast": end,
		"GetRoom": get, "GetStreamStats": stats, "ListRooms": list, "ListCategories": categories,
	}
}

func TestOnlyTheOwnerMay(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	n.live(room.GetId(), key)
	for call, err := range n.callAll(n.as("bob"), room.GetId()) {
		switch call {
		case "UpdateRoom", "IssueStreamKey", "RevokeStreamKey", "EndBroadcast":
			if !errs.Is(err, connect.CodePermissionDenied, "NOT_ROOM_OWNER") {
				t.Errorf("another user: %s: %v", call, err)
			}
		default:
			if err != nil {
				t.Errorf("another user: %s: %v", call, err)
			}
		}
	}
	// An administrator has other doors.
	for call, err := range n.callAll(n.withRole("root", authv1.Role_ROLE_ADMIN), room.GetId()) {
		if call == "IssueStreamKey" && !errs.Is(err, connect.CodePermissionDenied, "NOT_ROOM_OWNER") {
			t.Errorf("an administrator: %s: %v", call, err)
		}
	}
	if got := n.get(room.GetId()); got.GetRoom().GetTitle() != "A room" || got.GetBroadcast().GetState() != onAir {
		t.Errorf("afterwards: %v", got)
	}
}

func TestUnknownRooms(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	for _, id := range []string{"01JN0B0DY00000000000000000", "x", "../etc/passwd", "' OR 1=1 --"} {
		for call, err := range n.callAll(n.as("ann"), id) {
			switch call {
			case "CreateRoom", "ListRooms", "ListCategories":
			default:
				if !errs.Is(err, connect.CodeNotFound, "ROOM_NOT_FOUND") {
					t.Errorf("%s(%q): %v", call, id, err)
				}
			}
		}
		if _, err := n.control(n.AsService("admin")).StopBroadcast(t.Context(), &livev1.StopBroadcastRequest{RoomId: id}); !errs.Is(err, connect.CodeNotFound, "ROOM_NOT_FOUND") {
			t.Errorf("StopBroadcast(%q): %v", id, err)
		}
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	public := []string{"ListRooms", "ListCategories"}
	anonymous := livev1connect.NewLiveServiceClient(n.server.Client(), n.server.URL())
	for call, err := range n.callAll(anonymous, room.GetId()) {
		if slices.Contains(public, call) && err != nil || !slices.Contains(public, call) && !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
			t.Errorf("anyone: %s: %v", call, err)
		}
	}
	guests := append(public, "GetRoom")
	for call, err := range n.callAll(n.withRole("guest", authv1.Role_ROLE_GUEST), room.GetId()) {
		if slices.Contains(guests, call) && err != nil || !slices.Contains(guests, call) && !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
			t.Errorf("a guest: %s: %v", call, err)
		}
	}
	stop := &livev1.StopBroadcastRequest{RoomId: room.GetId()}
	for name, options := range map[string]connect.ClientOption{
		"a user": n.As(t, n.User("ann", authv1.Role_ROLE_USER)), "an administrator": n.As(t, n.User("root", authv1.Role_ROLE_ADMIN)),
		"a guest": n.As(t, n.User("guest", authv1.Role_ROLE_GUEST)),
	} {
		if _, err := n.control(options).StopBroadcast(t.Context(), stop); !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
			t.Errorf("%s: StopBroadcast: %v", name, err)
		}
	}
	if _, err := n.control().StopBroadcast(t.Context(), stop); !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
		t.Errorf("anyone: StopBroadcast: %v", err)
	}
	if _, err := n.control(n.AsService("admin")).StopBroadcast(t.Context(), stop); !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") {
		t.Errorf("a service: StopBroadcast: %v", err)
	}
}

func TestNeighbourAway(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room, ghosts := n.open("ann"), n.open("ghost")
	if got := n.get(ghosts.GetId()).GetRoom().GetOwner(); got.GetId() != "ghost" || got.GetNickname() != "" {
		t.Errorf("the room of somebody who is gone has the owner %v", got)
	}
	n.users.set(func(d *directory) { d.down = true })
	_, get := n.as("ann").GetRoom(t.Context(), &livev1.GetRoomRequest{RoomId: room.GetId()})
	_, list := n.as("ann").ListRooms(t.Context(), &livev1.ListRoomsRequest{})
	for call, err := range map[string]error{"GetRoom": get, "ListRooms": list} {
		if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
			t.Errorf("%s without auth: %v", call, err)
		}
	}
}

func TestStreamKeysAndAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	port := strings.TrimPrefix(n.service.RTMPAddr().String(), "127.0.0.1:")
	seen := map[string]bool{}
	for forwarded, want := range map[string]string{
		"":                      "rtmp://localhost:" + port + "/live",
		"stoa.example":          "rtmp://stoa.example:" + port + "/live",
		"stoa.example:8443":     "rtmp://stoa.example:" + port + "/live",
		"[2001:db8::1]:8443":    "rtmp://[2001:db8::1]:" + port + "/live",
		"203.0.113.7:8080":      "rtmp://203.0.113.7:" + port + "/live",
		"xn--bcher-kva.example": "rtmp://xn--bcher-kva.example:" + port + "/live",
	} {
		ctx, call := connect.NewClientContext(t.Context())
		if forwarded != "" {
			call.RequestHeader().Set("X-Forwarded-Host", forwarded)
			call.RequestHeader().Set("X-Forwarded-Proto", "https")
		}
		res, err := n.as("ann").IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
		n.must(err)
		if res.GetRtmpUrl() != want {
			t.Errorf("host %q: the address is %q, want %q", forwarded, res.GetRtmpUrl(), want)
		}
		if key := res.GetStreamKey(); !strings.HasPrefix(key, "sk_") || len(key) != 29 || seen[key] {
			t.Errorf("the key is %q", key)
		}
		seen[res.GetStreamKey()] = true
	}
	n.must(n.end())
	n = w.boot(func(c *live.Config) { c.RTMPURL = "rtmp://push.example/live" })
	res, err := n.as("ann").IssueStreamKey(t.Context(), &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	n.must(err)
	if res.GetRtmpUrl() != "rtmp://push.example/live" {
		t.Errorf("the configured address is told as %q", res.GetRtmpUrl())
	}
}

func TestPlaybackAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	n.live(room.GetId(), key)
	check := func(forwarded, scheme, base, wsBase string) {
		t.Helper()
		ctx, call := connect.NewClientContext(t.Context())
		if forwarded != "" {
			call.RequestHeader().Set("X-Forwarded-Host", forwarded)
			call.RequestHeader().Set("X-Forwarded-Proto", scheme)
		}
		res, err := n.withRole("guest", authv1.Role_ROLE_GUEST).GetRoom(ctx, &livev1.GetRoomRequest{RoomId: room.GetId()})
		n.must(err)
		p := res.GetPlayback()
		for got, want := range map[string]string{
			p.GetFlvUrl():   base + "/live/" + room.GetId() + ".flv",
			p.GetHlsUrl():   base + "/live/" + room.GetId() + ".m3u8",
			p.GetWsFlvUrl(): wsBase + "/live/" + room.GetId() + ".flv",
		} {
			u, err := url.Parse(got)
			n.must(err)
			if q := u.Query(); q.Get("s") == "" || q.Get("e") == "" {
				t.Errorf("%q is not signed", got)
			}
			if u.RawQuery = ""; u.String() != want {
				t.Errorf("host %q: %q, want %q", forwarded, u, want)
			}
		}
		if p.GetExpiresAt() == nil {
			t.Error("the addresses never expire")
		}
	}
	check("", "", "", "")
	check("stoa.example", "https", "https://stoa.example", "wss://stoa.example")
	check("localhost:8080", "http", "http://localhost:8080", "ws://localhost:8080")
	n.must(n.end())
	n = w.boot(func(c *live.Config) { c.PlaybackURL = "https://node7.example" })
	n.live(room.GetId(), key)
	check("stoa.example", "https", "https://node7.example", "wss://node7.example")
	check("", "", "https://node7.example", "wss://node7.example")
}

func TestListCategories(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	c := livev1connect.NewLiveServiceClient(n.server.Client(), n.server.URL())
	whole, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{})
	n.must(err)
	if len(whole.GetCategories()) < 5 || whole.GetNextPageToken() != "" {
		t.Errorf("categories: %v", whole)
	}
	var ids []string
	for token, more := "", true; more; more = token != "" {
		res, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{PageSize: 2, PageToken: token})
		n.must(err)
		for _, c := range res.GetCategories() {
			ids = append(ids, c.GetId())
			if c.GetName() == "" || c.GetNameZh() == "" {
				t.Errorf("category %q has no name", c.GetId())
			}
		}
		token = res.GetNextPageToken()
	}
	for i, c := range whole.GetCategories() {
		if i >= len(ids) || ids[i] != c.GetId() {
			t.Fatalf("page by page: %v", ids)
		}
	}
	if _, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{PageToken: "nonsense"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("a token of nonsense: %v", err)
	}
}

// pages lists rooms page by page.
func (n *node) pages(r *livev1.ListRoomsRequest) (ids []string) {
	n.t.Helper()
	for range 100 {
		res, err := n.as("viewer").ListRooms(n.t.Context(), r)
		n.must(err)
		if size := int(r.GetPageSize()); size > 0 && len(res.GetItems()) > size {
			n.t.Errorf("a page of %d has %d rooms", size, len(res.GetItems()))
		}
		for _, item := range res.GetItems() {
			ids = append(ids, item.GetRoom().GetId())
		}
		if r.PageToken = res.GetNextPageToken(); r.PageToken == "" {
			return ids
		}
	}
	n.t.Fatal("the pages never end")
	return nil
}

func TestListRooms(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	var rooms []*livev1.Room // oldest first
	for i, category := range []string{"talk", "games", "talk", "games", "talk", "music", "talk"} {
		rooms = append(rooms, n.openIn([]string{"ann", "bob"}[i%2], category))
	}
	id := func(i int) string { return rooms[i].GetId() }
	viewers := func(i, count int) {
		n.must(bus.Publish(t.Context(), n.bus, "chat.viewers_changed", rooms[i].GetConversationId(),
			&chatv1.ViewersChanged{ConversationId: rooms[i].GetConversationId(), Count: int32(count)}))
		n.eventually("the count is known", func() bool {
			res, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: 100})
			n.must(err)
			for _, item := range res.GetItems() {
				if item.GetRoom().GetId() == id(i) {
					return item.GetBroadcast() == nil || int(item.GetBroadcast().GetViewerCount()) == count
				}
			}
			return false
		})
	}
	for _, i := range []int{0, 1, 2, 3} {
		n.live(id(i), n.key(rooms[i].GetOwner().GetId(), id(i)))
	}
	viewers(0, 5)
	viewers(1, 9)
	viewers(6, 100) // talks, and shows nothing
	// A room that only starts is not on the air yet.
	_, err := n.push(n.key("ann", id(4)))
	n.must(err)
	n.until(id(4), starting)

	all := []string{id(1), id(0), id(3), id(2), id(6), id(5), id(4)}
	for name, c := range map[string]struct {
		request *livev1.ListRoomsRequest
		want    []string
	}{
		"all":                 {&livev1.ListRoomsRequest{}, all},
		"one by one":          {&livev1.ListRoomsRequest{PageSize: 1}, all},
		"by two":              {&livev1.ListRoomsRequest{PageSize: 2}, all},
		"by three":            {&livev1.ListRoomsRequest{PageSize: 3}, all},
		"by four":             {&livev1.ListRoomsRequest{PageSize: 4}, all}, // a page ends where the air does
		"by seven":            {&livev1.ListRoomsRequest{PageSize: 7}, all},
		"by many":             {&livev1.ListRoomsRequest{PageSize: 1000}, all},
		"on the air":          {&livev1.ListRoomsRequest{OnlyLive: true}, []string{id(1), id(0), id(3), id(2)}},
		"on the air, by two":  {&livev1.ListRoomsRequest{OnlyLive: true, PageSize: 2}, []string{id(1), id(0), id(3), id(2)}},
		"talk":                {&livev1.ListRoomsRequest{CategoryId: "talk", PageSize: 2}, []string{id(0), id(2), id(6), id(4)}},
		"games on the air":    {&livev1.ListRoomsRequest{CategoryId: "games", OnlyLive: true}, []string{id(1), id(3)}},
		"an unknown category": {&livev1.ListRoomsRequest{CategoryId: "none"}, nil},
		"bob's":               {&livev1.ListRoomsRequest{OwnerId: "bob", PageSize: 2}, []string{id(1), id(3), id(5)}},
		"bob's on the air":    {&livev1.ListRoomsRequest{OwnerId: "bob", OnlyLive: true}, []string{id(1), id(3)}},
		"of somebody without": {&livev1.ListRoomsRequest{OwnerId: "carl"}, nil},
	} {
		if got := n.pages(c.request); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	list, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{})
	n.must(err)
	for i, want := range []livev1.BroadcastState{onAir, onAir, onAir, onAir, 0, 0, starting} {
		if got := list.GetItems()[i].GetBroadcast().GetState(); got != want {
			t.Errorf("item %d is %v, want %v", i, got, want)
		}
	}
	if got := list.GetItems()[0]; got.GetBroadcast().GetViewerCount() != 9 || got.GetRoom().GetOwner().GetNickname() != "nick bob" {
		t.Errorf("the first is %v", got)
	}
	if got := n.get(id(1)).GetBroadcast().GetViewerCount(); got != 9 {
		t.Errorf("GetRoom counts %d viewers", got)
	}
	// People who come and go between two pages neither repeat nor hide a room that stays where it was.
	first, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: 1})
	n.must(err)
	viewers(1, 0)
	rest := n.pages(&livev1.ListRoomsRequest{PageSize: 3, PageToken: first.GetNextPageToken()})
	for _, i := range []int{0, 2, 3, 4, 5, 6} {
		if !slices.Contains(rest, id(i)) {
			t.Errorf("room %d is lost between two pages", i)
		}
	}
	for _, token := range []string{"nonsense", "e30=", strings.Repeat("A", 257)} {
		if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageToken: token}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("page token %.10q: %v", token, err)
		}
	}
	if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: -1}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("a page of -1: %v", err)
	}
}

func TestPlayKeyIsRequired(t *testing.T) {
	t.Parallel()
	if _, err := live.New(t.Context(), live.Config{PlayKey: make([]byte, 31)}, service.Deps{}); err == nil {
		t.Error("a play key of 31 bytes is taken")
	}
}
