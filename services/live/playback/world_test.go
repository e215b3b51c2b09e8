package playback_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-live/stoa/services/live/hls"
	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
	"github.com/stoa-live/stoa/services/live/playback"
)

const (
	room      = "01JR00M0000000000000000000"
	broadcast = "01JBR0ADCAST00000000000000"
	patience  = 20 * time.Second
)

// stage is a real HTTP server with one stream on the air.
type stage struct {
	t        testing.TB
	hub      *hub.Hub
	hls      *hls.Packager
	server   *playback.Server
	signer   *playback.Signer
	metrics  *prometheus.Registry
	base     string
	addr     string
	ahead    atomic.Int64 // of the clock that judges signatures
	stream   *hub.Stream
	encoder  *hub.Publication
	session  string // that addresses are signed for
	serial   uint64
	at       uint32
	shutdown func()
}

// smallBuffers makes the sockets of accepted connections hold little, so that a viewer that does not read is soon
// noticed.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		_ = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
	}
	return conn, err
}

func newStage(t testing.TB, tune hub.Config, config playback.Config) *stage {
	t.Helper()
	s := &stage{t: t, hub: hub.New(tune), metrics: prometheus.NewRegistry(), session: "viewer"}
	log := slog.New(slog.DiscardHandler)
	var err error
	if s.hls, err = hls.NewPackager(t.TempDir(), log); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	s.signer = playback.NewSigner([]byte(strings.Repeat("k", 32)), now)
	s.server = playback.NewServer(config, s.hub, s.hls, func(name string) (string, bool) {
		return broadcast, name == room && s.hub.Stream(room) != nil
	}, s.signer, s.metrics, log)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.base = "http://" + s.addr
	server := &http.Server{Handler: s.server, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(smallBuffers{l}) })
	s.shutdown = sync.OnceFunc(func() {
		_ = server.Close()
		s.server.Close()
		s.hub.Close()
		s.hls.Close()
		serving.Wait()
	})
	t.Cleanup(s.shutdown)
	s.stream = s.hub.Open(room)
	s.publish()
	s.write(hub.Video, hubtest.AVCConfig())
	s.write(hub.Audio, hubtest.AACConfig())
	return s
}

func (s *stage) publish() {
	s.t.Helper()
	var err error
	if s.encoder, err = s.stream.Publish(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) write(kind hub.Kind, payload []byte) {
	s.t.Helper()
	if err := s.encoder.Write(kind, s.at, payload); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) key(size int) {
	s.t.Helper()
	s.serial++
	s.at += 40
	s.write(hub.Video, hubtest.Key(s.serial, size))
}

func (s *stage) inter(size int) {
	s.t.Helper()
	s.serial++
	s.at += 40
	s.write(hub.Video, hubtest.Inter(s.serial, size))
}

func (s *stage) sound() {
	s.t.Helper()
	s.serial++
	s.write(hub.Audio, hubtest.Sound(s.serial, 100))
}

// gop publishes a group of n pictures, with a sound behind each.
func (s *stage) gop(n, size int) {
	s.t.Helper()
	for i := range n {
		if i == 0 {
			s.key(size)
		} else {
			s.inter(size)
		}
		s.sound()
	}
}

func (s *stage) urls() playback.URLs { return s.server.Sign(s.base, room, s.session) }

// eventually waits for a condition that nothing announces.
func (s *stage) eventually(what string, done func() bool) {
	s.t.Helper()
	eventually(s.t, what, done)
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

func (s *stage) viewers() int { return s.stream.Stats().Viewers }

// metric sums a metric over its labels.
func (s *stage) metric(name string) (sum float64) {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// connection is one viewer's side: a byte stream of FLV.
type connection struct {
	io.Reader

	raw   net.Conn // nil on HTTP/2
	close func()
}

// transports are the ways to watch; each opens one connection.
func transports() map[string]func(s *stage) (*connection, error) {
	return map[string]func(s *stage) (*connection, error){
		"HTTP/1.1": (*stage).openHTTP1, "HTTP/2": (*stage).openHTTP2, "WebSocket": (*stage).openWebSocket,
	}
}

func dial(addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		_ = conn.SetDeadline(time.Now().Add(3 * patience))
	}
	return conn, err
}

func (s *stage) openHTTP1() (*connection, error) {
	conn, err := dial(s.addr)
	if err != nil {
		return nil, err
	}
	r, _ := http.NewRequest(http.MethodGet, s.urls().FLV, nil)
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 4096)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "video/x-flv" {
		_ = conn.Close()
		return nil, errors.New(res.Status)
	}
	return &connection{res.Body, conn, func() { _ = conn.Close() }}, nil
}

func (s *stage) openHTTP2() (*connection, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.urls().FLV, nil)
	res, err := transport.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, err
	}
	end := func() {
		cancel()
		_ = res.Body.Close()
		transport.CloseIdleConnections()
	}
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Content-Type") != "video/x-flv" {
		end()
		return nil, errors.New(res.Proto + " " + res.Status)
	}
	return &connection{res.Body, nil, end}, nil
}

func (s *stage) openWebSocket() (*connection, error) {
	conn, err := dial(s.addr)
	if err != nil {
		return nil, err
	}
	url := s.urls().WebSocketFLV
	u, err := http.NewRequest(http.MethodGet, strings.Replace(url, "ws://", "http://", 1), nil)
	if err != nil {
		return nil, err
	}
	in, _, err := ws.Dialer{}.Upgrade(conn, u.URL)
	if err != nil {
		return nil, err
	}
	src := io.Reader(conn)
	if in != nil {
		src = in
	}
	return &connection{&frames{src: bufio.NewReaderSize(src, 4096)}, conn, func() { _ = conn.Close() }}, nil
}

// frames reads the payloads of binary frames, and ends with the close frame.
type frames struct {
	src   io.Reader
	left  int64
	other []ws.Frame // control frames
}

func (f *frames) Read(p []byte) (int, error) {
	for f.left == 0 {
		header, err := ws.ReadHeader(f.src)
		if err != nil {
			return 0, err
		}
		if header.Masked || header.Rsv != 0 || !header.Fin {
			return 0, errors.New("the server sent a frame that it may not")
		}
		if header.OpCode == ws.OpBinary {
			f.left = header.Length
			continue
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(f.src, payload); err != nil {
			return 0, err
		}
		f.other = append(f.other, ws.Frame{Header: header, Payload: payload})
		if header.OpCode == ws.OpClose {
			return 0, io.EOF
		}
	}
	n, err := f.src.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}
