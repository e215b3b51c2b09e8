package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/ingest"
)

// front is a real server on loopback whose authorizer knows the keys "good" and "other".
type front struct {
	addr   string
	server *ingest.Server

	mu     sync.Mutex
	inUse  map[string]bool
	frames map[string]int
	closed chan error // a value for each publication that ended
	begun  chan string
	kick   func(error)
	fail   error // what Write returns
}

func serve(t *testing.T, config ingest.Config) *front {
	t.Helper()
	f := &front{inUse: map[string]bool{}, frames: map[string]int{}, closed: make(chan error, 16), begun: make(chan string, 16)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	f.server = ingest.NewServer(config, f, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		f.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return f
}

func (f *front) Authorize(_ context.Context, app, key string, kick func(error)) (ingest.Publication, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case app != "live" || (key != "good" && key != "other"):
		return nil, ingest.Refuse("The stream key is unknown.")
	case f.inUse[key]:
		return nil, ingest.Refuse("Another encoder is using this stream key.")
	}
	f.inUse[key] = true
	f.kick = kick
	f.begun <- key
	return &publication{f, key}, nil
}

// free tells whether nobody publishes with a key.
func (f *front) free(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.inUse[key]
}

type publication struct {
	front *front
	key   string
}

func (p *publication) Write(hub.Kind, uint32, []byte) error {
	p.front.mu.Lock()
	defer p.front.mu.Unlock()
	p.front.frames[p.key]++
	return p.front.fail
}

func (p *publication) Close(reason error) {
	p.front.mu.Lock()
	p.front.inUse[p.key] = false
	p.front.mu.Unlock()
	p.front.closed <- reason
}

// client writes RTMP by hand.
type client struct {
	t    *testing.T
	conn net.Conn
}

func (f *front) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

// handshake sends C0, C1 and C2 and takes S0, S1 and S2.
func (c *client) handshake() *client {
	c.t.Helper()
	hello := make([]byte, 1+1536)
	hello[0] = 3
	c.write(hello)
	if _, err := io.ReadFull(c.conn, make([]byte, 1+2*1536)); err != nil {
		c.t.Fatalf("read handshake: %v", err)
	}
	c.write(make([]byte, 1536))
	return c
}

// write ignores errors: the server may have hung up, which reading shows.
func (c *client) write(b []byte) { _, _ = c.conn.Write(b) }

func (c *client) message(kind uint8, streamID int, payload []byte) *client {
	header := base.RtmpHeader{Csid: 3, MsgLen: uint32(len(payload)), MsgTypeId: kind, MsgStreamId: streamID}
	// Chunks of 128 bytes, which is the size before any is agreed on.
	for i := 0; i == 0 || i < len(payload); i += 128 {
		if i == 0 {
			c.write([]byte{3, 0, 0, 0, byte(header.MsgLen >> 16), byte(header.MsgLen >> 8), byte(header.MsgLen), kind, byte(streamID), 0, 0, 0})
		} else {
			c.write([]byte{0xc3})
		}
		c.write(payload[i:min(i+128, len(payload))])
	}
	return c
}

func (c *client) connect() *client {
	var b bytes.Buffer
	_ = rtmp.Amf0.WriteString(&b, "connect")
	_ = rtmp.Amf0.WriteNumber(&b, 1)
	_ = rtmp.Amf0.WriteObject(&b, rtmp.ObjectPairArray{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://test/live"}})
	return c.message(20, 0, b.Bytes())
}

func (c *client) command(name string, args ...string) *client {
	var b bytes.Buffer
	_ = rtmp.Amf0.WriteString(&b, name)
	_ = rtmp.Amf0.WriteNumber(&b, 2)
	_ = rtmp.Amf0.WriteNull(&b)
	for _, arg := range args {
		_ = rtmp.Amf0.WriteString(&b, arg)
	}
	return c.message(20, 1, b.Bytes())
}

// rest reads until the server hangs up and returns what it said.
func (c *client) rest() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, err := io.ReadAll(c.conn)
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		c.t.Fatal("the server did not hang up")
	}
	return string(b)
}

// until reads until the server has said text.
func (c *client) until(text string) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var said []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(said, []byte(text)) {
		n, err := c.conn.Read(buf)
		said = append(said, buf[:n]...)
		if err != nil {
			c.t.Fatalf("the server never said %q: %v; it said %q", text, err, said)
		}
	}
}

// publish goes all the way to an accepted publish.
func (c *client) publish(key string) *client {
	c.handshake().connect().until("NetConnection.Connect.Success")
	c.command("createStream").command("publish", key, "live").until("NetStream.Publish.Start")
	return c
}

// frame is a whole video message on chunk stream 6.
func frame(n int) []byte {
	payload := append([]byte{0x27, 1, 0, 0, 0}, make([]byte, n)...)
	header := base.RtmpHeader{Csid: 6, MsgLen: uint32(len(payload)), MsgTypeId: 9, MsgStreamId: 1}
	out := []byte{6, 0, 0, 0, byte(header.MsgLen >> 16), byte(header.MsgLen >> 8), byte(header.MsgLen), 9, 1, 0, 0, 0}
	for i := 0; i < len(payload); i += 128 {
		if i > 0 {
			out = append(out, 0xc6)
		}
		out = append(out, payload[i:min(i+128, len(payload))]...)
	}
	return out
}
