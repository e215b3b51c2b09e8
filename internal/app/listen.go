package app

import (
	"context"
	"net"
	"time"
)

// deadPeer is how long a peer may leave what was written to it unconfirmed before its connection ends. A stream over
// HTTP/1.1 has no other way to learn that nobody is there: it writes a heartbeat, and the kernel goes on trying for a quarter
// of an hour. Over HTTP/2 pings find it, and the edge's own connections have to send something.
const deadPeer = time.Minute

// listenTCP opens a port whose connections end when their peers have been gone for dead.
func listenTCP(ctx context.Context, address string, dead time.Duration) (net.Listener, error) {
	return (&net.ListenConfig{Control: userTimeout(dead)}).Listen(ctx, "tcp", address)
}
