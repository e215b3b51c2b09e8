package hub

import (
	"bytes"
	"encoding/binary"

	"github.com/q191201771/lal/pkg/rtmp"
)

const (
	tagHeaderSize = 11
	tagTailSize   = 4
)

// appendTag appends an FLV tag and its size (annex E.4.1). timestamp is in ms and wraps at 2^32.
func appendTag(b []byte, kind Kind, timestamp uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(kind), byte(n>>16), byte(n>>8), byte(n),
		byte(timestamp>>16), byte(timestamp>>8), byte(timestamp), byte(timestamp>>24), 0, 0, 0)
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, uint32(tagHeaderSize+n))
}

// preamble is what every viewer gets first: the file header, metadata of ours, and the decoder configurations.
func preamble(info Info, videoConfig, audioConfig []byte) []byte {
	flags := byte(0)
	if audioConfig != nil {
		flags |= 4
	}
	if videoConfig != nil {
		flags |= 1
	}
	b := []byte{'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0}
	b = appendTag(b, data, 0, metadata(info))
	if videoConfig != nil {
		b = appendTag(b, Video, 0, videoConfig)
	}
	if audioConfig != nil {
		b = appendTag(b, Audio, 0, audioConfig)
	}
	return b
}

// metadata is an onMetaData made from what the hub knows; what an encoder claims is not passed on.
func metadata(info Info) []byte {
	var b bytes.Buffer
	members := rtmp.ObjectPairArray{{Key: "server", Value: "Stoa"}}
	if info.Width > 0 {
		members = append(members,
			rtmp.ObjectPair{Key: "width", Value: info.Width}, rtmp.ObjectPair{Key: "height", Value: info.Height},
			rtmp.ObjectPair{Key: "videocodecid", Value: codecAVC})
	}
	if info.SampleRate > 0 {
		members = append(members,
			rtmp.ObjectPair{Key: "audiosamplerate", Value: info.SampleRate}, rtmp.ObjectPair{Key: "audiocodecid", Value: soundFormatAAC})
	}
	_ = rtmp.Amf0.WriteString(&b, "onMetaData")
	_ = rtmp.Amf0.WriteObject(&b, members)
	return b.Bytes()
}
