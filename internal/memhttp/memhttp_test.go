package memhttp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-live/stoa/internal/memhttp"
)

func serve(t *testing.T, h http.HandlerFunc, options ...memhttp.Option) *memhttp.Server {
	t.Helper()
	s := memhttp.NewServer(h, options...)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestBothVersionsOfHTTP(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, body)
	}, memhttp.WithName("auth"))
	for want, client := range map[string]*http.Client{
		"HTTP/2.0 auth hello": s.Client(), "HTTP/1.1 auth hello": s.HTTP1Client(),
	} {
		res, err := client.Post(s.URL(), "text/plain", bytes.NewReader([]byte("hello")))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if string(body) != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

func TestManyStreamsAtOnce(t *testing.T) {
	const streams, size = 50, 1 << 20
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	data := make([]byte, size)
	_, _ = rand.Read(data)
	var all sync.WaitGroup
	for range streams {
		all.Go(func() {
			res, err := s.Client().Post(s.URL(), "application/octet-stream", bytes.NewReader(data))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close() //nolint:errcheck // a test
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, data) {
				t.Errorf("echo of %d bytes: got %d, %v", size, len(got), err)
			}
		})
	}
	all.Wait()
}

func TestDeadlineOfACall(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL(), nil)
	if _, err := s.Client().Do(req); !errors.Is(err, context.DeadlineExceeded) { //nolint:bodyclose // there is none
		t.Errorf("got %v", err)
	}
}

func TestShutdownWaitsThenCuts(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	answered := make(chan error, 1)
	go func() {
		res, err := s.Client().Get(s.URL())
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	<-running
	close(release)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("a call that was running failed: %v", err)
	}
	if _, err := s.Client().Get(s.URL()); !errors.Is(err, net.ErrClosed) { //nolint:bodyclose // there is none
		t.Errorf("a call after the end: %v", err)
	}

	running, release = make(chan struct{}), make(chan struct{})
	cut := memhttp.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	}))
	go func() {
		res, err := cut.Client().Get(cut.URL())
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cut.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a shutdown that cuts: %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("a call that was cut succeeded")
	}
}

func TestBaseContextEndsStreams(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	}, memhttp.WithBaseContext(ctx))
	done := make(chan error, 1)
	go func() {
		res, err := s.Client().Get(s.URL())
		if err == nil {
			err = res.Body.Close()
		}
		done <- err
	}()
	<-running
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pair returns both ends of a connection through the listener.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	hijacked := make(chan net.Conn, 1)
	s := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		hijacked <- c
	}))
	near, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(near, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	far = <-hijacked
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestConnectionDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pair(t)
		start := time.Now()
		if err := near.SetReadDeadline(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("read ended after %v with %v", time.Since(start), err)
		}
		if err := far.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := far.Write(make([]byte, 1<<20)) // nobody reads
		if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || time.Since(start) != 2*time.Minute {
			t.Errorf("write of %d bytes ended after %v with %v", n, time.Since(start), err)
		}
		// A later deadline brings the connection back, and what was written is there.
		if err := near.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := far.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(near); err != nil || len(got) != n {
			t.Errorf("read %d bytes of %d, %v", len(got), n, err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	})
}
