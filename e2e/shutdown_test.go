package e2e_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/errs"
)

// TestGracefulShutdown stops a server on which everything is going on. Chat streams are told to come back, viewers and
// the encoder are let go, and nothing has to be cut off.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	s := serve(t, "STOA_DRAIN_TIMEOUT=20s")
	room := s.signUp("streamer").openRoom()
	encoder := encoding{}.push(t, room.issueKey())
	playback := room.until(live).GetPlayback()
	viewers := []*viewer{
		watchWebSocket(t, playback.GetWsFlvUrl()),
		watchHTTP(t, s.client, playback.GetFlvUrl()),
		watchHTTP(t, cleartextHTTP2(t), playback.GetFlvUrl()), // a call like others, for the server
	}
	for _, v := range viewers {
		v.advances(0)
	}
	guest := s.signUp("guest")
	guest.subscribe(room.conversation, nil)
	grpc := *guest
	grpc.chat = chatv1connect.NewChatServiceClient(cleartextHTTP2(t), s.url, guest.token, connect.WithGRPC())
	grpc.edge = edgev1connect.NewEdgeServiceClient(cleartextHTTP2(t), s.url, guest.token, connect.WithGRPC())
	subscribers := []*subscriber{
		room.owner.subscribe(room.conversation, nil),
		guest.subscribe(room.conversation, nil),
		grpc.subscribe(room.conversation, &chatv1.Position{}),
	}

	s.stopped = true
	s.process.signal(syscall.SIGTERM)
	for _, v := range subscribers {
		if err := v.ends(); !errs.Is(err, connect.CodeUnavailable, "DRAINING") {
			t.Errorf("a subscriber was told %v, want Unavailable with the reason DRAINING", err)
		}
	}
	for _, v := range viewers {
		v.ends()
		v.continuous()
	}
	refused(t, encoder, "")
	if err := s.process.ended(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	// What had to be cut off is in the log; a clock would only tell how busy this machine is.
	if strings.Contains(s.process.output.String(), "calls were cut") {
		t.Error("the server waited for the whole drain timeout and then cut calls off")
	}
}

// cleartextHTTP2 is a client that speaks HTTP/2 without TLS.
func cleartextHTTP2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), ResponseHeaderTimeout: time.Minute}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
