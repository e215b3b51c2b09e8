package balance_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-live/stoa/internal/balance"
)

func TestCallsAreSpreadByLoad(t *testing.T) {
	w := newWorld(t, "", "a", "b")
	w.list("a", "b")
	if got := w.get(400); got["a"] < 120 || got["b"] < 120 {
		t.Errorf("idle instances get %v", got)
	}
	// a has a call that does not end: b is the less loaded one of the two.
	release := make(chan struct{})
	w.servers["a"].answers(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(rw).Flush()
		<-release
	})
	var stream *http.Response
	for stream == nil {
		res, err := w.client.Get("http://chat/stream")
		if err != nil {
			t.Fatal(err)
		}
		if res.ContentLength < 0 {
			stream = res
			continue
		}
		_ = res.Body.Close()
	}
	if got := w.get(50); got["b"] != 50 {
		t.Errorf("beside a busy one: %v", got)
	}
	close(release)
	if err := stream.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestWeights(t *testing.T) {
	w := newWorld(t, "", "a", "b", "c")
	w.list("a//4", "b//1")
	if got := w.get(1000); got["a"] < 700 || got["b"] < 120 {
		t.Errorf("4 to 1 became %v", got)
	}
	for _, bad := range []balance.Instance{{ID: "a", URL: "http://a:80"}, {ID: "a", URL: "ftp://a:80", Weight: 1}, {ID: "a", URL: "http://", Weight: 1}} {
		if err := w.Update([]balance.Instance{bad}); err == nil {
			t.Errorf("took %+v", bad)
		}
	}
	if got := w.get(10); got["failed"] > 0 {
		t.Errorf("after a list that was refused: %v", got)
	}
}

func TestOwnZoneFirst(t *testing.T) {
	for _, c := range []struct {
		list []string
		near bool
	}{
		{[]string{"a/east", "b/west"}, true},
		{[]string{"a/east", "b/west", "c/west"}, true},
		{[]string{"a/east", "b/west", "c/west", "d/west"}, true},
		{[]string{"a/east", "b/west", "c/west/2"}, true},
		{[]string{"a/east", "b/west", "c/west/3"}, false},
		{[]string{"a/east", "b/west", "c/west", "d/west", "e/west"}, false}, // a would carry too much
		{[]string{"a", "b/west"}, false},
	} {
		w := newWorld(t, "east", "a", "b", "c", "d", "e")
		w.list(c.list...)
		got := w.get(60)
		if got["failed"] > 0 || (got["a"] == 60) != c.near {
			t.Errorf("%v: %v", c.list, got)
		}
	}
}

func TestNobodyToCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "", "a")
		start := time.Now()
		_, _, err := w.call(t.Context(), http.MethodPost, "/x", strings.NewReader("x"))
		if !errors.Is(err, balance.ErrNoInstance) || time.Since(start) != 2*time.Second {
			t.Errorf("without a list: %v after %v", err, time.Since(start))
		}
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start = time.Now()
		if _, _, err := w.call(short, http.MethodGet, "/x", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("with a short deadline: %v after %v", err, time.Since(start))
		}
		// The first list comes while a call waits for it.
		go func() {
			time.Sleep(time.Second)
			w.list("a")
		}()
		if code, by, err := w.call(t.Context(), http.MethodGet, "/x", nil); code != http.StatusOK || by != "a" {
			t.Errorf("got %d %q, %v", code, by, err)
		}
		w.list()
		start = time.Now()
		if _, _, err := w.call(t.Context(), http.MethodGet, "/x", nil); !errors.Is(err, balance.ErrNoInstance) || time.Since(start) != 0 {
			t.Errorf("with an empty list: %v after %v", err, time.Since(start))
		}
		if n := w.metric("stoa_registry_calls_total", "name=chat,outcome=none"); n != 3 {
			t.Errorf("%v calls without an instance were counted", n)
		}
		w.Close()
		if _, _, err := w.call(t.Context(), http.MethodGet, "/x", nil); !errors.Is(err, balance.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		w.end()
	})
}

func TestAnInstanceThatLeavesKeepsItsStreams(t *testing.T) {
	w := newWorld(t, "", "a", "b")
	lines := make(chan string)
	w.servers["a"].answers(func(rw http.ResponseWriter, _ *http.Request) {
		for {
			_ = http.NewResponseController(rw).Flush()
			line, ok := <-lines
			if !ok {
				return
			}
			_, _ = io.WriteString(rw, line)
		}
	})
	closed := make(chan struct{})
	w.list("a")
	stream, err := w.client.Get("http://chat/stream")
	if err != nil {
		t.Fatal(err)
	}
	w.list("b")
	if got := w.get(20); got["b"] != 20 {
		t.Errorf("new calls went to %v", got)
	}
	if n := w.metric("stoa_registry_instances", "name=chat,state=draining"); n != 1 {
		t.Errorf("%v instances drain", n)
	}
	lines <- "still here"
	read := make([]byte, 10)
	if _, err := io.ReadFull(stream.Body, read); err != nil || string(read) != "still here" {
		t.Errorf("the stream says %q, %v", read, err)
	}
	close(lines)
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Error(err)
	}
	if err := stream.Body.Close(); err != nil {
		t.Error(err)
	}
	if n := w.metric("stoa_registry_instances", "name=chat,state=draining"); n != 0 {
		t.Errorf("%v instances drain after the last stream", n)
	}
	// Its connection is closed: the server can end without cutting one.
	go func() {
		defer close(closed)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := w.servers["a"].Shutdown(ctx); err != nil {
			t.Errorf("a connection stayed: %v", err)
		}
	}()
	<-closed
	// One that comes back has new connections.
	w.servers["b"].answers(status(http.StatusTeapot))
	w.list("b")
	if dials := w.servers["b"].dials.Load(); dials != 1 {
		t.Errorf("an unchanged instance was dialled %d times", dials)
	}
}

func TestManyCallsWhileTheListChanges(t *testing.T) {
	w := newWorld(t, "", "a", "b", "c")
	w.list("a", "b", "c")
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, _, err := w.call(t.Context(), http.MethodPost, "/x", strings.NewReader("hello")); err != nil || code != http.StatusOK {
					t.Errorf("got %d, %v", code, err)
					return
				}
			}
		})
	}
	lists := [][]string{{"a"}, {"b", "c"}, {"a//2", "b", "c/east"}, {"c"}, {"a", "b"}}
	for i := range 200 {
		w.list(lists[i%len(lists)]...)
		time.Sleep(time.Millisecond)
	}
	close(stop)
	all.Wait()
}
