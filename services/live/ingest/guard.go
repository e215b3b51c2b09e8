package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"
)

// ErrProtocol wraps every reason for which the guard ends a connection.
var ErrProtocol = errors.New("RTMP protocol violation")

const (
	readSize     = 64 << 10
	maxHeld      = 512 << 10 // bytes withheld while a checked message is incomplete
	lingerFor    = time.Second
	writeTimeout = 10 * time.Second
)

// guard is the net.Conn that lal reads from. It releases bytes only after it has checked them: sizes, chunk streams,
// AMF depth, the order of commands, and whether a publish is allowed. lal answers NetStream.Publish.Start before it
// asks anyone, so a publish is decided here, while its bytes are still withheld.
type guard struct {
	net.Conn
	parser *chunkParser
	// authorize decides on a publish; a *Refusal is told to the encoder.
	authorize func(app, name string) error
	// unpublished is told of a deliberate end (FCUnpublish, deleteStream, closeStream).
	unpublished func()
	idle        time.Duration
	armed       time.Time     // when the deadline was last moved
	gather      time.Duration // a publisher's bytes are read this far apart
	drained     bool          // the last read took all there was

	buf       []byte
	read      int // lal has read up to here
	checked   int // the parser has accepted up to here
	written   int // bytes have arrived up to here
	holdFrom  int // start of the oldest withheld message, or -1
	handshake int // handshake bytes still to pass
	version   bool
	app       string
	connected bool
	err       error
}

func newGuard(conn net.Conn, config Config) *guard {
	_ = conn.SetReadDeadline(time.Now().Add(config.HandshakeTimeout))
	return &guard{
		Conn: conn, parser: newChunkParser(), idle: config.IdleTimeout, gather: config.Gather,
		holdFrom: -1, handshake: 1 + 2*handshakeSize,
	}
}

// Read returns checked bytes.
func (g *guard) Read(p []byte) (int, error) {
	for {
		if n := g.releasable() - g.read; n > 0 {
			n = copy(p, g.buf[g.read:g.read+n])
			g.read += n
			return n, nil
		}
		if g.err != nil {
			return 0, g.err
		}
		if err := g.fill(); err != nil {
			g.err = err
		}
	}
}

func (g *guard) releasable() int {
	if g.holdFrom >= 0 {
		return g.holdFrom
	}
	return g.checked
}

// fill reads once from the network and checks what came.
func (g *guard) fill() error {
	if g.read > 0 {
		copy(g.buf, g.buf[g.read:g.written])
		g.checked -= g.read
		g.written -= g.read
		if g.holdFrom >= 0 {
			g.holdFrom -= g.read
		}
		g.read = 0
	}
	if g.written > maxHeld {
		return fmt.Errorf("%w: more than %d bytes arrived inside an unfinished command", ErrProtocol, maxHeld)
	}
	if need := g.written + readSize; need > len(g.buf) {
		grown := make([]byte, max(need, 2*len(g.buf)))
		copy(grown, g.buf[:g.written])
		g.buf = grown
	}
	if g.parser.publishing {
		// Moving the deadline once a second instead of at every frame is as good, and cheaper.
		if now := time.Now(); now.Sub(g.armed) >= time.Second {
			g.armed = now
			_ = g.Conn.SetReadDeadline(now.Add(g.idle))
		}
		// Several frames a read: waking for each would cost more than handling it. While more than a read is waiting,
		// there is no pause, so that this bounds delay and never throughput.
		if g.gather > 0 && g.drained {
			time.Sleep(g.gather)
		}
	}
	room := g.buf[g.written:]
	n, err := g.Conn.Read(room)
	g.written += n
	g.drained = n < len(room)
	if checkErr := g.check(); checkErr != nil {
		return checkErr
	}
	return err
}

// check advances over everything that can be accepted now.
func (g *guard) check() error {
	for g.checked < g.written {
		window := g.buf[g.checked:g.written]
		if g.handshake > 0 {
			if !g.version {
				if window[0] != 3 {
					return fmt.Errorf("%w: handshake version %d, want 3", ErrProtocol, window[0])
				}
				g.version = true
			}
			n := min(g.handshake, len(window))
			g.handshake -= n
			g.checked += n
			continue
		}
		start, heldBefore := g.checked, g.parser.held
		n, msg, err := g.parser.next(window)
		if errors.Is(err, errMore) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		g.checked += n
		if heldBefore == 0 && g.parser.held > 0 {
			g.holdFrom = start
		}
		if msg != nil {
			if err := g.message(msg); err != nil {
				return err
			}
		}
		if g.parser.held == 0 {
			g.holdFrom = -1
		}
	}
	return nil
}

