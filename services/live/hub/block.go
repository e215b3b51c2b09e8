package hub

import (
	"encoding/binary"
	"time"
)

// wsHeaderSize is room for the longest WebSocket frame header a server sends (RFC 6455, section 5.2).
const wsHeaderSize = 10

// Block is a run of FLV tags, encoded once and shared by all viewers. It must not be changed.
type Block struct {
	seq    uint64
	key    bool // decoding can start here
	sealed time.Time
	data   []byte // wsHeaderSize bytes of room, then the tags
	frame  int    // where in data the WebSocket frame starts
}

func newBlock(seq uint64, key bool, capacity int) *Block {
	return &Block{seq: seq, key: key, data: make([]byte, wsHeaderSize, wsHeaderSize+capacity)}
}

// Seq is the block's number in its stream; they rise by one.
func (b *Block) Seq() uint64 { return b.seq }

// FLV returns the tags.
func (b *Block) FLV() []byte { return b.data[wsHeaderSize:] }

// WebSocket returns the tags as one unmasked binary frame.
func (b *Block) WebSocket() []byte { return b.data[b.frame:] }

// size is the number of tag bytes.
func (b *Block) size() int { return len(b.data) - wsHeaderSize }

// seal writes the WebSocket header in front of the tags.
func (b *Block) seal(now time.Time) {
	const finalBinary = 0x82
	switch n := b.size(); {
	case n < 126:
		b.frame = wsHeaderSize - 2
		b.data[b.frame+1] = byte(n)
	case n <= 0xffff:
		b.frame = wsHeaderSize - 4
		b.data[b.frame+1] = 126
		binary.BigEndian.PutUint16(b.data[b.frame+2:], uint16(n))
	default:
		b.frame = 0
		b.data[b.frame+1] = 127
		binary.BigEndian.PutUint64(b.data[b.frame+2:], uint64(n))
	}
	b.data[b.frame] = finalBinary
	b.sealed = now
}
