package hub

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// Frame is one placed frame, for taps. Payload must not be changed; it may be kept.
type Frame struct {
	Kind    Kind
	At      int64 // ms on the stream's clock
	Payload []byte
	Config  bool // a decoder configuration
	Key     bool
}

// Stream is one picture and sound, with at most one publisher at a time and any number of readers.
type Stream struct {
	config  Config
	view    atomic.Pointer[view]
	viewers atomic.Int64
	skips   atomic.Int64

	mu          sync.Mutex
	publisher   *Publication
	closed      bool
	timeline    timeline
	info        Info
	videoConfig []byte
	audioConfig []byte
	current     *Block // being filled, or nil
	flush       *time.Timer
	lastSize    int // of the last sealed block: what the next will need
	taps        []func([]Frame)
	untapped    []Frame // of the current block
	rates       rates
	received    int64
	gaps        int64
	drops       drops
	lastKey     int64
	gop         time.Duration
	keyframe    []byte // FLV payload of the last keyframe
}

// view is an immutable picture of what readers may send. A reader takes the latest and waits for the next on more.
type view struct {
	blocks   []*Block // sealed, with consecutive numbers
	start    int      // index in blocks where newcomers start, or -1
	preamble *Block   // nil before the first configuration
	config   *Block   // the configurations, for who skips the block of that number, where the last of them came; or nil
	next     uint64   // number of the block after the last
	more     chan struct{}
	closed   bool
}

func newStream(config Config) *Stream {
	s := &Stream{config: config, lastKey: -1}
	s.view.Store(&view{start: -1, more: make(chan struct{})})
	return s
}

// Publish claims the stream for one encoder. It returns ErrInUse or ErrClosed.
func (s *Stream) Publish() (*Publication, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.publisher != nil {
		return nil, ErrInUse
	}
	s.publisher = &Publication{stream: s, waitKey: true}
	if s.timeline.started {
		s.gaps++
	}
	s.timeline.reconnect()
	s.drops.reconnect()
	return s.publisher, nil
}

// Tap calls fn with every frame from now on, a block at a time, the decoder configurations first. fn may keep the
// slice; it runs in the publisher's goroutine and must return at once.
func (s *Stream) Tap(fn func([]Frame)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealLocked()
	s.taps = append(s.taps, fn)
	if s.videoConfig != nil {
		fn([]Frame{{Kind: Video, At: s.timeline.latest, Payload: s.videoConfig, Config: true}})
	}
	if s.audioConfig != nil {
		fn([]Frame{{Kind: Audio, At: s.timeline.latest, Payload: s.audioConfig, Config: true}})
	}
}

// Snapshot returns the last keyframe as a whole FLV file of one picture, or nil before the first.
func (s *Stream) Snapshot() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keyframe == nil || s.videoConfig == nil {
		return nil
	}
	return appendTag(preamble(s.info, s.videoConfig, nil), Video, 0, s.keyframe)
}

// Stats returns the stream's figures.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Info: s.info, GOPLength: s.gop, Gaps: s.gaps, ReceivedBytes: s.received,
		DroppedFrames: s.drops.count, Viewers: int(s.viewers.Load()), Skips: s.skips.Load(),
	}
	st.FrameRate, st.VideoBitrate, st.AudioBitrate = s.rates.read(time.Now())
	return st
}

// Close ends the stream: its publisher is refused, and its readers end after the last block. Closing twice is no error.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.sealLocked()
	s.closed = true
	v := *s.view.Load()
	v.closed = true
	s.showLocked(v)
}

// writeLocked takes one accepted frame, to be shown at the given time of the stream's clock.
func (s *Stream) writeLocked(f frame, at int64) {
	now := time.Now()
	s.received += int64(len(f.payload))
	if !f.config {
		s.rates.add(now, f.kind, len(f.payload))
	}
	if f.key {
		s.sealLocked()
		if s.lastKey >= 0 {
			s.gop = time.Duration(at-s.lastKey) * time.Millisecond
		}
		s.lastKey = at
	}
	first := s.current == nil
	if first {
		seq := s.view.Load().next
		// Without video, decoding can start anywhere.
		s.current = newBlock(seq, f.key || s.videoConfig == nil, s.lastSize+s.lastSize/8+len(f.payload)+64)
	}
	from := len(s.current.data) + tagHeaderSize
	s.current.data = appendTag(s.current.data, f.kind, uint32(at), f.payload)
	payload := s.current.data[from : from+len(f.payload) : from+len(f.payload)]
	if f.key {
		s.keyframe = payload
	}
	if len(s.taps) > 0 {
		s.untapped = append(s.untapped, Frame{Kind: f.kind, At: at, Payload: payload, Config: f.config, Key: f.key})
	}
	switch {
	case s.config.Merge <= 0:
		s.sealLocked()
	case !first:
	case s.flush == nil:
		s.flush = time.AfterFunc(s.config.Merge, s.flushNow)
	default:
		s.flush.Reset(s.config.Merge)
	}
}

