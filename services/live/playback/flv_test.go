package playback_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-live/stoa/services/live/hub"
	"github.com/stoa-live/stoa/services/live/hub/hubtest"
	"github.com/stoa-live/stoa/services/live/playback"
)

// TestEveryTransportCarriesTheSameBytes: what the hub gives a reader is what arrives, byte by byte.
func TestEveryTransportCarriesTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, merge := range []time.Duration{0, 20 * time.Millisecond} {
		for name, open := range transports() {
			t.Run(fmt.Sprintf("%s/merge=%v", name, merge), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, hub.Config{Merge: merge, Backlog: time.Hour}, playback.Config{})
				reader := s.stream.NewReader()
				s.gop(20, 70_000) // the first fills a WebSocket frame of the longest form
				c, err := open(s)
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				got := make(chan []byte)
				go func() {
					b, err := io.ReadAll(c)
					if err != nil {
						t.Errorf("the stream ended with %v", err)
					}
					got <- b
				}()
				for range 100 {
					s.inter(2000)
					time.Sleep(time.Millisecond)
				}
				s.hub.Detach(room).Close()
				var want []byte
				for {
					blocks, err := reader.Poll(nil)
					for _, b := range blocks {
						want = append(want, b.FLV()...)
					}
					if errors.Is(err, hub.ErrClosed) {
						break
					}
				}
				b := <-got
				if !bytes.Equal(b, want) {
					t.Errorf("the viewer got %d bytes that are not the %d of the hub's reader", len(b), len(want))
				}
				tags, err := hubtest.File(b)
				if err != nil {
					t.Fatal(err)
				}
				var judge hubtest.Judge
				if err := judge.Take(tags); err != nil {
					t.Fatal(err)
				}
				if judge.Last != s.serial || judge.Skips != 0 {
					t.Errorf("the last frame is %d of %d, with %d skips", judge.Last, s.serial, judge.Skips)
				}
				s.eventually("nobody watches", func() bool { return s.viewers() == 0 })
				if sent := s.metric("stoa_live_sent_bytes_total"); int(sent) < len(b) {
					t.Errorf("metrics count %v bytes of %d", sent, len(b))
				}
			})
		}
	}
}

// TestNothingIsLostBetweenHands lets viewers of every pace come, stop, go on and leave, so that they wander between the
// goroutine that all share and ones of their own. Each must see a run without a gap, except to a keyframe.
func TestNothingIsLostBetweenHands(t *testing.T) {
	t.Parallel()
	const viewers, pictures, size = 240, 500, 3000
	s := newStage(t, hub.Config{Backlog: 400 * time.Millisecond}, playback.Config{StallTimeout: time.Minute})
	s.gop(1, size)
	var ended atomic.Bool
	var watching sync.WaitGroup
	ways := []func(*stage) (*connection, error){
		(*stage).openHTTP1, (*stage).openWebSocket, (*stage).openHTTP1, (*stage).openWebSocket, (*stage).openHTTP2,
	}
	var whole, skipped atomic.Int64
	for i := range viewers {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		watching.Go(func() {
			for !ended.Load() {
				c, err := ways[i%len(ways)](s)
				if err != nil {
					if !ended.Load() {
						t.Errorf("viewer %d cannot enter: %v", i, err)
					}
					return
				}
				judge, left := s.watch(c, random, 700*(i%3/2), i%2 == 0)
				c.close()
				if judge.err != nil {
					t.Errorf("viewer %d: %v", i, judge.err)
					return
				}
				skipped.Add(int64(judge.Skips))
				if !left && judge.Frames > 0 {
					whole.Add(1)
					if judge.Last != uint64(2*pictures+2) {
						t.Errorf("viewer %d stayed and saw frames up to %d of %d", i, judge.Last, 2*pictures+2)
					}
				}
			}
		})
	}
	for i := range pictures {
		if i%25 == 0 {
			s.key(size)
		} else {
			s.inter(size)
		}
		s.sound()
		time.Sleep(4 * time.Millisecond)
	}
	ended.Store(true)
	s.hub.Detach(room).Close()
	watching.Wait()
	s.eventually("nobody watches", func() bool { return s.viewers() == 0 })
	t.Logf("%d viewers saw the end; %d skips", whole.Load(), skipped.Load())
	if whole.Load() == 0 {
		t.Error("no viewer saw the end")
	}
}

type verdict struct {
	hubtest.Judge
	err error
}

// watch reads until the end, or leaves at random. A lazy viewer stops reading now and then, for up to so many ms.
func (s *stage) watch(c *connection, random *rand.Rand, lazy int, leaves bool) (v verdict, left bool) {
	var parser hubtest.Parser
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		tags, parseErr := parser.Feed(buf[:n])
		if v.err = errors.Join(parseErr, v.Take(tags)); v.err != nil {
			return v, false
		}
		if err != nil {
			if parser.Left() > 0 {
				v.err = fmt.Errorf("the stream ended inside a tag: %w", err)
			}
			return v, false
		}
		if lazy > 0 && random.IntN(40) == 0 {
			time.Sleep(time.Duration(random.IntN(lazy)) * time.Millisecond)
		}
		if leaves && random.IntN(300) == 0 {
			return v, true
		}
	}
}

