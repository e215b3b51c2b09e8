package app_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/testkit"
)

// deadPeer is how long a port lets a peer leave what was written to it unconfirmed, in milliseconds.
const deadPeer = 60_000

// listening returns this process's socket that listens at an address.
func listening(t *testing.T, at net.Addr) int {
	t.Helper()
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		t.Fatalf("no TCP: %v", at)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			continue // closed meanwhile, or something else
		}
		name, err := unix.Getsockname(fd)
		if own, ok := name.(*unix.SockaddrInet4); err == nil && ok && own.Port == tcp.Port {
			return fd
		}
	}
	t.Fatalf("nobody listens at %v", at)
	return 0
}

// TestPortsNoticeDeadPeers: each port for clients is open with a bound on what is not confirmed.
func TestPortsNoticeDeadPeers(t *testing.T) {
	t.Parallel()
	s, _ := edgeServer(t, true)
	for name, at := range map[string]net.Addr{"HTTP": s.HTTPAddr(), "TCP": s.EdgeAddr(), "TLS": s.EdgeTLSAddr()} {
		if ms, err := unix.GetsockoptInt(listening(t, at), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || ms != deadPeer {
			t.Errorf("%s: %d ms, %v", name, ms, err)
		}
	}
}

// TestStreamsToNobodyEnd: the client of a stream over HTTP/1.1 is gone without a word, and confirms nothing any more; the
// socket goes on taking bytes. The port's patience is made short for it.
func TestStreamsToNobodyEnd(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	if err := unix.SetsockoptInt(listening(t, s.HTTPAddr()), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1000); err != nil {
		t.Fatal(err)
	}
	owner := as(s, binary, s.User(t, "owner").Token)
	room := owner.openRoom(t, "A room").GetConversationId()
	var wire net.Conn
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		wire, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return wire, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	guest := edgev1connect.NewEdgeServiceClient(
		testkit.Bearer{Client: &http.Client{Transport: transport}, Token: s.Guest(t).Token}, s.URL)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	stream, err := guest.Connect(ctx, &edgev1.ConnectRequest{Enter: []*edgev1.Enter{{ConversationId: room}}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close() //nolint:errcheck // a test
	for stream.Receive() && stream.Msg().GetFrame().GetEntered() == nil {
		continue
	}
	running := inFlight(t, s)
	if running != 2 { // this question, too
		t.Fatalf("%d requests are in flight: %v", running, stream.Err())
	}
	deafen(t, wire)
	owner.say(t, room, "is anybody there?") // is taken by the socket
	testkit.Eventually(t, 30*time.Second, "the stream ends that goes to nobody", func() bool { return inFlight(t, s) == 1 })
}

// inFlight is how many requests the process is answering.
func inFlight(t *testing.T, s *testkit.Server) int {
	t.Helper()
	res, err := s.HTTP1.Get(s.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a test
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "stoa_gateway_requests_in_flight "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("nobody counts requests")
	return 0
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
