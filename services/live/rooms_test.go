package live_test

import (
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	ent "github.com/stoa-live/stoa/gen/ent/live"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
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
		"emoji, joined":            {"👩‍👩‍👧", "music", "", 0},
		"from right to left":       {"שלום مرحبا", "music", "", 0},
		"a Hangul filler":          {"\u3164", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"an empty Braille cell":    {"\u2800", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"a mark of no letter":      {"\u0301", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"a line separator":         {"a\u2028b", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
		"a direction override":     {"a\u202eb", "music", "TITLE_INVALID", connect.CodeInvalidArgument},
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

func TestPlayKeyIsRequired(t *testing.T) {
	t.Parallel()
	if _, err := live.New(t.Context(), live.Config{PlayKey: make([]byte, 31)}, service.Deps{}); err == nil {
		t.Error("a play key of 31 bytes is taken")
	}
}

func TestRoomCreationCanBeDisabled(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	before := &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: "made-before"}
	room, err := n.as("ann").CreateRoom(t.Context(), before)
	n.must(err)
	create := func(user string, role authv1.Role) error {
		_, err := n.withRole(user, role).CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: requestID()})
		return err
	}
	n.settings.set(func(s *site) { s.closed = true })
	if err := create("ann", authv1.Role_ROLE_USER); !errs.Is(err, connect.CodeFailedPrecondition, "ROOM_CREATION_DISABLED") {
		t.Errorf("a user: %v", err)
	}
	for _, role := range []authv1.Role{authv1.Role_ROLE_MODERATOR, authv1.Role_ROLE_ADMIN} {
		if err := create("staff", role); err != nil {
			t.Errorf("%v: %v", role, err)
		}
	}
	// The answer of a wish that was granted, but got lost.
	again, err := n.as("ann").CreateRoom(t.Context(), before)
	if err != nil || again.GetRoom().GetId() != room.GetRoom().GetId() {
		t.Errorf("the wish of before: %v, %v", again, err)
	}
	if _, err := n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
		RoomId: room.GetRoom().GetId(), Title: "y", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
	}); err != nil {
		t.Errorf("a room that is there cannot be changed: %v", err)
	}
	n.settings.set(func(s *site) { s.closed, s.down = false, true })
	if err := create("ann", authv1.Role_ROLE_USER); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("without the settings: %v", err)
	}
	if err := create("staff", authv1.Role_ROLE_MODERATOR); err != nil {
		t.Errorf("a moderator without the settings: %v", err)
	}
	n.settings.set(func(s *site) { s.down = false })
	if err := create("ann", authv1.Role_ROLE_USER); err != nil {
		t.Errorf("with the settings: %v", err)
	}
	list, err := n.as("ann").ListRooms(t.Context(), &livev1.ListRoomsRequest{OwnerId: "ann"})
	n.must(err)
	if len(list.GetItems()) != 2 {
		t.Errorf("ann has %d rooms, want 2", len(list.GetItems()))
	}
}
