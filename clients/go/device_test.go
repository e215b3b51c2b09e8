package stoa_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

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
