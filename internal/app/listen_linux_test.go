package app

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStreamsNoticeDeadPeers: a client that is gone without a word confirms nothing, although the socket goes on taking bytes.
func TestStreamsNoticeDeadPeers(t *testing.T) {
	l, err := listenTCP(t.Context(), "127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	beat := make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for i := 0; ; i++ {
			_, _ = fmt.Fprintln(w, "beat") // it says of no failure
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-beat:
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "beat"; {
		continue // the head
	}
	deafen(t, conn)
	beat <- struct{}{} // is taken by the socket
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		t.Error("the stream goes on, to nobody")
	}
}

// deafen lets a socket drop all that comes to it, confirmations too, as a network does that is gone.
func deafen(t *testing.T, conn net.Conn) {
	t.Helper()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if ctl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	}); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
}
