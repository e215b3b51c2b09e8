package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// RTMP message types (Adobe, "RTMP Specification 1.0", sections 5.4, 6.2 and 7.1).
const (
	typeSetChunkSize  = 1
	typeAcknowledge   = 3
	typeUserControl   = 4
	typeWindowAckSize = 5
	typePeerBandwidth = 6
	typeAudio         = 8
	typeVideo         = 9
	typeData          = 18
	typeCommandAMF3   = 17
	typeCommandAMF0   = 20
)

// Bounds on what a connection may announce. lal's chunk composer allocates by announced length and keeps any number of
// chunk streams; these bounds stand in front of it.
const (
	handshakeSize       = 1536
	defaultChunkSize    = 128
	maxChunkSize        = 1 << 20
	maxChunkStreams     = 32
	maxControlSize      = 64 << 10 // one AMF0 or control message
	maxMediaSize        = 4 << 20  // one audio or video message
	maxPartialSize      = 12 << 20 // announced bytes of all unfinished messages together
	extendedTimestampAt = 0xffffff
)

// errMore says that the bytes at hand end before the next decision.
var errMore = errors.New("more bytes are needed")

// chunkStream is what has been announced on one chunk stream id.
type chunkStream struct {
	seen      bool
	timestamp uint32 // as lal keeps it: the extended value where there was one
	length    uint32
	kind      uint8
	got       uint32
	body      []byte // only of messages that are checked whole
}

func (c *chunkStream) unfinished() bool { return c.got > 0 }

// message is a complete message that is not media.
type message struct {
	kind uint8
	body []byte
}

// chunkParser follows the chunk stream exactly as lal will, and refuses what lal would take at face value.
// It is fed a growing window of bytes and says how many of them it accepts.
type chunkParser struct {
	chunkSize  uint32
	streams    map[uint32]*chunkStream
	publishing bool

	current     *chunkStream // whose payload is being read
	payloadLeft uint32
	partial     uint32 // announced bytes of unfinished messages
	held        int    // unfinished messages that must be whole before lal may see them
}

func newChunkParser() *chunkParser {
	return &chunkParser{chunkSize: defaultChunkSize, streams: make(map[uint32]*chunkStream)}
}

// next consumes a prefix of b: one chunk header, or payload. It returns the number of bytes consumed and, where they
// complete a message that must be checked, that message. It returns errMore, and consumes nothing, where b ends inside
// a header.
func (p *chunkParser) next(b []byte) (int, *message, error) {
	if p.current == nil {
		n, err := p.header(b)
		if err != nil {
			return 0, nil, err
		}
		if p.payloadLeft > 0 {
			return n, nil, nil
		}
		msg, err := p.chunkDone()
		return n, msg, err
	}
	if len(b) == 0 {
		return 0, nil, errMore
	}
	n := min(uint32(len(b)), p.payloadLeft)
	if checkedWhole(p.current.kind) {
		p.current.body = append(p.current.body, b[:n]...)
	}
	p.payloadLeft -= n
	p.current.got += n
	if p.payloadLeft > 0 {
		return int(n), nil, nil
	}
	msg, err := p.chunkDone()
	return int(n), msg, err
}

// checkedWhole tells which messages lal may see only after the guard has seen all of them.
func checkedWhole(kind uint8) bool { return kind != typeAudio && kind != typeVideo }

