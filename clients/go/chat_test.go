package stoa_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// device keeps what its updates say, and notes what must not be in them. It is the store as well.
type device struct {
	mu        sync.Mutex
	cursor    int64
	positions map[string]stoa.Position
	views     map[string]*view
	synced    int
	events    []*edgev1.Event
	faults    []string
	failing   int // how often Save will fail
}

// view is a conversation on a device.
type view struct {
	messages []*chatv1.Message
	hidden   map[int64]bool
	ids      map[string]bool
}

func newDevice() *device {
	return &device{positions: make(map[string]stoa.Position), views: make(map[string]*view)}
}

func (d *device) Load(context.Context) (int64, map[string]stoa.Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cursor, maps.Clone(d.positions), nil
}

func (d *device) SaveCursor(_ context.Context, cursor int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cursor = cursor
	return nil
}

func (d *device) Save(_ context.Context, u stoa.Update) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing > 0 {
		d.failing--
		return errors.New("no room")
	}
	if u.Gone {
		delete(d.views, u.ConversationID)
		delete(d.positions, u.ConversationID)
		return nil
	}
	v := d.views[u.ConversationID]
	if v == nil || u.Reset {
		v = &view{hidden: make(map[int64]bool), ids: make(map[string]bool)}
		d.views[u.ConversationID] = v
	}
	v.messages = slices.DeleteFunc(v.messages, func(m *chatv1.Message) bool {
		return m.GetSeq() < u.State.GetMembership().GetFirstSeq()
	})
	before := d.positions[u.ConversationID]
	for _, m := range u.Messages {
		last := before.Seq
		if n := len(v.messages); n > 0 {
			last = v.messages[n-1].GetSeq()
			if m.GetSeq() != last+1 && u.State == nil && m.GetSeq() != before.Seq+1 {
				d.faults = append(d.faults, fmt.Sprintf("%s: %d follows %d", u.ConversationID, m.GetSeq(), last))
			}
		}
		if m.GetSeq() <= last || v.ids[m.GetClientMsgId()] {
			d.faults = append(d.faults, fmt.Sprintf("%s: %d comes again after %d", u.ConversationID, m.GetSeq(), last))
		}
		v.ids[m.GetClientMsgId()] = true
		v.messages = append(v.messages, m)
	}
	for _, changed := range u.Changed {
		for i, m := range v.messages {
			if m.GetSeq() == changed.GetSeq() {
				v.messages[i] = changed
			}
		}
	}
	for _, seq := range u.HiddenSeqs {
		v.hidden[seq] = true
	}
	d.positions[u.ConversationID] = u.Position
	return nil
}

// open connects the device to a chat service and closes it after the test.
func (d *device) open(t *testing.T, s *talks, history int) *stoa.Chat {
	t.Helper()
	chat, err := d.dial(within(t), s, history)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chat.Close)
	return chat
}

func (d *device) dial(ctx context.Context, s *talks, history int) (*stoa.Chat, error) {
	return stoa.OpenChat(ctx, s.e.options(), stoa.ChatOptions{
		Store: d, History: history,
		OnEvents: func(events []*edgev1.Event) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.events = append(d.events, events...)
		},
		OnSynced: func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.synced++
		},
	})
}

// lacks says what a device that fetches all history lacks; "" when it is up to date.
func (d *device) lacks(s *talks) string {
	defer s.lock()()
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, c := range s.all {
		v := d.views[id]
		if c.room && !s.rooms[id] {
			continue
		}
		if !c.room && !c.member {
			if v != nil {
				return id + " is still there"
			}
			continue
		}
		if v == nil {
			return id + " is not there"
		}
		if at, want := d.positions[id].Seq, int64(len(c.messages)); at != want {
			return fmt.Sprintf("%s is at %d of %d", id, at, want)
		}
		for _, m := range v.messages {
			if stored := c.messages[m.GetSeq()-1]; !proto.Equal(stored, m) {
				return fmt.Sprintf("%s has %v for %v", id, m, stored)
			}
		}
		for _, seqs := range c.hidden {
			for _, seq := range seqs {
				if !v.hidden[seq] {
					return fmt.Sprintf("%s still shows %d", id, seq)
				}
			}
		}
	}
	if len(d.faults) > 0 {
		return fmt.Sprint(d.faults)
	}
	return ""
}

// upToDate waits until a device is.
func (d *device) upToDate(t failer, s *talks) {
	t.Helper()
	none(t, func() string { return d.lacks(s) })
}

func (d *device) seqs(id string) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var seqs []int64
	for _, m := range d.views[id].messages {
		seqs = append(seqs, m.GetSeq())
	}
	return seqs
}

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