// message decides on a complete message that is not media.
func (g *guard) message(msg *message) error {
	switch msg.kind {
	case typeData:
		if err := checkData(msg.body); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	case typeCommandAMF0:
		return g.command(msg.body)
	case typeCommandAMF3:
		// An AMF3 command is one zero byte and then AMF0 (section 7.1.1).
		if len(msg.body) == 0 || msg.body[0] != 0 {
			return fmt.Errorf("%w: AMF3 command does not hold AMF0", ErrProtocol)
		}
		return g.command(msg.body[1:])
	}
	return nil
}

func (g *guard) command(body []byte) error {
	cmd, err := parseCommand(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	switch cmd.name {
	case "connect":
		if g.connected {
			return fmt.Errorf("%w: connect twice", ErrProtocol)
		}
		if cmd.object == nil {
			return fmt.Errorf("%w: connect names no app", ErrProtocol)
		}
		g.app = strings.Trim(cmd.object["app"], "/")
		g.connected = true
	case "createStream", "releaseStream", "FCPublish", "getStreamLength":
		if !g.connected {
			return fmt.Errorf("%w: %s before connect", ErrProtocol, cmd.name)
		}
	case "publish":
		return g.publish(cmd)
	case "play":
		g.status("NetStream.Play.StreamNotFound", "Play over FLV or HLS; RTMP takes streams in only.")
		return fmt.Errorf("%w: play is not offered", ErrProtocol)
	case "FCUnpublish", "deleteStream", "closeStream":
		if g.parser.publishing && g.unpublished != nil {
			g.unpublished()
		}
	}
	return nil
}

func (g *guard) publish(cmd command) error {
	if !g.connected || g.parser.publishing {
		return fmt.Errorf("%w: publish before connect, or twice", ErrProtocol)
	}
	// The arguments are null, the stream's name, and the type.
	if len(cmd.args) < 2 || cmd.args[1] == "" {
		g.status("NetStream.Publish.BadName", "The stream key is missing.")
		return fmt.Errorf("%w: publish without a name", ErrProtocol)
	}
	name, _, _ := strings.Cut(cmd.args[1], "?")
	if err := g.authorize(g.app, name); err != nil {
		sentence := "The server cannot take the stream right now. Try again soon."
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			sentence = refusal.sentence
		}
		g.status("NetStream.Publish.BadName", sentence)
		return fmt.Errorf("publish refused: %w", err)
	}
	g.parser.publishing = true
	return nil
}

// status sends an onStatus error (section 7.2.2) and lets the encoder read it before the connection goes.
func (g *guard) status(code, description string) {
	var b bytes.Buffer
	_ = rtmp.Amf0.WriteString(&b, "onStatus")
	_ = rtmp.Amf0.WriteNumber(&b, 0)
	_ = rtmp.Amf0.WriteNull(&b)
	_ = rtmp.Amf0.WriteObject(&b, rtmp.ObjectPairArray{
		{Key: "level", Value: "error"}, {Key: "code", Value: code}, {Key: "description", Value: description},
	})
	header := base.RtmpHeader{Csid: 5, MsgLen: uint32(b.Len()), MsgTypeId: base.RtmpTypeIdCommandMessageAmf0, MsgStreamId: 1}
	if _, err := g.Write(rtmp.Message2Chunks(b.Bytes(), &header)); err != nil {
		return
	}
	// Closing with unread bytes in the socket would reset the connection and could take the answer with it.
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = g.Conn.SetReadDeadline(time.Now().Add(lingerFor))
	drain := make([]byte, 4096)
	for range 256 {
		if _, err := g.Conn.Read(drain); err != nil {
			return
		}
	}
}

// Write bounds how long an encoder that does not read can hold a writer.
func (g *guard) Write(p []byte) (int, error) {
	_ = g.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return g.Conn.Write(p)
}

// SetReadDeadline does nothing: the guard owns the deadlines of its connection.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetDeadline does nothing: the guard owns the deadlines of its connection.
func (g *guard) SetDeadline(time.Time) error { return nil }
