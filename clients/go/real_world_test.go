package stoa_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/testkit"
)

// realServer is the whole of Stoa in this process, whose people may do as much as they like.
func realServer(t *testing.T) *testkit.Server {
	t.Helper()
	return testkit.Start(t, func(c *config.Serve) {
		c.EdgeAddr, c.ChatUserRate, c.ChatRoomRate, c.EdgeFrameRate = "127.0.0.1:0", 1e6, 1e6, 1e6
		c.LogLevel = "warn"
	})
}

// cutter carries connections to a server, until it is cut.
type cutter struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutter{listener: listener, to: to, conns: make(map[net.Conn]bool)}
	p.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *cutter) carry(in net.Conn) {
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = in.Close()
		return
	}
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = in.Close()
			_ = out.Close()
		})
	}
	both.Wait()
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

// cut ends what is connected now, in the middle of whatever it carries.
func (p *cutter) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// realDevice is a device of somebody's against a real server. One goroutine uses it.
type realDevice struct {
	*device

	t       *testing.T
	name    string
	account *stoa.Account
	line    *cutter
	url     string
	chat    *stoa.Chat
	groups  chatv1connect.GroupServiceClient
}

// person signs somebody up on several devices, of which every second speaks TCP.
func person(t *testing.T, s *testkit.Server, name string, devices int) (all []*realDevice) {
	t.Helper()
	username := name + "-" + strings.ToLower(rand.Text()[:8])
	options := stoa.AccountOptions{URL: s.URL, HTTPClient: s.HTTP1}
	for i := range devices {
		d := &realDevice{device: newDevice(), t: t, name: name + " " + string(rune('1'+i))}
		var err error
		if i == 0 {
			d.account, err = stoa.SignUp(within(t), options, username, testkit.Password, name)
		} else {
			d.account, err = stoa.SignIn(within(t), options, username, testkit.Password)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			d.line = newCutter(t, s.HTTPAddr().String())
			d.url = "ws://" + d.line.listener.Addr().String() + "/edge/v1"
		} else {
			d.line = newCutter(t, s.EdgeAddr().String())
			d.url = "tcp://" + d.line.listener.Addr().String()
		}
		d.open()
		t.Cleanup(func() { d.chat.Close() })
		all = append(all, d)
	}
	return all
}

func (d *realDevice) user() string { return d.account.Session().User.GetId() }

// open starts the device's program, which has what it kept.
func (d *realDevice) open() {
	d.device.mu.Lock()
	d.history = -1
	d.device.mu.Unlock()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	chat, err := stoa.OpenChat(ctx, stoa.Options{
		URL: d.url, Token: d.account.Token, BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}, stoa.ChatOptions{Store: d.device, History: -1})
	if err != nil {
		d.t.Errorf("%s opens: %v", d.name, err)
		return
	}
	d.chat = chat
	d.groups = chatv1connect.NewGroupServiceClient(chat.Conn().HTTPClient(), "http://edge")
}

// shown returns what the device shows of a conversation: without what its user hid, and without whose signs are the user's,
// which pushes do not say.
func (d *realDevice) shown(id string) map[int64]*chatv1.Message {
	d.device.mu.Lock()
	defer d.device.mu.Unlock()
	v := d.views[id]
	if v == nil {
		return nil
	}
	all := make(map[int64]*chatv1.Message)
	for _, m := range v.messages {
		if !v.hidden[m.GetSeq()] {
			all[m.GetSeq()] = withoutMine(m)
		}
	}
	return all
}
