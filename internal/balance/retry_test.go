package balance_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/stoa-live/stoa/gen/go/stoa/chat/v1" // contracts, for what they say of retries
)

const (
	reads  = "/stoa.chat.v1.ChatService/ListMessages" // no side effects, by its contract
	writes = "/stoa.chat.v1.ChatService/SendMessage"
)

// pipe is a body that cannot be had twice, as that of a stream or of a request that is passed on.
type pipe struct {
	io.Reader

	closed atomic.Bool
}

func (p *pipe) Close() error {
	p.closed.Store(true)
	return nil
}

func TestWhatIsMadeAgain(t *testing.T) {
	refused := func(s *server) { s.refuses.Store(true) }
	gateway := func(s *server) { s.answers(status(http.StatusBadGateway)) }
	cut := func(s *server) { s.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) }
	readAndCut := func(s *server) {
		s.answers(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		})
	}
	for _, c := range []struct {
		name         string
		breaks       func(*server)
		method, path string
		stream       bool // the body cannot be had twice
		again        bool
	}{
		{"no connection", refused, http.MethodPost, writes, false, true},
		{"no connection for a stream", refused, http.MethodPost, writes, true, true},
		{"a gateway answers a read", gateway, http.MethodPost, reads, false, true},
		{"a gateway answers a GET", gateway, http.MethodGet, "/x", false, true},
		{"a gateway answers a write", gateway, http.MethodPost, writes, false, false},
		{"a read is cut", cut, http.MethodPost, reads, false, true},
		{"a GET is cut", cut, http.MethodGet, "/x", false, true},
		{"a write is cut", cut, http.MethodPost, writes, false, false},
		{"a read is cut whose body is gone", readAndCut, http.MethodPost, reads, true, false},
		{"a procedure that no contract has", cut, http.MethodPost, "/stoa.chat.v1.ChatService/Nothing", false, false},
		{"a service that no contract has", cut, http.MethodPost, "/no.such.Service/Get", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", "a", "b")
			w.list("a", "b")
			c.breaks(w.servers["a"])
			good := 0
			for range 12 {
				var body io.Reader
				held := &pipe{Reader: strings.NewReader("hello")}
				if c.method == http.MethodPost {
					if body = strings.NewReader("hello"); c.stream {
						body = held
					}
				}
				if code, by, err := w.call(t.Context(), c.method, c.path, body); err == nil && code == http.StatusOK && by == "b" {
					good++
				}
				if c.stream {
					for range 100 {
						if held.closed.Load() {
							break
						}
						time.Sleep(time.Millisecond) // net/http may close it later
					}
					if !held.closed.Load() {
						t.Error("the body stays open")
					}
				}
			}
			if (good == 12) != c.again || good == 0 {
				t.Errorf("%d of 12 calls succeeded", good)
			}
		})
	}
}

func TestRetriesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", "a", "b", "c")
		defer w.end()
		for _, s := range w.servers {
			s.answers(status(http.StatusBadGateway))
		}
		w.list("a", "b", "c")
		const calls = 1000
		w.get(calls)
		made := func() (n int) {
			for _, s := range w.servers {
				n += int(s.calls.Load())
			}
			return n
		}
		if retries := made() - calls; retries < 200 || retries > 220 {
			t.Errorf("%d calls were made again %d times", calls, retries)
		}
		if w.metric("stoa_registry_retries_total", "name=chat,why=spent") == 0 {
			t.Error("nothing says that the budget was spent")
		}
		// A name with few calls has three a second.
		before := made()
		time.Sleep(time.Second)
		w.get(10)
		if n := made() - before - 10; n < 4 || n > 6 {
			t.Errorf("a second later 10 calls were made again %d times", n)
		}
	})
}

func TestARetryHasWhatIsLeftOfTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", "a", "b")
		defer w.end()
		w.list("a", "b")
		var mu sync.Mutex
		var told []string
		slow := func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			told = append(told, r.Header.Get("Connect-Timeout-Ms")+" "+r.Header.Get("Grpc-Timeout"))
			mu.Unlock()
			time.Sleep(600 * time.Millisecond)
			http.Error(rw, "not me", http.StatusBadGateway)
		}
		w.servers["a"].answers(slow)
		w.servers["b"].answers(slow)
		call := func(header string) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://chat"+reads, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(header, "1000")
			start := time.Now()
			if res, err := w.client.Do(r); err == nil {
				_ = res.Body.Close()
				t.Errorf("got %s", res.Status)
			}
			if r.Header.Get(header) != "1000" {
				t.Error("the caller's request was changed")
			}
			return time.Since(start)
		}
		if took := call("Connect-Timeout-Ms"); took != time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Second) // what was left behind ends
		if took := call("Grpc-Timeout"); took != time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{"1000 ", "400 ", " 1000", " 400m"}
		if strings.Join(told, ",") != strings.Join(want, ",") {
			t.Errorf("instances were told %q", told)
		}
	})
}

// rawServer speaks just enough of HTTP/2 to answer each request with one frame.
func rawServer(t *testing.T, kind byte, payload func(stream uint32) (id uint32, b []byte)) (address string, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	requests = new(atomic.Int64)
	frame := func(kind byte, stream uint32, b []byte) []byte {
		out := append([]byte{0, 0, byte(len(b)), kind, 0}, binary.BigEndian.AppendUint32(nil, stream)...)
		return append(out, b...)
	}
	serve := func(c net.Conn) {
		defer c.Close() //nolint:errcheck // a test
		preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		_, _ = c.Write(frame(4, 0, nil)) // SETTINGS
		for header := make([]byte, 9); ; {
			if _, err := io.ReadFull(c, header); err != nil {
				return
			}
			size := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
			if _, err := io.CopyN(io.Discard, c, size); err != nil {
				return
			}
			if header[3] == 0 && header[4]&1 != 0 { // DATA with END_STREAM: the body was sent
				requests.Add(1)
				id, b := payload(binary.BigEndian.Uint32(header[5:]))
				_, _ = c.Write(frame(kind, id, b))
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String(), requests
}

func TestWhatAServerHasNotLookedAt(t *testing.T) {
	code := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for _, c := range []struct {
		name    string
		kind    byte
		payload func(stream uint32) (uint32, []byte)
		again   bool
	}{
		{"REFUSED_STREAM", 3, func(stream uint32) (uint32, []byte) { return stream, code(7) }, true},
		{"GOAWAY before it", 7, func(uint32) (uint32, []byte) { return 0, append(code(0), code(0)...) }, true},
		{"INTERNAL_ERROR", 3, func(stream uint32) (uint32, []byte) { return stream, code(2) }, false},
		{"GOAWAY after it", 7, func(stream uint32) (uint32, []byte) { return 0, append(code(stream), code(2)...) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, requests := rawServer(t, c.kind, c.payload)
			w := newWorld(t, "", "b")
			w.dial("raw", address)
			w.list("raw", "b")
			good := 0
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				if _, by, err := w.call(ctx, http.MethodPost, writes, strings.NewReader(strconv.Itoa(good))); err == nil && by == "b" {
					good++
				}
				cancel()
			}
			if (good == 10) != c.again || requests.Load() == 0 {
				t.Errorf("%d of 10 calls succeeded, after %d that were refused", good, requests.Load())
			}
		})
	}
}