func TestStalledViewerIsCutAlone(t *testing.T) {
	t.Parallel()
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, hub.Config{Backlog: time.Minute}, playback.Config{StallTimeout: 300 * time.Millisecond})
			s.gop(1, 1000)
			healthy, err := s.openHTTP1()
			if err != nil {
				t.Fatal(err)
			}
			defer healthy.close()
			saw := make(chan verdict, 1)
			go func() {
				v, _ := s.watch(healthy, nil, 0, false)
				saw <- v
			}()
			stalled, err := open(s)
			if err != nil {
				t.Fatal(err)
			}
			defer stalled.close()
			s.eventually("two watch", func() bool { return s.viewers() == 2 })
			s.eventually("one is cut", func() bool {
				s.gop(2, 60_000)
				return s.viewers() == 1
			})
			if name != "HTTP/2" { // whose streams net/http ends without a reason
				if n := s.metric("stoa_live_stalled_viewers_total"); n != 1 {
					t.Errorf("metrics count %v stalled viewers", n)
				}
			}
			s.hub.Detach(room).Close()
			if v := <-saw; v.err != nil || v.Skips != 0 || v.Last != s.serial {
				t.Errorf("the other saw frames up to %d of %d, %d skips, %v", v.Last, s.serial, v.Skips, v.err)
			}
		})
	}
}

func TestViewersWhoGoAreNoticed(t *testing.T) {
	t.Parallel()
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, hub.Config{}, playback.Config{})
			waiting, err := open(s) // before there is a picture
			if err != nil {
				t.Fatal(err)
			}
			s.eventually("one waits", func() bool { return s.viewers() == 1 })
			waiting.close()
			s.eventually("it is noticed", func() bool { return s.viewers() == 0 })
			s.gop(5, 1000)
			var open5 []*connection
			for range 5 {
				c, err := open(s)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, make([]byte, 5000)); err != nil {
					t.Fatal(err)
				}
				open5 = append(open5, c)
			}
			if n := s.viewers(); n != 5 || s.metric("stoa_live_viewer_connections") != 5 {
				t.Errorf("%d viewers are counted, want 5", n)
			}
			for _, c := range open5 {
				c.close()
			}
			// Nothing is published: silence must not hide that they went.
			s.eventually("all are noticed", func() bool {
				return s.viewers() == 0 && s.metric("stoa_live_viewer_connections") == 0
			})
		})
	}
}

// TestSilenceIsNoStall: while the encoder is away, nobody is cut for taking nothing.
func TestSilenceIsNoStall(t *testing.T) {
	t.Parallel()
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, hub.Config{}, playback.Config{StallTimeout: 200 * time.Millisecond})
			s.gop(2, 1000)
			c, err := open(s)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if c.raw != nil && name == "WebSocket" {
				// What is sent between media frames has a deadline of its own, a second.
				if err := ws.WriteFrame(c.raw, ws.MaskFrame(ws.NewPingFrame(nil))); err != nil {
					t.Fatal(err)
				}
			}
			s.encoder.Close()
			time.Sleep(1200 * time.Millisecond)
			s.publish()
			s.gop(2, 1000)
			time.Sleep(300 * time.Millisecond)
			s.gop(2, 1000)
			s.hub.Detach(room).Close()
			v, _ := s.watch(c, nil, 0, false)
			if v.err != nil || v.Last != s.serial || v.Skips != 0 {
				t.Errorf("the viewer saw frames up to %d of %d, %d skips, %v", v.Last, s.serial, v.Skips, v.err)
			}
		})
	}
}

func TestCloseEndsEverything(t *testing.T) { // not parallel: it counts goroutines
	before := runtime.NumGoroutine()
	for range 5 {
		s := newStage(t, hub.Config{}, playback.Config{})
		s.gop(5, 1000)
		var publishing, watching sync.WaitGroup
		stop := make(chan struct{})
		publishing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.gop(5, 5000)
					time.Sleep(time.Millisecond)
				}
			}
		})
		var entered sync.WaitGroup
		for i := range 18 {
			entered.Add(1)
			watching.Go(func() {
				open := []func(*stage) (*connection, error){(*stage).openHTTP1, (*stage).openWebSocket, (*stage).openHTTP2}[i%3]
				c, err := open(s)
				entered.Done()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.close()
				v, _ := s.watch(c, rand.New(rand.NewPCG(2, uint64(i))), 50*(i%2), false)
				if i%3 != 2 && v.err != nil && v.Frames == 0 {
					t.Error(v.err)
				}
			})
		}
		entered.Wait()
		s.server.Close()
		if n := s.viewers(); n != 0 {
			t.Errorf("%d viewers are left after Close", n)
		}
		if c, err := s.openHTTP1(); err == nil {
			t.Error("a viewer entered after Close")
			c.close()
		}
		watching.Wait()
		close(stop)
		publishing.Wait()
		s.shutdown()
	}
	eventually(t, "all goroutines have ended", func() bool {
		return runtime.NumGoroutine() <= before
	})
}

