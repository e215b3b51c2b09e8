package live_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// callAll makes each call about a room and returns its error by name.
func (n *node) callAll(c livev1connect.LiveServiceClient, roomID string) map[string]error {
	n.t.Helper()
	ctx := n.t.Context()
	_, create := c.CreateRoom(ctx, &livev1.CreateRoomRequest{Title: "x", CategoryId: "talk", RequestId: requestID()})
	_, update := c.UpdateRoom(ctx, &livev1.UpdateRoomRequest{RoomId: roomID, Title: "x", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}})
	_, issue := c.IssueStreamKey(ctx, &livev1.IssueStreamKeyRequest{RoomId: roomID})
	_, revoke := c.RevokeStreamKey(ctx, &livev1.RevokeStreamKeyRequest{RoomId: roomID})
	_, show := c.GetStreamKey(ctx, &livev1.GetStreamKeyRequest{RoomId: roomID})
	_, cover := c.SetCover(ctx, &livev1.SetCoverRequest{RoomId: roomID, Source: &livev1.SetCoverRequest_Automatic{Automatic: true}})
	_, acknowledge := c.AcknowledgeWarning(ctx, &livev1.AcknowledgeWarningRequest{RoomId: roomID, WarningId: "none"})
	_, broadcasts := c.ListBroadcasts(ctx, &livev1.ListBroadcastsRequest{RoomId: roomID})
	_, end := c.EndBroadcast(ctx, &livev1.EndBroadcastRequest{RoomId: roomID})
	_, get := c.GetRoom(ctx, &livev1.GetRoomRequest{RoomId: roomID})
	_, stats := c.GetStreamStats(ctx, &livev1.GetStreamStatsRequest{RoomId: roomID})
	_, list := c.ListRooms(ctx, &livev1.ListRoomsRequest{})
	_, categories := c.ListCategories(ctx, &livev1.ListCategoriesRequest{})
	return map[string]error{
		"CreateRoom": create, "UpdateRoom": update, "IssueStreamKey": issue, "RevokeStreamKey": revoke, "EndBroadcast": end,
		"GetStreamKey": show, "SetCover": cover, "AcknowledgeWarning": acknowledge, "ListBroadcasts": broadcasts, "GetRoom": get, "GetStreamStats": stats, "ListRooms": list, "ListCategories": categories,
	}
}

// controlAll is callAll for ControlService.
func (n *node) controlAll(c livev1connect.ControlServiceClient, roomID string) map[string]error {
	n.t.Helper()
	ctx := n.t.Context()
	_, stop := c.StopBroadcast(ctx, &livev1.StopBroadcastRequest{RoomId: roomID})
	_, warn := c.WarnOwner(ctx, &livev1.WarnOwnerRequest{RoomId: roomID, Text: "x"})
	_, takeDown := c.TakeDownCover(ctx, &livev1.TakeDownCoverRequest{RoomId: roomID})
	_, totals := c.GetTotals(ctx, &livev1.GetTotalsRequest{})
	return map[string]error{"StopBroadcast": stop, "WarnOwner": warn, "TakeDownCover": takeDown, "GetTotals": totals}
}

func TestOnlyTheOwnerMay(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	room := n.open("ann")
	key := n.key("ann", room.GetId())
	n.live(room.GetId(), key)
	for call, err := range n.callAll(n.as("bob"), room.GetId()) {
		switch call {
		case "UpdateRoom", "IssueStreamKey", "RevokeStreamKey", "EndBroadcast", "GetStreamKey", "SetCover", "AcknowledgeWarning":
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
		for call, err := range n.controlAll(n.control(n.AsService("admin")), id) {
			if call != "GetTotals" && !errs.Is(err, connect.CodeNotFound, "ROOM_NOT_FOUND") {
				t.Errorf("%s(%q): %v", call, id, err)
			}
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
	guests := append(public, "GetRoom", "ListBroadcasts")
	for call, err := range n.callAll(n.withRole("guest", authv1.Role_ROLE_GUEST), room.GetId()) {
		if slices.Contains(guests, call) && err != nil || !slices.Contains(guests, call) && !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
			t.Errorf("a guest: %s: %v", call, err)
		}
	}
	for name, options := range map[string]connect.ClientOption{
		"a user": n.As(t, n.User("ann", authv1.Role_ROLE_USER)), "an administrator": n.As(t, n.User("root", authv1.Role_ROLE_ADMIN)),
		"a guest": n.As(t, n.User("guest", authv1.Role_ROLE_GUEST)),
	} {
		for call, err := range n.controlAll(n.control(options), room.GetId()) {
			if !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
				t.Errorf("%s: %s: %v", name, call, err)
			}
		}
	}
	for call, err := range n.controlAll(n.control(), room.GetId()) {
		if !errs.Is(err, connect.CodeUnauthenticated, "TOKEN_MISSING") {
			t.Errorf("anyone: %s: %v", call, err)
		}
	}
	for call, err := range n.controlAll(n.control(n.AsService("admin")), room.GetId()) {
		if call == "StopBroadcast" && !errs.Is(err, connect.CodeFailedPrecondition, "NOT_LIVE") || call != "StopBroadcast" && err != nil {
			t.Errorf("a service: %s: %v", call, err)
		}
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
