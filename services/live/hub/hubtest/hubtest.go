// Package hubtest makes media for tests of the live path and judges what came out of it: frames that carry serial
// numbers, so that a lost, doubled or misplaced one is seen, and a parser for FLV.
package hubtest

import (
	"encoding/binary"
	"fmt"

	"github.com/stoa-live/stoa/services/live/hub"
)

// Script is the kind of FLV tags that carry metadata.
const Script hub.Kind = 18

// serialAt is where frames carry their serial number: behind the FLV header, and in video behind the length and header
// of the only NAL unit.
const (
	videoSerialAt = 10
	audioSerialAt = 2
)

// AVCConfig is a decoder configuration of 1280x720, High profile, in an FLV payload.
func AVCConfig() []byte {
	return []byte{
		0x17, 0x00, 0x00, 0x00, 0x00, 0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00,
		0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
		0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0,
		0xfd, 0xf8, 0xf8, 0x00,
	}
}

// SmallAVCConfig is one of 640x360, Baseline profile.
func SmallAVCConfig() []byte {
	sps := []byte{0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba, 0x80}
	pps := []byte{0x68, 0xce, 0x0f, 0xc8}
	b := []byte{0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, byte(len(sps))}
	b = append(b, sps...)
	return append(append(b, 1, 0, byte(len(pps))), pps...)
}

// AACConfig is a decoder configuration of AAC-LC, 44.1 kHz, stereo, in an FLV payload.
func AACConfig() []byte { return []byte{0xaf, 0, 0x12, 0x10} }

// MonoConfig is one of AAC-LC, 48 kHz, mono.
func MonoConfig() []byte { return []byte{0xaf, 0, 0x11, 0x88} }

// Key returns an FLV payload of size bytes, at least 18, with one IDR picture.
func Key(serial uint64, size int) []byte { return video(0x17, 0x65, serial, size) }

// Inter returns an FLV payload of size bytes, at least 18, with one other picture.
func Inter(serial uint64, size int) []byte { return video(0x27, 0x41, serial, size) }

func video(kind, nal byte, number uint64, size int) []byte {
	b := make([]byte, max(size, videoSerialAt+8))
	b[0], b[1] = kind, 1
	binary.BigEndian.PutUint32(b[5:], uint32(len(b)-9))
	b[9] = nal
	fill(b[videoSerialAt:], number)
	return b
}

// Sound returns an FLV payload of size bytes, at least 10, with one AAC packet.
func Sound(serial uint64, size int) []byte {
	b := make([]byte, max(size, audioSerialAt+8))
	b[0], b[1] = 0xaf, 1
	fill(b[audioSerialAt:], serial)
	return b
}

// fill writes a serial number, 6 bits a byte, and other bytes that together are never a start code.
func fill(b []byte, serial uint64) {
	for i := range 8 {
		b[i] = 0x40 | byte(serial>>(6*(7-i)))&0x3f
	}
	for i := 8; i < len(b); i++ {
		b[i] = byte(serial) + byte(i) | 1
	}
}

func serial(b []byte) (n uint64) {
	if len(b) < 8 {
		return 0
	}
	for _, six := range b[:8] {
		n = n<<6 | uint64(six&0x3f)
	}
	return n
}

// NALSerial returns the number of the picture in a NAL unit.
func NALSerial(nal []byte) uint64 { return serial(nal[min(1, len(nal)):]) }

// Tag is one FLV tag.
type Tag struct {
	Kind    hub.Kind
	At      uint32 // ms
	Payload []byte
}

// IsConfig tells whether a tag is a decoder configuration.
func (t Tag) IsConfig() bool {
	return (t.Kind == hub.Video || t.Kind == hub.Audio) && len(t.Payload) > 1 && t.Payload[1] == 0
}

// IsKey tells whether a tag is a keyframe.
func (t Tag) IsKey() bool {
	return t.Kind == hub.Video && len(t.Payload) > 1 && t.Payload[0] == 0x17 && t.Payload[1] == 1
}