// TestRevokedSessionsEnd: what a session opened ends with it, also what it is just opening; others go on.
func TestRevokedSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	s.gop(5, 1000)
	other, err := s.openHTTP1()
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	for round := range 5 {
		s.session = fmt.Sprint("session ", round)
		var opening sync.WaitGroup
		for _, open := range transports() {
			c, err := open(s)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			for range 5 {
				opening.Go(func() {
					if c, err := open(s); err == nil {
						_, _ = io.Copy(io.Discard, c)
						c.close()
					}
				})
			}
		}
		s.server.Revoke(s.session)
		opening.Wait()
		s.wantRefusal("FLV after the end", s.urls().FLV, http.StatusUnauthorized, "SESSION_REVOKED")
		s.wantRefusal("HLS after the end", s.urls().HLS, http.StatusUnauthorized, "SESSION_REVOKED")
		s.eventually("the other alone watches", func() bool { return s.viewers() == 1 })
	}
	s.hub.Detach(room).Close()
	if v, _ := s.watch(other, nil, 0, false); v.err != nil || v.Last != s.serial {
		t.Errorf("the other saw frames up to %d of %d, %v", v.Last, s.serial, v.err)
	}
}

func TestWebSocketControlFrames(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) (*stage, *connection, *frames) {
		s := newStage(t, hub.Config{}, playback.Config{})
		s.gop(5, 1000)
		c, err := s.openWebSocket()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		return s, c, c.Reader.(*frames)
	}
	t.Run("ping", func(t *testing.T) {
		t.Parallel()
		s, c, f := open(t)
		go func() {
			_ = ws.WriteFrame(c.raw, ws.MaskFrame(ws.NewPongFrame([]byte("unasked"))))
			_ = ws.WriteFrame(c.raw, ws.MaskFrame(ws.NewTextFrame([]byte("what the server does not care about"))))
			_ = ws.WriteFrame(c.raw, ws.MaskFrame(ws.NewPingFrame([]byte("are you there?"))))
		}()
		var parser hubtest.Parser
		var judge hubtest.Judge
		buf := make([]byte, 4096)
		for len(f.other) == 0 {
			s.inter(1000) // media goes on around it
			n, err := f.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			tags, err := parser.Feed(buf[:n])
			if err := errors.Join(err, judge.Take(tags)); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.other[0]; got.Header.OpCode != ws.OpPong || string(got.Payload) != "are you there?" {
			t.Errorf("the answer is %+v", got)
		}
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		s, c, f := open(t)
		body := ws.NewCloseFrameBody(ws.StatusGoingAway, "bye")
		if err := ws.WriteFrame(c.raw, ws.MaskFrame(ws.NewCloseFrame(bytes.Clone(body)))); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, f)
		if len(f.other) != 1 || f.other[0].Header.OpCode != ws.OpClose || !bytes.Equal(f.other[0].Payload, body) {
			t.Errorf("the answer is %+v", f.other)
		}
		s.eventually("it has left", func() bool { return s.viewers() == 0 })
	})
	t.Run("end of the broadcast", func(t *testing.T) {
		t.Parallel()
		s, _, f := open(t)
		if _, err := io.ReadFull(f, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		s.hub.Detach(room).Close()
		_, _ = io.Copy(io.Discard, f)
		if len(f.other) != 1 {
			t.Fatalf("control frames: %+v", f.other)
		}
		if code, reason := ws.ParseCloseFrameData(f.other[0].Payload); code != ws.StatusNormalClosure {
			t.Errorf("the close frame says %d %q", code, reason)
		}
	})
	masked := func(f ws.Frame) ws.Frame { return ws.MaskFrame(f) }
	for name, frame := range map[string]ws.Frame{
		"an unmasked frame":        ws.NewPingFrame([]byte("x")),
		"a frame of 4097 bytes":    masked(ws.NewBinaryFrame(make([]byte, 4097))),
		"a ping of 126 bytes":      masked(ws.NewFrame(ws.OpPing, true, make([]byte, 126))),
		"a frame of 2^62 bytes":    {Header: ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: 1 << 62}},
		"an unmasked close of 200": ws.NewFrame(ws.OpClose, true, make([]byte, 200)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, f := open(t)
			if err := ws.WriteFrame(c.raw, frame); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, f)
			s.eventually("it is cut", func() bool { return s.viewers() == 0 })
		})
	}
}

func TestViewerWhoTalksTooMuchIsCut(t *testing.T) {
	t.Parallel()
	s := newStage(t, hub.Config{}, playback.Config{})
	c, err := s.openHTTP1()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	s.eventually("one watches", func() bool { return s.viewers() == 1 })
	go func() {
		for {
			if _, err := c.raw.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}()
	s.eventually("it is cut", func() bool { return s.viewers() == 0 })
}
