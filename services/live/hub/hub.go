// Package hub carries media from one encoder to any number of viewers. A frame is turned into an FLV tag once; tags are
// merged into blocks that all viewers share, whatever their transport. A publisher never waits for a viewer, and a
// viewer's memory is a position, never a queue.
package hub

import (
	"errors"
	"sync"
	"time"
)

// Errors that end a publication or a reader.
var (
	ErrInUse     = errors.New("the stream already has a publisher")
	ErrClosed    = errors.New("the stream has ended")
	ErrMalformed = errors.New("malformed media")
	ErrCodec     = errors.New("codec is not supported: send H.264 video and AAC audio")
)

// Config tunes all streams of a hub. Zero values take the defaults, except Merge.
type Config struct {
	// Merge is the longest that a frame waits to be written together with others: 0 writes every frame by itself (the
	// lowest delay), 350 ms costs an eighth of the CPU.
	Merge time.Duration
	// Backlog is how far a viewer may fall behind before it skips to the newest keyframe; default 3 s.
	Backlog time.Duration
	// MaxGOPBytes bounds what is kept since the last keyframe; default 32 MiB. Newcomers of a longer group of pictures
	// wait for the next keyframe.
	MaxGOPBytes int
}

func (c Config) withDefaults() Config {
	if c.Backlog <= 0 {
		c.Backlog = 3 * time.Second
	}
	if c.MaxGOPBytes <= 0 {
		c.MaxGOPBytes = 32 << 20
	}
	return c
}

// Hub holds the streams of this node by name.
type Hub struct {
	config  Config
	mu      sync.RWMutex
	streams map[string]*Stream
}

// New returns an empty hub.
func New(config Config) *Hub {
	return &Hub{config: config.withDefaults(), streams: make(map[string]*Stream)}
}

// Open returns the stream of that name, new where there is none.
func (h *Hub) Open(name string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[name]
	if s == nil {
		s = newStream(h.config)
		h.streams[name] = s
	}
	return s
}

// Stream returns the stream of that name, or nil.
func (h *Hub) Stream(name string) *Stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.streams[name]
}

// Detach takes the stream of that name out of the hub, so that Open makes another, and returns it, or nil. Its readers
// stay until it is closed.
func (h *Hub) Detach(name string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[name]
	delete(h.streams, name)
	return s
}

// Close ends all streams.
func (h *Hub) Close() {
	h.mu.Lock()
	streams := h.streams
	h.streams = make(map[string]*Stream)
	h.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}
