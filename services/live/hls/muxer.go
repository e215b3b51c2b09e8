// Package hls packages a stream for players that speak HLS (RFC 8216). lal's remuxer and muxer make MPEG-TS segments
// and a playlist in a folder for each broadcast; this package feeds them apart from the publisher's goroutine, so that
// a slow disk can never delay live viewers.
package hls

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/q191201771/lal/pkg/base"
	lalhls "github.com/q191201771/lal/pkg/hls"
	"github.com/q191201771/lal/pkg/remux"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/lalset"
)

const (
	// SegmentDuration is the shortest segment; a segment ends at the first keyframe after it.
	SegmentDuration = 2 * time.Second
	segmentsListed  = 6
	segmentsKept    = 6        // after they leave the playlist
	queueSize       = 512      // batches
	queueBytes      = 16 << 20 // of frames that wait for the disk, a broadcast
)

// ErrUnknown says that no such broadcast is being packaged.
var ErrUnknown = errors.New("no such HLS broadcast")

// Packager runs one muxer a broadcast in folders below one root.
type Packager struct {
	root string
	log  *slog.Logger

	mu     sync.Mutex
	muxers map[string]*muxer
}

// NewPackager empties root, which belongs to it alone.
func NewPackager(root string, log *slog.Logger) (*Packager, error) {
	lalset.Apply()
	if err := os.RemoveAll(root); err != nil {
		return nil, fmt.Errorf("empty HLS folder: %w", err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make HLS folder: %w", err)
	}
	return &Packager{root: root, log: log, muxers: make(map[string]*muxer)}, nil
}

// Start packages stream under the broadcast's id until Stop.
func (p *Packager) Start(id string, stream *hub.Stream) {
	m := &muxer{
		dir:    filepath.Join(p.root, id),
		log:    p.log.With("broadcast", id),
		frames: make(chan []hub.Frame, queueSize),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		ready:  make(chan struct{}),
	}
	p.mu.Lock()
	p.muxers[id] = m
	p.mu.Unlock()
	go m.run(p.root, id)
	stream.Tap(m.offer)
}

// Stop ends packaging and removes the segments.
func (p *Packager) Stop(id string) {
	p.mu.Lock()
	m := p.muxers[id]
	delete(p.muxers, id)
	p.mu.Unlock()
	if m != nil {
		m.close()
	}
}

// Close ends all packaging.
func (p *Packager) Close() {
	p.mu.Lock()
	muxers := p.muxers
	p.muxers = make(map[string]*muxer)
	p.mu.Unlock()
	for _, m := range muxers {
		m.close()
	}
}

// Playlist returns the media playlist as lal wrote it, with bare segment names. Before the first segment is complete it
// waits until done is closed, and then returns ErrUnknown.
func (p *Packager) Playlist(id string, done <-chan struct{}) ([]byte, error) {
	p.mu.Lock()
	m := p.muxers[id]
	p.mu.Unlock()
	if m == nil {
		return nil, ErrUnknown
	}
	select {
	case <-m.ready:
	case <-m.done:
		return nil, ErrUnknown
	case <-done:
		return nil, ErrUnknown
	}
	b, err := os.ReadFile(filepath.Join(m.dir, "playlist.m3u8"))
	if err != nil {
		return nil, fmt.Errorf("read playlist: %w", err)
	}
	return b, nil
}

// Segment opens a segment. name must be of the form that lalset gives.
func (p *Packager) Segment(id, name string) (*os.File, error) {
	p.mu.Lock()
	m := p.muxers[id]
	p.mu.Unlock()
	if m == nil {
		return nil, ErrUnknown
	}
	f, err := os.Open(filepath.Join(m.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrUnknown
	}
	return f, err
}

// muxer packages one broadcast.
type muxer struct {
	dir    string
	log    *slog.Logger
	frames chan []hub.Frame
	stop   chan struct{}
	done   chan struct{}
	ready  chan struct{} // closed when the first segment is complete

	stopOnce  sync.Once
	readyOnce sync.Once
	queued    atomic.Int64 // bytes in frames
	lagging   bool         // frames were dropped; only the publisher's goroutine uses it
	remuxer   *remux.Rtmp2MpegtsRemuxer
}

func (m *muxer) close() {
	m.stopOnce.Do(func() { close(m.stop) })
	<-m.done
}

// offer queues frames. When the disk cannot keep up, frames are dropped up to the next keyframe, with which a batch
// always starts.
func (m *muxer) offer(frames []hub.Frame) {
	if first := frames[0]; m.lagging && !first.Config && (first.Kind != hub.Video || !first.Key) {
		return
	}
	select {
	case <-m.done: // a queue that nobody empties would keep what it holds
		return
	default:
	}
	size := int64(0)
	for _, f := range frames {
		size += int64(len(f.Payload))
	}
	room := m.queued.Load()+size <= queueBytes
	if room {
		select {
		case m.frames <- frames:
			m.queued.Add(size)
			m.lagging = false
		case <-m.stop:
		default:
			room = false
		}
	}
	if !room {
		if !m.lagging {
			m.log.Warn("HLS cannot keep up; dropping frames up to the next keyframe")
		}
		m.lagging = true
	}
}

func (m *muxer) run(root, id string) {
	defer close(m.done)
	defer func() {
		if err := os.RemoveAll(m.dir); err != nil {
			m.log.Warn("remove HLS segments", "error", err)
		}
	}()
	// lal can panic on payloads that no encoder sends; that ends HLS for this broadcast, and nothing else.
	defer func() {
		if r := recover(); r != nil {
			m.log.Error("panic in HLS muxer", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	out := lalhls.NewMuxer(id, &lalhls.MuxerConfig{
		OutPath:            root,
		FragmentDurationMs: int(SegmentDuration.Milliseconds()),
		FragmentNum:        segmentsListed,
		DeleteThreshold:    segmentsKept,
		CleanupMode:        lalhls.CleanupModeAsap,
	}, m)
	m.remuxer = remux.NewRtmp2MpegtsRemuxer(out)
	out.Start()
	for {
		select {
		case frames := <-m.frames:
			for _, f := range frames {
				m.queued.Add(-int64(len(f.Payload)))
				m.remuxer.FeedRtmpMessage(base.RtmpMsg{
					Header:  base.RtmpHeader{MsgTypeId: uint8(f.Kind), MsgLen: uint32(len(f.Payload)), TimestampAbs: uint32(f.At)},
					Payload: f.Payload,
				})
			}
		case <-m.stop:
			m.remuxer.Dispose()
			out.Dispose()
			return
		}
	}
}

// OnFragmentOpen is part of lal's observer: a segment starts with the audio that is at hand.
func (m *muxer) OnFragmentOpen() { m.remuxer.FlushAudio() }

// OnHlsMakeTs is part of lal's observer.
func (m *muxer) OnHlsMakeTs(info base.HlsMakeTsInfo) {
	if info.Event == "close" {
		m.readyOnce.Do(func() { close(m.ready) })
	}
}