// header reads a basic header, a message header and an extended timestamp (section 5.3.1).
func (p *chunkParser) header(b []byte) (int, error) {
	if len(b) < 1 {
		return 0, errMore
	}
	format, id, n := b[0]>>6, uint32(b[0]&0x3f), 1
	switch id {
	case 0:
		if len(b) < 2 {
			return 0, errMore
		}
		id, n = 64+uint32(b[1]), 2
	case 1:
		if len(b) < 3 {
			return 0, errMore
		}
		id, n = 64+uint32(b[1])+uint32(b[2])<<8, 3
	}
	size := [4]int{11, 7, 3, 0}[format]
	if len(b) < n+size {
		return 0, errMore
	}
	fields := b[n : n+size]
	n += size

	cs := p.streams[id]
	if cs == nil {
		if len(p.streams) >= maxChunkStreams {
			return 0, fmt.Errorf("more than %d chunk streams", maxChunkStreams)
		}
		cs = &chunkStream{}
	}
	if !cs.seen && format != 0 && format != 1 {
		return 0, fmt.Errorf("chunk stream %d starts without a message header", id)
	}
	if cs.unfinished() && format != 3 {
		return 0, fmt.Errorf("chunk stream %d starts a message inside another", id)
	}
	timestamp, length, kind := cs.timestamp, cs.length, cs.kind
	if format <= 2 {
		timestamp = uint24(fields)
	}
	if format <= 1 {
		length, kind = uint24(fields[3:]), fields[6]
	}
	if timestamp >= extendedTimestampAt {
		if len(b) < n+4 {
			return 0, errMore
		}
		timestamp = binary.BigEndian.Uint32(b[n:])
		n += 4
	}
	if !cs.unfinished() {
		if err := p.admit(kind, length); err != nil {
			return 0, err
		}
		p.partial += length
		if p.partial > maxPartialSize {
			return 0, fmt.Errorf("unfinished messages announce more than %d bytes", maxPartialSize)
		}
		if checkedWhole(kind) {
			p.held++
		}
	}
	cs.seen, cs.timestamp, cs.length, cs.kind = true, timestamp, length, kind
	p.streams[id] = cs
	p.current = cs
	p.payloadLeft = min(cs.length-cs.got, p.chunkSize)
	return n, nil
}

// admit decides on a message by its header alone.
func (p *chunkParser) admit(kind uint8, length uint32) error {
	switch kind {
	case typeSetChunkSize, typeAcknowledge, typeUserControl, typeWindowAckSize, typePeerBandwidth, typeCommandAMF0, typeCommandAMF3:
		if length > maxControlSize {
			return fmt.Errorf("message of type %d announces %d bytes, more than %d", kind, length, maxControlSize)
		}
	case typeData:
		if !p.publishing {
			return errors.New("data before publish")
		}
		if length > maxControlSize {
			return fmt.Errorf("data message announces %d bytes, more than %d", length, maxControlSize)
		}
	case typeAudio, typeVideo:
		if !p.publishing {
			return errors.New("media before publish")
		}
		if length > maxMediaSize {
			return fmt.Errorf("media message announces %d bytes, more than %d", length, maxMediaSize)
		}
	default:
		return fmt.Errorf("message type %d is not supported", kind)
	}
	return nil
}

// chunkDone ends a chunk, and a message where it was its last.
func (p *chunkParser) chunkDone() (*message, error) {
	cs := p.current
	p.current = nil
	if cs.got < cs.length {
		return nil, nil
	}
	p.partial -= cs.length
	cs.got = 0
	if !checkedWhole(cs.kind) {
		return nil, nil
	}
	p.held--
	msg := &message{kind: cs.kind, body: cs.body}
	cs.body = nil
	return msg, p.control(msg)
}

// control checks protocol control messages, whose lengths lal does not, and applies a new chunk size.
func (p *chunkParser) control(msg *message) error {
	least := map[uint8]int{typeSetChunkSize: 4, typeAcknowledge: 4, typeUserControl: 6, typeWindowAckSize: 4, typePeerBandwidth: 5}[msg.kind]
	if len(msg.body) < least {
		return fmt.Errorf("control message of type %d has %d bytes, fewer than %d", msg.kind, len(msg.body), least)
	}
	if msg.kind != typeSetChunkSize {
		return nil
	}
	size := binary.BigEndian.Uint32(msg.body)
	if size == 0 || size > maxChunkSize {
		return fmt.Errorf("chunk size %d is not between 1 and %d", size, maxChunkSize)
	}
	for id, cs := range p.streams {
		if cs.unfinished() {
			return fmt.Errorf("chunk size changes inside a message of chunk stream %d", id)
		}
	}
	p.chunkSize = size
	return nil
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
