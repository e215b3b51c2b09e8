package live_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// warn warns a room's owner as the staff's service does.
func (n *node) warn(roomID, text string) *livev1.Warning {
	n.t.Helper()
	res, err := n.control(n.AsService("admin")).WarnOwner(n.t.Context(), &livev1.WarnOwnerRequest{RoomId: roomID, Text: text})
	n.must(err)
	if res.GetRoom().GetId() != roomID || res.GetRoom().GetOwner().GetNickname() == "" {
		n.t.Errorf("WarnOwner: %v", res)
	}
	return res.GetWarning()
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	room, other := n.open("ann"), n.open("ann")
	seen := func(caller string, role authv1.Role, roomID string) *livev1.Warning {
		t.Helper()
		res, err := n.withRole(caller, role).GetRoom(t.Context(), &livev1.GetRoomRequest{RoomId: roomID})
		n.must(err)
		return res.GetWarning()
	}
	own := func() *livev1.Warning { return seen("ann", authv1.Role_ROLE_USER, room.GetId()) }
	acknowledge := func(caller, id string) error {
		_, err := n.as(caller).AcknowledgeWarning(t.Context(), &livev1.AcknowledgeWarningRequest{RoomId: room.GetId(), WarningId: id})
		return err
	}
	if got := own(); got != nil {
		t.Errorf("before the first: %v", got)
	}
	first := n.warn(room.GetId(), "Keep the volume <b>down</b>.")
	if first.GetText() != "Keep the volume <b>down</b>." || len(first.GetId()) != 26 || first.GetCreatedAt() == nil {
		t.Errorf("the warning is %v", first)
	}
	n.must(n.end())
	n = w.boot(nil)
	if got := own(); got.GetId() != first.GetId() || got.GetText() != first.GetText() || !got.GetCreatedAt().AsTime().Equal(first.GetCreatedAt().AsTime()) {
		t.Errorf("after a restart the owner sees %v, want %v", got, first)
	}
	for name, got := range map[string]*livev1.Warning{
		"another user": seen("bob", authv1.Role_ROLE_USER, room.GetId()), "a guest": seen("guest", authv1.Role_ROLE_GUEST, room.GetId()),
		"a moderator": seen("mod", authv1.Role_ROLE_MODERATOR, room.GetId()), "the owner in another room": seen("ann", authv1.Role_ROLE_USER, other.GetId()),
	} {
		if got != nil {
			t.Errorf("%s sees %v", name, got)
		}
	}

	second := n.warn(room.GetId(), strings.Repeat("茶", 300))
	if got := own(); got.GetId() != second.GetId() {
		t.Errorf("the latest is %v, want %v", got, second)
	}
	if err := acknowledge("ann", first.GetId()); !errs.Is(err, connect.CodeNotFound, "WARNING_NOT_FOUND") {
		t.Errorf("acknowledging the one before: %v", err)
	}
	if err := acknowledge("bob", second.GetId()); !errs.Is(err, connect.CodePermissionDenied, "NOT_ROOM_OWNER") {
		t.Errorf("another user acknowledges: %v", err)
	}
	if got := own(); got.GetId() != second.GetId() {
		t.Errorf("after refused acknowledgements: %v", got)
	}
	n.must(acknowledge("ann", second.GetId()))
	if got := own(); got != nil {
		t.Errorf("an acknowledged warning is shown: %v", got)
	}
	if err := acknowledge("ann", second.GetId()); !errs.Is(err, connect.CodeNotFound, "WARNING_NOT_FOUND") {
		t.Errorf("acknowledging again: %v", err)
	}
	for name, text := range map[string]string{"nothing": "", "301 characters": strings.Repeat("茶", 301)} {
		_, err := n.control(n.AsService("admin")).WarnOwner(t.Context(), &livev1.WarnOwnerRequest{RoomId: room.GetId(), Text: text})
		if !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("a warning of %s: %v", name, err)
		}
	}
}
