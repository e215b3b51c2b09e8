package stoa_test

import (
	"slices"
	"testing"
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
	s.forget()
	eventually(t, "it is back", func() bool { return chat.Conn().Session() != nil })
	if _, err := chat.SendText(within(t), "room", "x"); err != nil {
		t.Error(err)
	}
	if s.rooms["room"] {
		t.Error("it entered a room again that it left")
	}
}
