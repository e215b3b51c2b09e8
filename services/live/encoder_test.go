package live_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/q191201771/lal/pkg/rtmp"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
)

// encoder speaks RTMP by hand: lal's own client does not notice that it is refused before its timeout.
type encoder struct {
	n      *node
	conn   net.Conn
	cut    chan struct{} // closed when the server has hung up
	serial uint64
}

// push connects an encoder, which has not sent anything yet. The error is what the server tells the streamer.
func (n *node) push(key string) (*encoder, error) {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.service.RTMPAddr().String())
	n.must(err)
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	e := &encoder{n: n, conn: conn, cut: make(chan struct{})}
	e.write(append([]byte{3}, make([]byte, 1536)...))
	if _, err := io.ReadFull(conn, make([]byte, 1+2*1536)); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	e.write(make([]byte, 1536))
	e.message(3, 1, 0, []byte{0, 1, 0, 0}) // chunks of 64 KiB: each message is one
	var b bytes.Buffer
	_ = rtmp.Amf0.WriteString(&b, "connect")
	_ = rtmp.Amf0.WriteNumber(&b, 1)
	_ = rtmp.Amf0.WriteObject(&b, rtmp.ObjectPairArray{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://test/live"}})
	e.message(3, 20, 0, b.Bytes())
	if err := e.until("NetConnection.Connect.Success"); err != nil {
		return nil, err
	}
	e.command("createStream")
	e.command("publish", key, "live")
	if err := e.until("NetStream.Publish.Start"); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	go func() {
		defer close(e.cut)
		_, _ = io.Copy(io.Discard, conn)
	}()
	return e, nil
}

// live connects an encoder and waits until it is on the air.
func (n *node) live(roomID, key string) *encoder {
	n.t.Helper()
	e, err := n.push(key)
	n.must(err)
	e.media()
	n.until(roomID, onAir)
	return e
}

// write ignores errors: whoever is cut notices by reading.
func (e *encoder) write(b []byte) { _, _ = e.conn.Write(b) }

func (e *encoder) message(chunkStream, kind byte, at uint32, payload []byte) {
	n := len(payload)
	e.write(append([]byte{
		chunkStream, byte(at >> 16), byte(at >> 8), byte(at), byte(n >> 16), byte(n >> 8), byte(n), kind, 1, 0, 0, 0,
	}, payload...))
}

func (e *encoder) command(name string, args ...string) {
	var b bytes.Buffer
	_ = rtmp.Amf0.WriteString(&b, name)
	_ = rtmp.Amf0.WriteNumber(&b, 2)
	_ = rtmp.Amf0.WriteNull(&b)
	for _, arg := range args {
		_ = rtmp.Amf0.WriteString(&b, arg)
	}
	e.message(3, 20, 0, b.Bytes())
}

// until reads until the server has said text, or has hung up.
func (e *encoder) until(text string) error {
	var said []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(said, []byte(text)) {
		n, err := e.conn.Read(buf)
		said = append(said, buf[:n]...)
		if err == nil {
			continue
		}
		if _, reason, ok := strings.Cut(string(said), "description"); ok {
			return errors.New(reason)
		}
		return fmt.Errorf("the server hung up: %w", err)
	}
	return nil
}

func (e *encoder) send(kind hub.Kind, payload []byte) {
	e.message(6, byte(kind), uint32(e.serial*40), payload)
}

// media sends a second of picture and sound.
func (e *encoder) media() {
	e.send(hub.Video, hubtest.AVCConfig())
	e.send(hub.Audio, hubtest.AACConfig())
	for i := range 25 {
		e.serial++
		if i == 0 {
			e.send(hub.Video, hubtest.Key(e.serial, 500))
		} else {
			e.send(hub.Video, hubtest.Inter(e.serial, 100))
		}
		e.send(hub.Audio, hubtest.Sound(e.serial, 50))
	}
}

// leave hangs up.
func (e *encoder) leave() { _ = e.conn.Close() }

// wasCut waits until the server has hung up.
func (e *encoder) wasCut() {
	e.n.t.Helper()
	select {
	case <-e.cut:
	case <-time.After(patience):
		e.n.t.Fatal("the encoder was not cut")
	}
}
