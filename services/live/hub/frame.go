package hub

import "fmt"

// Kind is what a frame carries, with the values of FLV tag types.
type Kind uint8

// Kinds of frames.
const (
	Audio Kind = 8
	Video Kind = 9
	data  Kind = 18
)

// Values of the first bytes of FLV audio and video payloads (Adobe, "Flash Video File Format 10.1", annex E.4).
const (
	soundFormatAAC  = 10
	codecAVC        = 7
	frameKey        = 1
	frameCommand    = 5
	packetHeader    = 0
	packetMedia     = 1
	packetEnd       = 2
	enhancedVideo   = 0x80
	videoHeaderSize = 5 // frame type and codec, packet type, composition time
	audioHeaderSize = 2 // format, packet type
)

// frame is a classified payload.
type frame struct {
	kind    Kind
	payload []byte
	config  bool // a decoder configuration, not media
	key     bool // a keyframe
}

// classify tells what a payload is. ok is false where it is to be ignored.
func classify(kind Kind, payload []byte) (f frame, ok bool, err error) {
	f = frame{kind: kind, payload: payload}
	if len(payload) == 0 {
		return f, false, nil
	}
	switch kind {
	case Audio:
		if format := payload[0] >> 4; format != soundFormatAAC {
			return f, false, fmt.Errorf("%w (FLV sound format %d)", ErrCodec, format)
		}
		if len(payload) < audioHeaderSize {
			return f, false, fmt.Errorf("%w: audio payload of %d bytes", ErrMalformed, len(payload))
		}
		f.config = payload[1] == packetHeader
		// A packet of nothing but its header is silence that some encoders send first.
		return f, len(payload) > audioHeaderSize, nil
	case Video:
		if payload[0]&enhancedVideo != 0 {
			return f, false, fmt.Errorf("%w (enhanced RTMP)", ErrCodec)
		}
		if payload[0]>>4 == frameCommand {
			return f, false, nil
		}
		if codec := payload[0] & 0x0f; codec != codecAVC {
			return f, false, fmt.Errorf("%w (FLV codec %d)", ErrCodec, codec)
		}
		if len(payload) < videoHeaderSize {
			return f, false, fmt.Errorf("%w: video payload of %d bytes", ErrMalformed, len(payload))
		}
		switch payload[1] {
		case packetHeader:
			f.config = true
		case packetMedia:
			f.key = payload[0]>>4 == frameKey
		case packetEnd:
			return f, false, nil
		default:
			return f, false, fmt.Errorf("%w: AVC packet type %d", ErrMalformed, payload[1])
		}
		return f, len(payload) > videoHeaderSize, nil
	}
	return f, false, fmt.Errorf("%w: kind %d", ErrMalformed, kind)
}