// TestSend sends while the connection is cut before each answer: each message is stored once.
func TestSend(t *testing.T) {
	for _, scheme := range []string{"ws", "tcp"} {
		t.Run(scheme, func(t *testing.T) {
			s := newTalksOver(t, scheme)
			s.open("c")
			d := newDevice()
			chat := d.open(t, s, -1)
			s.stored = func(*chatv1.Message) { // the lock is held
				for l := range s.e.lines {
					l.close()
				}
			}
			for n := 1; n <= 10; n++ {
				m, err := chat.SendText(within(t), "c", fmt.Sprint(n))
				if err != nil || m.GetSeq() != int64(n) || m.GetContent().GetText().GetText() != fmt.Sprint(n) {
					t.Fatalf("message %d was sent as %v, %v", n, m, err)
				}
			}
			d.upToDate(t, s)
			if _, err := chat.SendText(within(t), "elsewhere", "x"); stoa.Reason(err) != "CONVERSATION_NOT_FOUND" {
				t.Errorf("where one may not write, sending ended by %v", err)
			}
			chat.Close()
			if _, err := chat.SendText(within(t), "c", "x"); stoa.Reason(err) != stoa.ReasonConnectionEnded {
				t.Errorf("after the end, sending ended by %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := chat.SendText(ctx, "c", "x"); connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("with a context that is over, sending ended by %v", err)
			}
		})
	}
}

// TestRefusedSend sends until a refusal passes, and no longer where it does not.
func TestRefusedSend(t *testing.T) {
	s := newTalksOver(t, "tcp")
	s.open("c")
	d := newDevice()
	chat := d.open(t, s, -1)
	unlock := s.lock()
	s.refuse = []error{
		refusal(connect.CodeUnavailable, "UNAVAILABLE", nil),
		refusal(connect.CodeResourceExhausted, "RATE_LIMITED", map[string]string{"retry_after_ms": "300"}),
		refusal(connect.CodeAborted, "ABORTED", nil),
	}
	unlock()
	start := time.Now()
	if m, err := chat.SendText(within(t), "c", "x"); err != nil || m.GetSeq() != 1 {
		t.Errorf("it was sent as %v, %v", m, err)
	}
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("it was sent again after %v", took)
	}
	for _, final := range []error{
		refusal(connect.CodePermissionDenied, "MUTED", nil),
		refusal(connect.CodeResourceExhausted, "GROUP_FULL", nil),
		refusal(connect.CodeInternal, "INTERNAL", nil),
	} {
		unlock := s.lock()
		s.refuse = []error{final}
		unlock()
		if _, err := chat.SendText(within(t), "c", "x"); stoa.Reason(err) != stoa.Reason(final) {
			t.Errorf("%v ended as %v", final, err)
		}
	}
	d.upToDate(t, s)
}

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

// TestDevice does random things to conversations, lines, the server, the store and the device itself. In the end the device
// has everything, each message once and in order.
func TestDevice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newEdge(t, rapid.SampledFrom([]string{"ws", "tcp"}).Draw(rt, "transport"))
		defer e.close()
		e.packs = rapid.Bool().Draw(rt, "packs")
		s := newTalks(e)
		s.page = rapid.IntRange(1, 5).Draw(rt, "page")
		history := rapid.SampledFrom([]int{-1, 1, 3}).Draw(rt, "history")
		d := newDevice()
		var chat *stoa.Chat
		open := func() {
			var err error
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if chat, err = d.dial(ctx, s, history); err != nil {
				rt.Fatal(err)
			}
		}
		open()
		defer func() { chat.Close() }()
		pick := func(rt *rapid.T, ok func(c *talk) bool) *talk {
			defer s.lock()()
			var ids []string
			for id, c := range s.all {
				if ok(c) {
					ids = append(ids, id)
				}
			}
			if len(ids) == 0 {
				rt.Skip("there is none")
			}
			slices.Sort(ids)
			return s.all[rapid.SampledFrom(ids).Draw(rt, "conversation")]
		}
		any := func(*talk) bool { return true }
		talking := func(c *talk) bool { return c.member && int64(len(c.messages)) >= c.first }
		seq := func(rt *rapid.T, c *talk) int64 {
			return rapid.Int64Range(max(1, c.first), int64(len(c.messages))).Draw(rt, "seq")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(rt *rapid.T) { s.open(fmt.Sprintf("c%d", len(s.all))) },
			"post": func(rt *rapid.T) {
				c := pick(rt, any)
				for range rapid.IntRange(1, 8).Draw(rt, "messages") {
					s.post(c.id)
				}
			},
			"send": func(rt *rapid.T) {
				c := pick(rt, func(c *talk) bool { return c.member })
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := chat.SendText(ctx, c.id, "mine"); err != nil {
					rt.Fatalf("send: %v", err)
				}
			},
			"edit": func(rt *rapid.T) { c := pick(rt, talking); s.edit(c.id, seq(rt, c)) },
			"hide": func(rt *rapid.T) { c := pick(rt, talking); s.hide(c.id, seq(rt, c)) },
			"leave": func(rt *rapid.T) {
				c := pick(rt, func(c *talk) bool { return c.member })
				s.leave(c.id)
			},
			"join": func(rt *rapid.T) {
				c := pick(rt, func(c *talk) bool { return !c.member })
				s.join(c.id)
			},
			"restore": func(rt *rapid.T) { c := pick(rt, func(c *talk) bool { return c.member }); s.restore(c.id) },
			"lose": func(rt *rapid.T) {
				copies := rapid.IntRange(0, 2).Draw(rt, "copies")
				defer s.lock()()
				s.lose = func() int { return copies }
			},
			"cut":     func(*rapid.T) { e.cut() },
			"forget":  func(*rapid.T) { s.forget() },
			"restart": func(*rapid.T) { chat.Close(); open() },
			"fail": func(rt *rapid.T) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.failing = rapid.IntRange(0, 1).Draw(rt, "failures")
			},
		})
		s.forget() // what was lost after the last push shows at the next sync
		d.upToDate(rt, s)
	})
}
