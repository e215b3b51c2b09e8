package ingest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/ingest"
)

// config has short patience, so that tests of patience end soon.
func config() ingest.Config {
	return ingest.Config{HandshakeTimeout: 500 * time.Millisecond, IdleTimeout: 500 * time.Millisecond}
}

func TestPublishIsAcceptedAndMediaFlows(t *testing.T) {
	f := serve(t, ingest.Config{})
	c := f.dial(t).publish("good")
	for range 50 {
		c.write(frame(1000))
	}
	c.command("deleteStream")
	_ = c.conn.Close()
	if err := <-f.closed; err != nil {
		t.Errorf("reason after deleteStream is %v, want nil", err)
	}
	if n := f.frames["good"]; n != 50 {
		t.Errorf("%d frames arrived, want 50", n)
	}
}

func TestPublishIsRefusedBeforeStart(t *testing.T) {
	for name, key := range map[string]string{
		"unknown key": "wrong", "empty key": "", "path as key": "../../etc/passwd", "a long key": strings.Repeat("k", 4000),
		"key with query": "wrong?good",
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, ingest.Config{})
			c := f.dial(t).handshake()
			c.connect().until("NetConnection.Connect.Success")
			said := c.command("createStream").command("publish", key, "live").rest()
			if !strings.Contains(said, "NetStream.Publish.BadName") {
				t.Errorf("the encoder was told %q, want NetStream.Publish.BadName", said)
			}
			if strings.Contains(said, "NetStream.Publish.Start") {
				t.Error("the encoder was told to start")
			}
		})
	}
}

func TestSecondPublisherOfAKeyIsRefused(t *testing.T) {
	f := serve(t, ingest.Config{})
	first := f.dial(t).publish("good")
	second := f.dial(t).handshake()
	second.connect().until("NetConnection.Connect.Success")
	if said := second.command("publish", "good", "live").rest(); !strings.Contains(said, "BadName") || !strings.Contains(said, "Another encoder") {
		t.Errorf("the second encoder was told %q", said)
	}
	first.write(frame(10))
	_ = first.conn.Close()
	<-f.closed
	if f.frames["good"] != 1 {
		t.Errorf("the first encoder's frame did not arrive")
	}
	f.dial(t).publish("good") // free again
}

func TestSilentPublisherIsCut(t *testing.T) {
	f := serve(t, config())
	c := f.dial(t).publish("good")
	c.rest()
	if err := <-f.closed; err == nil {
		t.Error("a silent publisher counts as one that unpublished")
	}
}

func TestKickedPublisherLearnsNothingButEnds(t *testing.T) {
	f := serve(t, ingest.Config{})
	c := f.dial(t).publish("good")
	want := errors.New("the stream key was revoked")
	f.kick(want)
	c.rest()
	if err := <-f.closed; !errors.Is(err, want) {
		t.Errorf("reason is %v, want %v", err, want)
	}
}

func TestRefusedMediaEndsTheConnection(t *testing.T) {
	f := serve(t, ingest.Config{})
	f.fail = errors.New("codec is not supported")
	c := f.dial(t).publish("good")
	c.write(frame(10))
	c.rest()
	if err := <-f.closed; !errors.Is(err, f.fail) {
		t.Errorf("reason is %v, want %v", err, f.fail)
	}
}

