// Package playback serves the streams of this node to viewers: FLV over WebSocket and HTTP, and HLS. Every address is
// signed. A viewer costs a socket and a position; the bytes it is sent are shared with all others.
package playback

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/live/hls"
	"github.com/stoa-live/stoa/services/live/hub"
)

// Prefix is where all playback lives on the API's port.
const Prefix = "/live/"

// Config bounds the server. Zero values take the defaults.
type Config struct {
	StallTimeout time.Duration // a viewer that takes no byte for this long is cut; default 10 s
	MaxViewers   int           // open FLV connections of this node; default 15,000
}

// Server serves playback. It is an http.Handler for everything below Prefix.
type Server struct {
	config Config
	hub    *hub.Hub
	hls    *hls.Packager
	// broadcast returns the running broadcast of a room, whose name is that of its HLS packaging.
	broadcast func(room string) (id string, ok bool)
	signer    *Signer
	log       *slog.Logger
	metrics   metrics
	mux       *http.ServeMux
	revoked   *revoked

	mu       sync.Mutex
	viewers  map[*viewer]struct{}
	fanouts  map[*hub.Stream]*fanout
	closed   bool
	stopping context.Context // ended by Close
	stop     context.CancelFunc
	running  sync.WaitGroup // all goroutines of ours
}

// NewServer returns a server of the streams in h and the playlists in p.
func NewServer(config Config, h *hub.Hub, p *hls.Packager, broadcast func(room string) (string, bool), signer *Signer, reg prometheus.Registerer, log *slog.Logger) *Server {
	if config.StallTimeout <= 0 {
		config.StallTimeout = 10 * time.Second
	}
	if config.MaxViewers <= 0 {
		config.MaxViewers = 15000
	}
	s := &Server{
		config: config, hub: h, hls: p, broadcast: broadcast, signer: signer, log: log,
		metrics: newMetrics(reg), mux: http.NewServeMux(), viewers: make(map[*viewer]struct{}),
		fanouts: make(map[*hub.Stream]*fanout), revoked: newRevoked(),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.mux.HandleFunc("GET /live/{file}", s.file)
	s.mux.HandleFunc("GET /live/{room}/index.m3u8", s.mediaPlaylist)
	s.mux.HandleFunc("GET /live/segments/{broadcast}/{name}", s.segment)
	s.mux.HandleFunc(Prefix, notFound)
	return s
}

// URLs are where a viewer may watch a room.
type URLs struct {
	WebSocketFLV, FLV, HLS string
	ExpiresAt              time.Time
}

// Sign returns the addresses for one session, with which they end. base is "" for addresses relative to the API.
func (s *Server) Sign(base, room, session string) URLs {
	expires := s.signer.now().Add(OpenFor)
	query := "?" + s.signer.sign(scopeOpen, room, session, expires).Encode()
	path := base + Prefix + url.PathEscape(room)
	ws := path
	if rest, ok := strings.CutPrefix(path, "http"); ok {
		ws = "ws" + rest // wss for https
	}
	return URLs{WebSocketFLV: ws + ".flv" + query, FLV: path + ".flv" + query, HLS: path + ".m3u8" + query, ExpiresAt: expires}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close cuts all viewers and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.stop() // ends the shards, which let their viewers go
	}
	for v := range s.viewers {
		if v.shard.Load() == nil {
			v.cut()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
}

// fanout returns the fanout of a stream.
func (s *Server) fanout(stream *hub.Stream) *fanout {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fanouts[stream]
	if f == nil {
		f = &fanout{server: s, stream: stream}
		s.fanouts[stream] = f
	}
	return f
}

// forget drops the fanout of a stream that has ended.
func (s *Server) forget(f *fanout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fanouts[f.stream] == f {
		delete(s.fanouts, f.stream)
	}
}

// file serves {room}.flv and {room}.m3u8.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	room, isFLV := strings.CutSuffix(name, ".flv")
	if !isFLV {
		var isHLS bool
		if room, isHLS = strings.CutSuffix(name, ".m3u8"); !isHLS {
			notFound(w, r)
			return
		}
	}
	session, err := s.admitted(s.signer.verify(scopeOpen, room, r.URL.Query()))
	if err != nil {
		errs.WriteHTTP(w, r, err)
		return
	}
	if !isFLV {
		s.multivariant(w, r, room, session)
		return
	}
	stream := s.hub.Stream(room)
	if stream == nil {
		notLive(w, r)
		return
	}
	s.flv(w, r, room, session, stream)
}

func notLive(w http.ResponseWriter, r *http.Request) {
	errs.WriteHTTP(w, r, errs.NotFound("NOT_LIVE", "Nothing is on the air in this room."))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	errs.WriteHTTP(w, r, errs.NotFound("NOT_FOUND", "There is nothing to play at this address."))
}

// metrics are the playback figures of this node.
type metrics struct {
	viewers *prometheus.GaugeVec
	bytes   *prometheus.CounterVec
	stalled prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		viewers: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "stoa_live_viewer_connections", Help: "Open FLV connections by transport."}, []string{"transport"}),
		bytes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "stoa_live_sent_bytes_total", Help: "Bytes of media sent by transport."}, []string{"transport"}),
		stalled: prometheus.NewCounter(prometheus.CounterOpts{Name: "stoa_live_stalled_viewers_total", Help: "Viewers cut because they took no bytes."}),
	}
	if reg != nil {
		reg.MustRegister(m.viewers, m.bytes, m.stalled)
	}
	return m
}
