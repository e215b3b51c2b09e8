package stoa_test

import (
	"fmt"
	"slices"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// TestSync brings a new device up to date, in pages, and keeps it so.
func TestSync(t *testing.T) {
	for _, scheme := range []string{"ws", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			s := newTalksOver(t, scheme)
			s.page = 7
			for i := range 5 {
				id := fmt.Sprintf("c%d", i)
				s.open(id)
				for range 10 * i {
					s.post(id)
				}
			}
			s.edit("c3", 2)
			s.hide("c4", 1, 3)
			s.hide("c4", 40)
			d := newDevice()
			d.open(t, s, -1)
			if lacks := d.lacks(s); lacks != "" {
				t.Errorf("after the sync the device lacks: %s", lacks)
			}
			s.post("c0")
			s.edit("c4", 9)
			s.hide("c4", 2)
			s.open("late")
			s.post("late")
			s.leave("c1")
			d.upToDate(t, s)
		})
	}
}

// TestHistory fetches the last messages only.
func TestHistory(t *testing.T) {
	s := newTalksOver(t, "tcp")
	s.open("long")
	for range 30 {
		s.post("long")
	}
	s.edit("long", 28)
	d := newDevice()
	d.open(t, s, 5)
	if got, want := d.seqs("long"), []int64{26, 27, 28, 29, 30}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	s.edit("long", 2) // which it does not have
	s.post("long")
	d.upToDate(t, s)
}

// TestGap loses pushes: the next one shows it.
func TestGap(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.open("c")
	d := newDevice()
	d.open(t, s, -1)
	push := func(copies int, do func()) {
		unlock := s.lock()
		s.lose = func() int { return copies }
		unlock()
		do()
	}
	for range 4 {
		push(1, func() { s.post("c") })
	}
	for range 20 {
		push(0, func() { s.post("c"); s.post("c"); s.edit("c", 1) })
		push(1, func() { s.post("c") })
		d.upToDate(t, s)
		push(0, func() { s.edit("c", 2) })
		push(1, func() { s.edit("c", 3) })
		d.upToDate(t, s)
	}
	defer s.lock()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.synced != 1 || s.pulls < 40 {
		t.Errorf("it synced %d times and pulled %d times", d.synced, s.pulls)
	}
}

// TestChangedTo tells changes by their number alone: one pull brings all that come within its moment.
func TestChangedTo(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.open("c")
	s.open("other")
	for range 9 {
		s.post("c")
	}
	d := newDevice()
	d.open(t, s, -1)
	pulls := func() int {
		defer s.lock()()
		return s.pulls
	}
	before := pulls()
	const changes = 200
	for n := range int64(changes) {
		s.editOld("c", n%9+1)
		s.post("other")
	}
	d.upToDate(t, s)
	if n := pulls() - before; n < 1 || n > changes/10 {
		t.Errorf("it pulled %d times for %d changes", n, changes)
	}
	s.post("c")
	s.edit("c", 10) // follows the last one
	d.upToDate(t, s)
}

// TestAgain pushes everything twice: the second time costs nothing.
func TestAgain(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.open("c")
	d := newDevice()
	d.open(t, s, -1)
	unlock := s.lock()
	s.lose = func() int { return 2 }
	unlock()
	for range 20 {
		s.post("c")
		s.edit("c", 1)
		s.hide("c", 1)
	}
	d.upToDate(t, s)
	defer s.lock()()
	if s.pulls > 0 {
		t.Errorf("it pulled %d times", s.pulls)
	}
}

