package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// percentiles of a set of durations.
type percentiles struct{ p50, p99 time.Duration }

func percentilesOf(all []time.Duration) percentiles {
	if len(all) == 0 {
		return percentiles{}
	}
	slices.Sort(all)
	return percentiles{all[len(all)/2], all[min(len(all)-1, len(all)*99/100)]}
}

// audience is a set of viewers of one stream.
type audience struct {
	server   *server
	scenario scenario
	ctx      context.Context
	cancel   context.CancelFunc
	viewers  sync.WaitGroup
	bytes    atomic.Int64
	gaps     atomic.Int64

	mu     sync.Mutex
	delays []time.Duration
}

func newAudience(server *server, s scenario) *audience {
	a := &audience{server: server, scenario: s}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

func (a *audience) close() {
	a.cancel()
	a.viewers.Wait()
}

func (a *audience) reset() {
	a.bytes.Store(0)
	a.gaps.Store(0)
	a.mu.Lock()
	a.delays = nil
	a.mu.Unlock()
}

func (a *audience) read() (int64, percentiles, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes.Load(), percentilesOf(a.delays), a.gaps.Load()
}

// join opens n viewers, the first of which stall if the scenario says so. One in twenty reads what it gets; the others
// only take it from the socket, since this process shares the machine with the server.
func (a *audience) join(ctx context.Context, n int) error {
	address, err := a.server.play(ctx)
	if err != nil {
		return err
	}
	gate := make(chan struct{}, 64)
	errs := make(chan error, n)
	for i := range n {
		gate <- struct{}{}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.viewers.Go(func() {
			conn, r, err := dial(a.ctx, address, a.scenario.ws)
			<-gate
			errs <- err
			if err != nil {
				return
			}
			stop := context.AfterFunc(a.ctx, func() { _ = conn.Close() })
			defer stop()
			switch {
			case i < a.scenario.stalled:
				<-a.ctx.Done()
			case a.server.rtmp != "" && i%20 == 19:
				a.parse(r)
			default:
				a.drain(conn, r)
			}
		})
	}
	for range n {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (a *audience) drain(conn net.Conn, r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		a.bytes.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// parse reads FLV tags and records the delay of each video frame.
func (a *audience) parse(r io.Reader) {
	counted := &countingReader{r: r, n: &a.bytes}
	last := int64(-1)
	_ = readTags(bufio.NewReaderSize(counted, 32<<10), func(kind byte, timestamp uint32, sent time.Time) bool {
		if kind != 9 || sent.IsZero() {
			return true
		}
		if last >= 0 && int64(timestamp)-last > 1000 {
			a.gaps.Add(1)
		}
		last = int64(timestamp)
		a.mu.Lock()
		a.delays = append(a.delays, time.Since(sent))
		a.mu.Unlock()
		return true
	})
}

// firstFrames opens viewers one after the other and measures from request to first keyframe.
func (a *audience) firstFrames(ctx context.Context, n int) (percentiles, error) {
	var all []time.Duration
	for range n {
		address, err := a.server.play(ctx)
		if err != nil {
			return percentiles{}, err
		}
		start := time.Now()
		conn, r, err := dial(ctx, address, a.scenario.ws)
		if err != nil {
			return percentiles{}, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		err = readTags(bufio.NewReaderSize(r, 64<<10), func(kind byte, _ uint32, sent time.Time) bool { return kind != 9 || sent.IsZero() })
		_ = conn.Close()
		if err != nil {
			return percentiles{}, err
		}
		all = append(all, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
	return percentilesOf(all), nil
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// dial opens a viewer's connection and returns a reader of the FLV bytes.
func dial(ctx context.Context, address string, overWebSocket bool) (net.Conn, io.Reader, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, err
	}
	if overWebSocket {
		u.Scheme = "ws"
		conn, br, _, err := ws.Dialer{Timeout: 10 * time.Second}.Dial(ctx, u.String())
		if err != nil {
			return nil, nil, fmt.Errorf("dial WebSocket: %w", err)
		}
		var src io.Reader = conn
		if br != nil {
			src = io.MultiReader(bytes.NewReader(buffered(br)), conn)
		}
		return conn, &wsReader{r: wsutil.NewReader(src, ws.StateClientSide)}, nil
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("dial: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return nil, nil, err
	}
	br := bufio.NewReaderSize(conn, 4096)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read response: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("GET %s: %s", u.Path, resp.Status)
	}
	return conn, resp.Body, nil
}

func buffered(br *bufio.Reader) []byte {
	b, _ := br.Peek(br.Buffered())
	return bytes.Clone(b)
}

// wsReader joins the payloads of binary messages.
type wsReader struct {
	r    *wsutil.Reader
	open bool
}

func (w *wsReader) Read(p []byte) (int, error) {
	for {
		if !w.open {
			header, err := w.r.NextFrame()
			if err != nil {
				return 0, err
			}
			if header.OpCode.IsControl() {
				if err := w.r.Discard(); err != nil {
					return 0, err
				}
				continue
			}
			w.open = true
		}
		n, err := w.r.Read(p)
		if err == io.EOF {
			w.open = false
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readTags calls fn for each FLV tag until it returns false; sent is the marker's time where the tag holds one.
func readTags(r *bufio.Reader, fn func(kind byte, timestamp uint32, sent time.Time) bool) error {
	if _, err := r.Discard(13); err != nil {
		return err
	}
	for {
		header, err := r.Peek(11)
		if err != nil {
			return err
		}
		kind := header[0]
		size := int(header[1])<<16 | int(header[2])<<8 | int(header[3])
		timestamp := uint32(header[4])<<16 | uint32(header[5])<<8 | uint32(header[6]) | uint32(header[7])<<24
		if _, err := r.Discard(11); err != nil {
			return err
		}
		var sent time.Time
		if kind == 9 && size >= 26 {
			head, err := r.Peek(26)
			if err != nil {
				return err
			}
			if bytes.Equal(head[10:18], marker) {
				sent = time.Unix(0, int64(binary.BigEndian.Uint64(head[18:])))
			}
		}
		if _, err := r.Discard(size + 4); err != nil {
			return err
		}
		if !fn(kind, timestamp, sent) {
			return nil
		}
	}
}