// configureLocked takes a decoder configuration; one that says nothing new is dropped. Its timestamp does not count:
// encoders send 0 where media is far from it.
func (s *Stream) configureLocked(f frame) error {
	known := &s.audioConfig
	read := s.info.readAudio
	if f.kind == Video {
		known, read = &s.videoConfig, s.info.readVideo
	}
	if bytes.Equal(*known, f.payload) {
		return nil
	}
	if err := read(f.payload); err != nil {
		return err
	}
	change := s.videoConfig != nil || s.audioConfig != nil
	*known = bytes.Clone(f.payload)
	var config *Block
	if change {
		// Whoever watches already needs it in the stream.
		s.sealLocked()
		s.writeLocked(f, s.timeline.last(f.kind))
		s.sealLocked()
		config = s.configBlock(s.view.Load().next - 1)
	} else {
		for _, tap := range s.taps {
			tap([]Frame{{Kind: f.kind, At: s.timeline.latest, Payload: *known, Config: true}})
		}
	}
	b := newBlock(0, false, 256)
	b.data = append(b.data, preamble(s.info, s.videoConfig, s.audioConfig)...)
	b.seal(time.Now())
	v := *s.view.Load()
	v.preamble, v.config = b, config
	if f.kind == Video {
		// What is kept was encoded for another configuration.
		v.start = -1
		s.keyframe = nil
	}
	s.showLocked(v)
	return nil
}

// configBlock returns the configurations as they would come in the block of that number.
func (s *Stream) configBlock(seq uint64) *Block {
	b := newBlock(seq, false, 256)
	if s.videoConfig != nil {
		b.data = appendTag(b.data, Video, uint32(s.timeline.last(Video)), s.videoConfig)
	}
	if s.audioConfig != nil {
		b.data = appendTag(b.data, Audio, uint32(s.timeline.last(Audio)), s.audioConfig)
	}
	b.seal(time.Now())
	return b
}

func (s *Stream) flushNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A timer that fired while a keyframe sealed the block may cut the next one early, which is harmless.
	s.sealLocked()
}

// sealLocked shows the current block to readers and drops what no one needs any more.
func (s *Stream) sealLocked() {
	b := s.current
	if b == nil || s.closed {
		return
	}
	s.current = nil
	now := time.Now()
	b.seal(now)
	s.lastSize = b.size()
	if len(s.untapped) > 0 {
		for _, tap := range s.taps {
			tap(s.untapped)
		}
		s.untapped = make([]Frame, 0, cap(s.untapped))
	}
	v := *s.view.Load()
	v.blocks = append(v.blocks, b)
	v.next = b.seq + 1
	if b.key {
		v.start = len(v.blocks) - 1
	}
	v.trim(now.Add(-s.config.Backlog), s.config.MaxGOPBytes)
	s.showLocked(v)
}

// trim drops blocks that are both before the newcomers' start and older than the backlog; where the rest is still over
// max bytes, newcomers wait for the next keyframe and only the backlog is kept.
func (v *view) trim(before time.Time, max int) {
	size := 0
	for _, b := range v.blocks {
		size += b.size()
	}
	if size > max {
		v.start = -1
	}
	drop := 0
	for drop < len(v.blocks)-1 && drop != v.start && (size > max || v.blocks[drop].sealed.Before(before)) {
		size -= v.blocks[drop].size()
		drop++
	}
	if drop == 0 {
		return
	}
	// Another array: the old one would keep the dropped blocks alive.
	kept := v.blocks[drop:]
	v.blocks = append(make([]*Block, 0, len(kept)+len(kept)/4+1), kept...)
	if v.start >= 0 {
		v.start -= drop
	}
}

// showLocked replaces the view and wakes all readers.
func (s *Stream) showLocked(v view) {
	old := s.view.Load()
	v.more = make(chan struct{})
	s.view.Store(&v)
	close(old.more)
}

// Publication is one encoder's claim on a stream.
type Publication struct {
	stream  *Stream
	waitKey bool
	media   bool
}

// Write takes one FLV payload with its decoding time in ms. It does not keep payload. Errors: ErrCodec, ErrMalformed,
// ErrClosed.
func (p *Publication) Write(kind Kind, timestamp uint32, payload []byte) error {
	f, ok, err := classify(kind, payload)
	if err != nil || !ok {
		return err
	}
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.publisher != p {
		return ErrClosed
	}
	if f.config {
		return s.configureLocked(f)
	}
	switch {
	case kind == Audio && s.audioConfig == nil, kind == Video && s.videoConfig == nil:
		return nil // cannot be decoded
	case kind == Video && p.waitKey && !f.key:
		return nil
	case f.key:
		p.waitKey = false
	}
	at, jumped := s.timeline.place(kind, timestamp)
	if jumped {
		s.gaps++
		s.drops.jump()
	}
	if kind == Video {
		s.drops.picture(at)
	}
	s.writeLocked(f, at)
	p.media = true
	return nil
}

// Media tells whether any frame was accepted.
func (p *Publication) Media() bool {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.media
}

// Close gives the claim up. Readers stay and wait for the next publication.
func (p *Publication) Close() {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publisher == p {
		s.publisher = nil
		s.sealLocked()
	}
}