// TestLate tells again what is over: what a sync, or a later push, brought stays.
func TestLate(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.open("c")
	s.post("c")
	s.leave("c")
	left := s.commits
	s.join("c")
	s.post("c")
	d := newDevice()
	d.open(t, s, -1)
	asked := func() int {
		defer s.lock()()
		return s.gets
	}
	over := func(commit int64) {
		before := asked()
		for _, event := range []*edgev1.Event{
			{Kind: &edgev1.Event_Own{Own: &chatv1.OwnEvent{
				Kind: &chatv1.OwnEvent_State{State: (&talk{id: "c"}).state()}, Commit: commit,
			}}},
			{Kind: &edgev1.Event_Chat{Chat: &chatv1.Event{
				ConversationId: "c", Commit: commit, Kind: &chatv1.Event_Conversation{
					Conversation: &chatv1.Conversation{Id: "c", Epoch: 77},
				},
			}}},
		} {
			d.mu.Lock()
			d.events = nil
			d.mu.Unlock()
			s.e.push(event, notice(1))
			eventually(t, "all was told", func() bool {
				d.mu.Lock()
				defer d.mu.Unlock()
				return len(d.events) > 0
			})
			if lacks := d.lacks(s); lacks != "" {
				t.Errorf("after it was told of commit %d again, the device lacks: %s", commit, lacks)
			}
		}
		if n := asked() - before; n > 0 {
			t.Errorf("it asked %d times for what it knew", n)
		}
	}
	over(left)
	s.leave("c")
	left = s.commits
	s.join("c")
	s.post("c")
	d.upToDate(t, s)
	over(left)
	s.leave("c")
	d.upToDate(t, s)
}

// TestBackup restarts the server on a backup that is older than what the device has: the device has what the server has.
func TestBackup(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.openRoom("room")
	for _, id := range []string{"c1", "c2", "lost"} {
		s.open(id)
		for range 9 {
			s.post(id)
		}
	}
	for range 5 {
		s.post("room")
	}
	d := newDevice()
	chat := d.open(t, s, -1)
	if _, err := chat.EnterRoom(within(t), "room", false); err != nil {
		t.Fatal(err)
	}
	d.upToDate(t, s)
	s.rewind(4, "c1", "c2", "room")
	d.upToDate(t, s)
	d.mu.Lock()
	if d.views["lost"] != nil || d.cursor > 3 {
		t.Errorf("it kept what is lost, or a cursor of %d", d.cursor)
	}
	d.mu.Unlock()
	for range 3 {
		s.post("c1")
		s.post("room")
	}
	d.upToDate(t, s)
	chat.Close()
	s.post("c2")
	d.open(t, s, -1)
	d.upToDate(t, s)
}

// TestReturn leaves a group and comes back between a sync and the pull after it: what came meanwhile is not the user's.
func TestReturn(t *testing.T) {
	s := newTalksOver(t, "tcp")
	s.open("c")
	for range 3 {
		s.post("c")
	}
	d := newDevice()
	chat := d.open(t, s, -1)
	chat.Close()
	s.post("c")
	unlock := s.lock()
	s.pulling = func() { // the lock is held
		s.pulling = nil
		c := s.all["c"]
		c.member = false
		s.commit(c)
		s.postLocked(c, "while away", "x")
		c.member, c.first = true, int64(len(c.messages))+1
		s.commit(c)
		s.postLocked(c, "back again", "x")
	}
	unlock()
	d.open(t, s, -1)
	d.upToDate(t, s)
	if got := d.seqs("c"); !slices.Equal(got, []int64{6}) {
		t.Errorf("it has %v", got)
	}
}

// TestReturnAtOnce leaves a group and comes back, of which one frame tells the last message before, the return, and new facts
// of the group: what was said before is void, the part that the frame brings too.
func TestReturnAtOnce(t *testing.T) {
	s := newTalksOver(t, "ws")
	s.open("c")
	s.post("c")
	d := newDevice()
	d.open(t, s, -1)
	pushes := func(copies, gather int) {
		defer s.lock()()
		s.lose, s.gather = func() int { return copies }, gather
	}
	pushes(1, 3)
	s.post("c")
	pushes(0, 3)
	s.leave("c")
	pushes(1, 3)
	s.join("c")
	s.tellFacts("c")
	pushes(1, 1)
	s.post("c")
	s.post("c")
	d.upToDate(t, s)
	if got := d.seqs("c"); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("it has %v", got)
	}
}

// TestOtherEvents hands on what is no update.
func TestOtherEvents(t *testing.T) {
	s := newTalksOver(t, "tcp")
	d := newDevice()
	d.open(t, s, -1)
	s.e.push(notice(1), &edgev1.Event{Kind: &edgev1.Event_Chat{Chat: &chatv1.Event{
		ConversationId: "c", Kind: &chatv1.Event_Likes{Likes: &chatv1.Likes{Count: 3}},
	}}})
	eventually(t, "both were told", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.events) == 2 && d.events[1].GetChat().GetLikes().GetCount() == 3
	})
}
