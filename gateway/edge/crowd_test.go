package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoa-live/stoa/gateway/edge"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// crowdEnv has this program be a crowd: "tcp-address websocket-url".
const crowdEnv = "STOA_TEST_EDGE_CROWD"

func TestMain(m *testing.M) {
	if tcp, url, ok := strings.Cut(os.Getenv(crowdEnv), " "); ok {
		if err := (&members{tcp: tcp, url: url}).obey(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "crowd:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// order is what a crowd is told to do: that some come, or that the last ones that came read to the end of their connections.
type order struct {
	Come, Leave int
}

// outcome is what came of an order: how many connections ended by which reason.
type outcome struct {
	Goodbyes map[string]int
}

// members are the connections of a crowd, which never sign in. They have a process of their own: both ends of ten thousand are
// more files than one process may open in many places.
type members struct {
	tcp, url string
	came     []*netWire
}

// obey follows orders until there are no more.
func (c *members) obey(in io.Reader, out io.Writer) error {
	orders, outcomes := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.come(o.Come); err != nil {
			return err
		}
		if err := outcomes.Encode(outcome{c.leave(o.Leave)}); err != nil {
			return err
		}
	}
}

// come opens connections: some say nothing, some half of what one says first, and every fourth is a WebSocket.
func (c *members) come(n int) error {
	for range n {
		kind := len(c.came) % 4
		if kind == 3 {
			conn, in, _, err := ws.Dialer{Protocols: []string{edge.Subprotocol}}.Dial(context.Background(), c.url)
			if err != nil {
				return fmt.Errorf("connection %d: %w", len(c.came), err)
			}
			var from io.Reader = conn
			if in != nil {
				from = in
			}
			w := &netWire{conn: conn}
			w.read = func() ([]byte, error) {
				b, _, err := wsutil.ReadServerData(struct {
					io.Reader
					io.Writer
				}{from, conn})
				return b, err
			}
			c.came = append(c.came, w)
			continue
		}
		conn, err := net.Dial("tcp", c.tcp)
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(c.came), err)
		}
		if _, err := conn.Write([]byte("STOA\x01\x7fhalf a frame")[:[]int{0, 5, 18}[kind]]); err != nil {
			return fmt.Errorf("connection %d: %w", len(c.came), err)
		}
		c.came = append(c.came, delimited(conn))
	}
	return nil
}

// leave has the last ones read to the end, many at once, and counts their last words.
func (c *members) leave(n int) map[string]int {
	leaving := make(chan *netWire, n)
	for _, w := range c.came[len(c.came)-n:] {
		leaving <- w
	}
	close(leaving)
	c.came = c.came[:len(c.came)-n]
	var mu sync.Mutex
	counts := make(map[string]int)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for w := range leaving {
				reason := "no goodbye"
				for {
					f, err := w.receive()
					if err != nil {
						break
					}
					if f.GetGoodbye() != nil {
						reason = f.GetGoodbye().GetReason().String()
					}
				}
				w.cut()
				mu.Lock()
				counts[reason]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return counts
}

// crowd is a process full of connections that never sign in.
type crowd struct {
	w        *world
	orders   *json.Encoder
	outcomes *json.Decoder
	stderr   *bytes.Buffer
}

// crowd starts one.
func (w *world) crowd() *crowd {
	w.t.Helper()
	program, err := os.Executable()
	w.must(err)
	cmd := exec.CommandContext(w.t.Context(), program)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s ws%s/edge/v1", crowdEnv, w.tcp.Addr(), strings.TrimPrefix(w.http.URL, "http")))
	in, err := cmd.StdinPipe()
	w.must(err)
	out, err := cmd.StdoutPipe()
	w.must(err)
	c := &crowd{w: w, orders: json.NewEncoder(in), outcomes: json.NewDecoder(bufio.NewReader(out)), stderr: &bytes.Buffer{}}
	cmd.Stderr = c.stderr
	w.must(cmd.Start())
	w.t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // what failed in it has been told
	})
	return c
}

// does has the crowd do something, during which somebody who is signed in must not wait.
func (c *crowd) does(o order, healthy *device) map[string]int {
	c.w.t.Helper()
	c.w.must(c.orders.Encode(o))
	type answer struct {
		outcome

		err error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		a.err = c.outcomes.Decode(&a.outcome)
		done <- a
	}()
	for {
		healthy.quiet("many who never sign in")
		select {
		case a := <-done:
			if a.err != nil {
				c.w.t.Fatalf("%+v: %v: %s", o, a.err, c.stderr)
			}
			return a.Goodbyes
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// footprint is the memory, in bytes, and the files that this process holds; -1 files where nothing tells.
func footprint() (memory int64, files int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files = -1
	if open, err := os.ReadDir("/dev/fd"); err == nil {
		files = len(open)
	}
	return int64(m.HeapAlloc + m.StackInuse), files //nolint:gosec // far below the limit
}

// TestConnectionsThatNeverSignIn opens ten thousand of them, as many as may wait, and then more: these are turned away, the
// waiting ones are let go after their time, who is signed in or does sign in waits for none of them, and nothing of them
// stays. Nothing runs beside it that would be counted.
func TestConnectionsThatNeverSignIn(t *testing.T) {
	const limit, extra, place = 10_000, 500, 10
	w := serve(t, edge.Config{MaxPending: limit, MaxPendingAddress: limit, TokenGrace: time.Hour, Silence: time.Hour})
	healthy := w.signInAs((*world).webSocket, w.member("healthy"))
	c := w.crowd()
	goodbyes := func(what string, got map[string]int, n int, reason edgev1.GoodbyeReason) {
		t.Helper()
		if want := map[string]int{reason.String(): n}; !maps.Equal(got, want) {
			t.Errorf("%s took leave by %v, want %v", what, got, want)
		}
	}
	wave := func(name string) (memory int64) {
		_, files := footprint()
		c.does(order{Come: limit - place}, healthy)
		late := w.signInAs((*world).webSocket, w.member(name))
		late.quiet("many who wait") // it has left its place among them
		c.does(order{Come: place}, healthy)
		w.eventually("all of them are here", func() bool { return w.metric("stoa_edge_waiting") == limit })
		memory, _ = footprint()
		c.does(order{Come: extra}, healthy)
		goodbyes("who is above the limit", c.does(order{Leave: extra}, healthy), extra, edgev1.GoodbyeReason_GOODBYE_REASON_FULL)
		w.clock.advance(11 * time.Second)
		goodbyes("who waited", c.does(order{Leave: limit}, healthy), limit, edgev1.GoodbyeReason_GOODBYE_REASON_SIGN_IN_TIMEOUT)
		late.quiet("their end")
		w.eventually("their files are closed", func() bool {
			_, now := footprint()
			return now < files+place
		})
		return memory
	}
	wave("first") // after which Go keeps what it needed for as many goroutines
	before, _ := footprint()
	full := wave("second")
	var after int64
	w.eventually("their memory is free", func() bool {
		after, _ = footprint()
		return after-before < limit*500 // one that stayed would be several times that
	})
	t.Logf("%d connections took %d bytes each, of which %d stayed", limit, (full-before)/limit, (after-before)/limit)
	if took := (full - before) / limit; took > 16<<10 {
		t.Errorf("a connection that waits takes %d bytes", took)
	}
}