// Serial returns the number of a frame that Key, Inter or Sound made.
func (t Tag) Serial() uint64 {
	at := audioSerialAt
	if t.Kind == hub.Video {
		at = videoSerialAt
	}
	return serial(t.Payload[min(at, len(t.Payload)):])
}

// headerSize is that of an FLV file, with the first tag's back pointer.
const headerSize = 9 + 4

// Parser reads a growing FLV file.
type Parser struct {
	Flags   byte // of the file header: 4 for sound, 1 for picture
	buf     []byte
	started bool
}

// Feed takes the next bytes and returns the tags that they complete. It returns an error for what is no FLV.
func (p *Parser) Feed(b []byte) ([]Tag, error) {
	p.buf = append(p.buf, b...)
	if !p.started {
		if len(p.buf) < headerSize {
			return nil, nil
		}
		h := p.buf[:headerSize]
		if string(h[:4]) != "FLV\x01" || h[4]&^5 != 0 || binary.BigEndian.Uint32(h[5:]) != 9 || binary.BigEndian.Uint32(h[9:]) != 0 {
			return nil, fmt.Errorf("FLV header is % x", h)
		}
		p.Flags, p.started = h[4], true
		p.buf = p.buf[headerSize:]
	}
	tags, rest, err := Tags(p.buf)
	p.buf = append([]byte(nil), rest...)
	return tags, err
}

// Left is the number of bytes that wait for the rest of their tag.
func (p *Parser) Left() int { return len(p.buf) }

// Tags reads the whole tags at the start of b; they do not share its memory.
func Tags(b []byte) (tags []Tag, rest []byte, err error) {
	for len(b) >= 11 {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 11+size+4 {
			break
		}
		t := Tag{
			Kind:    hub.Kind(b[0]),
			At:      uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
			Payload: append([]byte(nil), b[11:11+size]...),
		}
		if t.Kind != hub.Audio && t.Kind != hub.Video && t.Kind != Script {
			return tags, b, fmt.Errorf("FLV tag of kind %d", t.Kind)
		}
		if b[8]|b[9]|b[10] != 0 {
			return tags, b, fmt.Errorf("FLV tag of stream % x", b[8:11])
		}
		if tail := binary.BigEndian.Uint32(b[11+size:]); tail != uint32(11+size) {
			return tags, b, fmt.Errorf("FLV tag of %d bytes ends in %d", 11+size, tail)
		}
		tags = append(tags, t)
		b = b[11+size+4:]
	}
	return tags, b, nil
}

// File reads a whole FLV file.
func File(b []byte) ([]Tag, error) {
	var p Parser
	tags, err := p.Feed(b)
	if err == nil && p.Left() > 0 {
		err = fmt.Errorf("%d bytes are left behind the last FLV tag", p.Left())
	}
	return tags, err
}

// Judge watches what one viewer gets. Frames must have been published with serial numbers that rise by one.
type Judge struct {
	Frames int    // seen
	Skips  int    // jumps to a later keyframe
	Last   uint64 // serial of the last frame
	// Sound allows a viewer to begin, and to go on after a skip, with sound: there is no picture.
	Sound bool

	video, audio uint32
}

// Take returns an error when a tag may not follow those before it.
func (j *Judge) Take(tags []Tag) error {
	for _, t := range tags {
		if t.Kind == Script {
			continue
		}
		last := &j.audio
		if t.Kind == hub.Video {
			last = &j.video
		}
		if t.At < *last {
			return fmt.Errorf("time of kind %d falls from %d to %d", t.Kind, *last, t.At)
		}
		*last = t.At
		if t.IsConfig() {
			continue
		}
		entry := t.IsKey() || (j.Sound && t.Kind == hub.Audio)
		switch serial := t.Serial(); {
		case j.Frames == 0 && !entry:
			return fmt.Errorf("the first frame, %d, is no keyframe", serial)
		case j.Frames == 0, serial == j.Last+1:
		case serial <= j.Last:
			return fmt.Errorf("frame %d came after %d", serial, j.Last)
		case !entry:
			return fmt.Errorf("frame %d followed %d and is no keyframe", serial, j.Last)
		default:
			j.Skips++
		}
		j.Last = t.Serial()
		j.Frames++
	}
	return nil
}