// hostile is what a connection may send instead of RTMP. Each must end its connection, and nothing else.
func hostile() map[string]func(c *client) {
	nested := func(depth int) []byte {
		var b bytes.Buffer
		_ = rtmp.Amf0.WriteString(&b, "connect")
		_ = rtmp.Amf0.WriteNumber(&b, 1)
		for range depth {
			b.Write([]byte{3, 0, 1, 'k'})
		}
		return b.Bytes()
	}
	chunk := func(csid, kind byte, length int) []byte {
		return []byte{csid, 0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), kind, 0, 0, 0, 0}
	}
	return map[string]func(c *client){
		"garbage":             func(c *client) { c.write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 500)) },
		"slow handshake":      func(c *client) { c.write([]byte{3, 0, 0}) },
		"truncated handshake": func(c *client) { c.write(append([]byte{3}, make([]byte, 700)...)) },
		"nothing":             func(*client) {},
		"stops after the handshake": func(c *client) {
			c.handshake()
		},
		"a command of 16 MB":            func(c *client) { c.handshake().write(chunk(3, 20, 0xffffff)) },
		"media before publish":          func(c *client) { c.handshake().write(frame(100)) },
		"data before publish":           func(c *client) { c.handshake().write(chunk(3, 18, 100)) },
		"an aggregate":                  func(c *client) { c.handshake().write(chunk(3, 22, 100)) },
		"an unknown type":               func(c *client) { c.handshake().write(chunk(3, 99, 100)) },
		"a chunk without a header":      func(c *client) { c.handshake().write([]byte{0xc5, 0, 0}) },
		"AMF nested 16 deep":            func(c *client) { c.handshake().message(20, 0, nested(16)) },
		"AMF nested 10,000 deep":        func(c *client) { c.handshake().message(20, 0, nested(10000)) },
		"AMF string longer than itself": func(c *client) { c.handshake().message(20, 0, []byte{2, 0xff, 0xff, 'x'}) },
		"AMF strict array of 4 billion": func(c *client) {
			var b bytes.Buffer
			_ = rtmp.Amf0.WriteString(&b, "connect")
			_ = rtmp.Amf0.WriteNumber(&b, 1)
			b.Write([]byte{10, 0xff, 0xff, 0xff, 0xff})
			b.Write(bytes.Repeat([]byte{5}, 5000))
			c.handshake().message(20, 0, b.Bytes())
		},
		"a short user control":   func(c *client) { c.handshake().message(4, 0, []byte{0}) },
		"a chunk size of 0":      func(c *client) { c.handshake().message(1, 0, []byte{0, 0, 0, 0}) },
		"a chunk size of 2 GB":   func(c *client) { c.handshake().message(1, 0, []byte{0x7f, 0xff, 0xff, 0xff}) },
		"publish before connect": func(c *client) { c.handshake().command("publish", "good", "live") },
		"play":                   func(c *client) { c.handshake().connect().command("play", "good") },
		"connect twice":          func(c *client) { c.handshake().connect().connect() },
		"thousands of chunk streams": func(c *client) {
			c.handshake()
			for id := range 4000 {
				c.write([]byte{0, byte(id), 0, 0, 0, 0, 0, 200, 20, 0, 0, 0, 0})
				c.write(make([]byte, 128))
			}
		},
		"a message inside another": func(c *client) {
			c.handshake().write(chunk(3, 20, 300))
			c.write(make([]byte, 128))
			c.write(chunk(3, 20, 300))
		},
		"many unfinished commands": func(c *client) {
			c.handshake()
			for id := byte(3); id < 30; id++ {
				c.write(chunk(id, 20, 60000))
				c.write(make([]byte, 128))
			}
			for range 8000 {
				c.write([]byte{0xc3})
				c.write(make([]byte, 128))
			}
		},
		"media of 16 MB after publish": func(c *client) { c.publish("other").write(chunk(6, 9, 0xffffff)) },
		"many huge media announcements": func(c *client) {
			c.publish("other")
			for id := byte(6); id < 20; id++ {
				c.write(chunk(id, 9, 4<<20))
				c.write(make([]byte, 128))
			}
		},
		"publish twice": func(c *client) { c.publish("other").command("publish", "other", "live") },
	}
}

func TestHostileInputEndsItsConnectionAlone(t *testing.T) {
	f := serve(t, ingest.Config{HandshakeTimeout: 500 * time.Millisecond, IdleTimeout: 20 * time.Second})
	healthy := f.dial(t).publish("good")
	sent := 0
	for name, attack := range hostile() {
		t.Run(name, func(t *testing.T) {
			c := f.dial(t)
			attack(c)
			for {
				// The healthy stream goes on while the server makes up its mind.
				healthy.write(frame(100))
				sent++
				_ = c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_, err := c.conn.Read(make([]byte, 64<<10))
				if err != nil && !isTimeout(err) && f.free("other") {
					return
				}
			}
		})
	}
	healthy.command("deleteStream")
	_ = healthy.conn.Close()
	for {
		if err := <-f.closed; err == nil {
			break // the healthy one; hostile ones that got so far end with a reason
		}
	}
	if got := f.frames["good"]; got != sent {
		t.Errorf("%d of %d frames of the healthy stream arrived", got, sent)
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestConnectionsFromOneAddressAreBounded(t *testing.T) {
	f := serve(t, ingest.Config{MaxPerAddress: 2, HandshakeTimeout: 20 * time.Second})
	first, second := f.dial(t).handshake(), f.dial(t).handshake()
	f.dial(t).rest() // the third is hung up on
	first.connect().until("Success")
	first.command("publish", "good", "live").until("Start")
	f.dial(t).handshake() // one that publishes does not count
	_ = second
}
