package stoa_test

import (
	"slices"
	"testing"

	"connectrpc.com/connect"

	stoa "github.com/stoa-live/stoa/clients/go"
)

// TestRoom enters a live room, hears it across restarts, and leaves it.
func TestRoom(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.openRoom("room")
	for range 9 {
		s.post("room")
	}
	d := newDevice()
	chat := d.open(t, s, 3)
	entered, err := chat.EnterRoom(within(t), "room", false)
	if err != nil || entered.GetPosition().GetSeq() != 9 {
		t.Fatalf("it entered as %v, %v", entered, err)
	}
	for range 4 {
		s.post("room")
		s.forget()
		s.post("room")
		eventually(t, "it is in the room again", func() bool {
			defer s.lock()()
			return s.rooms["room"]
		})
		d.upToDate(t, s)
	}
	if got, want := d.seqs("room"), []int64{7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	if err := chat.LeaveRoom(within(t), "room"); err != nil {
		t.Fatal(err)
	}
	unlock := s.lock()
	before := s.enters
	unlock()
	d.syncAfter(t, s.forget)
	defer s.lock()()
	if s.rooms["room"] || s.enters != before {
		t.Error("it entered a room again that it left")
	}
}

// syncAfter does something that ends the session, and waits for the sync of the next one.
func (d *device) syncAfter(t *testing.T, end func()) {
	t.Helper()
	synced := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.synced
	}
	before := synced()
	end()
	eventually(t, "it has synced", func() bool { return synced() > before })
}

// entered is a device in a room, in which it has everything, and in a group.
func entered(t *testing.T) (*talks, *device, *stoa.Chat) {
	t.Helper()
	s := newTalksOver(t, "ws")
	s.openRoom("room")
	s.open("group")
	s.post("room")
	d := newDevice()
	chat := d.open(t, s, -1)
	if _, err := chat.EnterRoom(within(t), "room", false); err != nil {
		t.Fatal(err)
	}
	d.upToDate(t, s)
	return s, d, chat
}

// closeDoor has a room answer tries to enter it by an error; nil opens it.
func (s *talks) closeDoor(err error) {
	defer s.lock()()
	if s.door = nil; err != nil {
		s.door = func(string) (bool, error) { return false, err }
	}
}

func (s *talks) inRoom() bool {
	defer s.lock()()
	return s.rooms["room"]
}

// TestRoomAway refuses to let a device into its room again for a while, in a session that goes on: it goes on to try, hears
// its group meanwhile, and then has what it missed, with no other session.
func TestRoomAway(t *testing.T) {
	for _, away := range []error{
		refusal(connect.CodeUnavailable, "UNAVAILABLE", nil),
		refusal(connect.CodeDeadlineExceeded, "DEADLINE_EXCEEDED", nil),
		refusal(connect.CodeResourceExhausted, "RATE_LIMITED", map[string]string{"retry_after_ms": "50"}),
		refusal(connect.CodeInternal, "INTERNAL", nil),
	} {
		t.Run(stoa.Reason(away), func(t *testing.T) {
			s, d, chat := entered(t)
			s.closeDoor(away)
			d.syncAfter(t, s.forget)
			session := chat.Conn().Session().GetSessionId()
			s.post("room")
			s.post("group")
			s.edit("room", 1)
			d.upToDate(t, s)
			if s.inRoom() {
				t.Fatal("it is in a room that is away")
			}
			unlock := s.lock()
			before := s.enters
			unlock()
			eventually(t, "it has tried again", func() bool {
				defer s.lock()()
				return s.enters >= before+2
			})
			s.closeDoor(nil)
			eventually(t, "it is in the room again", s.inRoom)
			d.upToDate(t, s)
			s.post("room")
			s.edit("room", 2)
			d.upToDate(t, s)
			if now := chat.Conn().Session().GetSessionId(); now != session {
				t.Errorf("it has session %s after %s", now, session)
			}
		})
	}
}

// TestRoomSilent answers the first try to enter a room again not at all: the sync does not wait for it for long.
func TestRoomSilent(t *testing.T) {
	s, d, _ := entered(t)
	unlock := s.lock()
	tries := 0
	s.door = func(string) (bool, error) { tries++; return tries > 1, nil }
	unlock()
	d.syncAfter(t, s.forget)
	s.post("room")
	eventually(t, "it is in the room again", s.inRoom)
	d.upToDate(t, s)
}

// TestRoomLeftWhileAway leaves a room that a device goes on to try to enter: the last thing that the server hears is that.
func TestRoomLeftWhileAway(t *testing.T) {
	s, d, chat := entered(t)
	s.closeDoor(refusal(connect.CodeUnavailable, "UNAVAILABLE", nil))
	d.syncAfter(t, s.forget)
	if err := chat.LeaveRoom(within(t), "room"); err != nil {
		t.Fatal(err)
	}
	s.closeDoor(nil)
	eventually(t, "it has given up", func() bool {
		defer s.lock()()
		return s.leaves >= 2
	})
	if s.inRoom() {
		t.Error("it is in a room that it left")
	}
	if _, err := chat.EnterRoom(within(t), "room", false); err != nil {
		t.Fatal(err)
	}
	s.post("room")
	d.upToDate(t, s)
}

// TestRoomShut lets a device into its room no more, at the first try or at a later one: the room is gone from it, and it does
// not try again.
func TestRoomShut(t *testing.T) {
	for _, name := range []string{"at once", "later"} {
		t.Run(name, func(t *testing.T) {
			s, d, _ := entered(t)
			if name == "later" {
				s.closeDoor(refusal(connect.CodeUnavailable, "UNAVAILABLE", nil))
				d.syncAfter(t, s.forget)
				s.closeDoor(refusal(connect.CodeNotFound, "CONVERSATION_NOT_FOUND", nil))
			} else {
				s.closeDoor(refusal(connect.CodeNotFound, "CONVERSATION_NOT_FOUND", nil))
				d.syncAfter(t, s.forget)
			}
			eventually(t, "the room is gone", func() bool {
				d.mu.Lock()
				defer d.mu.Unlock()
				return d.views["room"] == nil
			})
			unlock := s.lock()
			before := s.enters
			unlock()
			d.syncAfter(t, s.forget)
			defer s.lock()()
			if s.enters != before {
				t.Error("it tried again")
			}
		})
	}
}
