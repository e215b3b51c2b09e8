package gateway_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stoa-live/stoa/gateway"
	"github.com/stoa-live/stoa/internal/telemetry"
	"github.com/stoa-live/stoa/internal/testkit"
)

func TestLimitListener(t *testing.T) {
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &testkit.Log{}
	logger, err := telemetry.NewLogger(log, "text", "info")
	if err != nil {
		t.Fatal(err)
	}
	l := gateway.LimitListener(inner, 2, logger)
	accepted, ended := make(chan net.Conn), make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	open := func() net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	open()
	first := <-accepted
	open()
	<-accepted
	if _, ok := first.(syscall.Conn); !ok {
		t.Error("playback cannot reach the socket")
	}
	for range 3 {
		if _, err := open().Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("one too many: %v", err)
		}
	}
	if n := strings.Count(log.String(), "too many are open"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, log)
	}
	for range 2 { // which gives one place back
		_ = first.Close()
	}
	open()
	<-accepted
	if _, err := open().Read(make([]byte, 1)); err == nil {
		t.Error("a second close gives a second place")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept ended by %v", err)
	}
	if gateway.LimitListener(inner, 0, logger) != inner {
		t.Error("no limit is a limit")
	}
}
