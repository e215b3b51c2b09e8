package stoa_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

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
	history   int // what it fetches of a conversation that is new to it
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
	first    int64 // that the user may see, as far as it was told
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
	fault := func(format string, args ...any) {
		d.faults = append(d.faults, u.ConversationID+": "+fmt.Sprintf(format, args...))
	}
	if u.Gone {
		delete(d.views, u.ConversationID)
		delete(d.positions, u.ConversationID)
		return nil
	}
	v, at := d.views[u.ConversationID], d.positions[u.ConversationID].Seq
	begins := v == nil || u.Reset
	if begins {
		v = &view{first: 1, hidden: make(map[int64]bool), ids: make(map[string]bool)}
		d.views[u.ConversationID] = v
		at = 0
		switch {
		case d.history < 0:
		case len(u.Messages) > 0:
			at = u.Messages[0].GetSeq() - 1
		default:
			at = u.Position.Seq
		}
	}
	if first := u.State.GetMembership().GetFirstSeq(); first > v.first {
		v.first = first
		v.messages = slices.DeleteFunc(v.messages, func(m *chatv1.Message) bool { return m.GetSeq() < first })
	}
	at = max(at, v.first-1) // what lies before is not the user's
	for _, m := range u.Messages {
		switch {
		case m.GetSeq() < v.first:
			fault("%d is shown, which is before %d", m.GetSeq(), v.first)
		case m.GetSeq() <= at || (m.GetClientMsgId() != "" && v.ids[m.GetClientMsgId()]): // the house's have none
			fault("%d comes again after %d", m.GetSeq(), at)
		case m.GetSeq() > at+1:
			fault("%d follows %d", m.GetSeq(), at)
		}
		at = m.GetSeq()
		v.ids[m.GetClientMsgId()] = true
		v.messages = append(v.messages, m)
	}
	if u.Position.Seq != at {
		fault("it is at %d, having got all up to %d", u.Position.Seq, at)
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
	d.mu.Lock()
	d.history = history
	d.mu.Unlock()
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

// lacks says what a device lacks of what it is to have; "" when it is up to date.
func (d *device) lacks(s *talks) string {
	defer s.lock()()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.faults) > 0 {
		return fmt.Sprint(d.faults)
	}
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
		last := int64(len(c.messages))
		if at := d.positions[id].Seq; at != last {
			return fmt.Sprintf("%s is at %d of %d", id, at, last)
		}
		if want := d.least(c); int64(len(v.messages)) < want {
			return fmt.Sprintf("%s has %d messages of %d", id, len(v.messages), want)
		}
		next := last - int64(len(v.messages))
		if d.history < 0 && next != max(c.first, 1)-1 {
			return fmt.Sprintf("%s has %d messages of %d, the first of which is %d", id, len(v.messages), last, c.first)
		}
		for _, m := range v.messages {
			next++
			if m.GetSeq() != next {
				return fmt.Sprintf("%s has %d in the place of %d", id, m.GetSeq(), next)
			}
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
	return ""
}

// least is how many messages of a conversation a device has at least.
func (d *device) least(c *talk) int64 {
	all := int64(len(c.messages)) - max(c.first, 1) + 1
	if d.history < 0 {
		return all
	}
	return min(all, int64(d.history))
}

// upToDate waits until a device is.
func (d *device) upToDate(t failer, s *talks) {
	t.Helper()
	none(t, func() string {
		lacks := d.lacks(s)
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.faults) > 0 { // they stay
			t.Fatalf("%s", lacks)
		}
		return lacks
	})
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
		s.openRoom("room")
		inRoom := false
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
			"edit":     func(rt *rapid.T) { c := pick(rt, talking); s.edit(c.id, seq(rt, c)) },
			"edit old": func(rt *rapid.T) { c := pick(rt, talking); s.editOld(c.id, seq(rt, c)) },
			"hide":     func(rt *rapid.T) { c := pick(rt, talking); s.hide(c.id, seq(rt, c)) },
			"leave": func(rt *rapid.T) {
				c := pick(rt, func(c *talk) bool { return c.member })
				s.leave(c.id)
			},
			"join": func(rt *rapid.T) {
				c := pick(rt, func(c *talk) bool { return !c.member && !c.room })
				s.join(c.id)
			},
			"restore": func(rt *rapid.T) { c := pick(rt, func(c *talk) bool { return c.member }); s.restore(c.id) },
			"lose": func(rt *rapid.T) {
				copies := rapid.IntRange(0, 2).Draw(rt, "copies")
				defer s.lock()()
				s.lose = func() int { return copies }
			},
			"gather": func(rt *rapid.T) {
				events := rapid.IntRange(1, 6).Draw(rt, "events")
				defer s.lock()()
				s.gather = events
			},
			"cut":    func(*rapid.T) { e.cut() },
			"forget": func(*rapid.T) { s.forget() },
			"restart": func(*rapid.T) {
				chat.Close()
				s.forget()
				inRoom = false
				open()
			},
			"enter room": func(rt *rapid.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := chat.EnterRoom(ctx, "room", false); err != nil {
					rt.Fatalf("enter: %v", err)
				}
				inRoom = true
			},
			"leave room": func(*rapid.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_ = chat.LeaveRoom(ctx, "room") // the line may be cut; in the next session it is not entered
				inRoom = false
			},
			"door": func(rt *rapid.T) {
				refusals := rapid.IntRange(0, 1).Draw(rt, "refusals")
				defer s.lock()()
				s.door = func(string) (bool, error) {
					if refusals--; refusals >= 0 {
						return false, refusal(connect.CodeUnavailable, "UNAVAILABLE", nil)
					}
					return true, nil
				}
			},
			"fail": func(rt *rapid.T) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.failing = rapid.IntRange(0, 1).Draw(rt, "failures")
			},
		})
		s.closeDoor(nil)
		s.forget() // what was lost after the last push shows at the next sync
		if inRoom {
			eventually(rt, "it is in the room", s.inRoom)
		}
		d.upToDate(rt, s)
	})
}
