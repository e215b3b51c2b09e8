package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/rtmp"
	"github.com/q191201771/naza/pkg/nazalog"
)

// streamShape describes the synthetic stream.
type streamShape struct {
	bitrate   int // bits a second, video and audio together
	frameRate int
	gop       time.Duration
}

const (
	audioBitrate  = 64_000
	audioInterval = 1024 * time.Second / 44100
)

// marker precedes the sending time in each video frame, so that viewers can measure delay.
var marker = []byte("STOABNCH")

var (
	// A real 1280x720 High-profile decoder configuration, and AAC-LC 44.1 kHz stereo.
	avcConfig = []byte{
		0x17, 0x00, 0x00, 0x00, 0x00, 0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00,
		0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
		0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0,
		0xfd, 0xf8, 0xf8, 0x00,
	}
	aacConfig = []byte{0xaf, 0, 0x12, 0x10}
)

type publisher struct {
	session *rtmp.PushSession
	done    chan struct{}
	wg      sync.WaitGroup
	once    sync.Once
}

// publish sends the synthetic stream to an RTMP address in real time until stop.
func publish(url string, shape streamShape) (*publisher, error) {
	_ = nazalog.Init(func(o *nazalog.Option) { o.Level = nazalog.LevelLogNothing; o.IsToStdout = false })
	session := rtmp.NewPushSession(func(o *rtmp.PushSessionOption) { o.PushTimeoutMs = 10000; o.WriteAvTimeoutMs = 10000 })
	if err := session.Push(url); err != nil {
		return nil, fmt.Errorf("start RTMP push: %w", err)
	}
	p := &publisher{session: session, done: make(chan struct{})}
	p.wg.Go(func() { p.run(shape) })
	return p, nil
}

func (p *publisher) stop() {
	p.once.Do(func() { close(p.done) })
	p.wg.Wait()
	_ = p.session.Dispose()
}

func (p *publisher) send(kind uint8, at time.Duration, payload []byte) {
	header := base.RtmpHeader{Csid: 6, MsgLen: uint32(len(payload)), MsgTypeId: kind, MsgStreamId: rtmp.Msid1, TimestampAbs: uint32(at.Milliseconds())}
	_ = p.session.Write(rtmp.Message2Chunks(payload, &header))
	_ = p.session.Flush()
}

// run sends video and audio frames at their times. A keyframe is five times an ordinary frame.
func (p *publisher) run(shape streamShape) {
	start := time.Now()
	p.send(base.RtmpTypeIdVideo, 0, avcConfig)
	p.send(base.RtmpTypeIdAudio, 0, aacConfig)
	framesPerGOP := int(shape.gop.Seconds() * float64(shape.frameRate))
	bytesPerGOP := float64(shape.bitrate-audioBitrate) / 8 * shape.gop.Seconds()
	size := int(bytesPerGOP / float64(framesPerGOP+4))
	audioSize := int(float64(audioBitrate) / 8 * audioInterval.Seconds())
	videoInterval := time.Second / time.Duration(shape.frameRate)
	var nextVideo, nextAudio time.Duration
	for frame := 0; ; {
		next := min(nextVideo, nextAudio)
		select {
		case <-p.done:
			return
		case <-time.After(time.Until(start.Add(next))):
		}
		if next == nextAudio {
			payload := make([]byte, audioSize)
			_, _ = rand.Read(payload[2:])
			payload[0], payload[1] = 0xaf, 1
			p.send(base.RtmpTypeIdAudio, next, payload)
			nextAudio += audioInterval
			continue
		}
		key := frame%framesPerGOP == 0
		p.send(base.RtmpTypeIdVideo, next, videoFrame(key, size))
		frame++
		nextVideo += videoInterval
	}
}

func videoFrame(key bool, size int) []byte {
	kind, nal := byte(0x27), byte(0x41)
	if key {
		kind, nal, size = 0x17, 0x65, 5*size
	}
	b := make([]byte, max(size, 64))
	_, _ = rand.Read(b[26:])
	b[0], b[1] = kind, 1
	binary.BigEndian.PutUint32(b[5:], uint32(len(b)-9))
	b[9] = nal
	copy(b[10:], marker)
	binary.BigEndian.PutUint64(b[18:], uint64(time.Now().UnixNano()))
	return b
}
