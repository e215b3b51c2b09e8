package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gateway"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

func TestLocalAndRemoteServicesAnswerAlike(t *testing.T) {
	seen := make(chan http.Header, 1)
	for name, change := range map[string]func(*gateway.Config){
		"local":  func(c *gateway.Config) { c.Local = services(seen) },
		"remote": remote(t, services(seen)),
	} {
		w := serve(t, change)
		for _, p := range testkit.Protocols() {
			t.Run(name+" "+p.Name, func(t *testing.T) {
				ctx, call := connect.NewClientContext(t.Context())
				call.RequestHeader().Set("X-Request-Id", "mine")
				if _, err := w.client(p).Like(ctx, &chatv1.LikeRequest{ConversationId: "c"}); err != nil {
					t.Fatal(err)
				}
				got := <-seen
				if got.Get("X-Forwarded-Host") != "stoa.example" || got.Get("X-Forwarded-Proto") != "http" ||
					got.Get(gateway.ClientAddressHeader) != "192.0.2.1" || got.Get("X-Request-Id") != "mine" || got.Get("X-Forwarded-For") != "" {
					t.Errorf("the service got %v", got)
				}
				if id := call.ResponseHeader().Values("X-Request-Id"); len(id) != 1 || id[0] != "mine" {
					t.Errorf("the client got the id %q", id)
				}
				_, err := w.client(p).Like(t.Context(), &chatv1.LikeRequest{ConversationId: "refused"})
				if !errs.Is(err, connect.CodeNotFound, "CONVERSATION_NOT_FOUND") {
					t.Errorf("a refusal: %v", err)
				}
				stream, err := w.client(p).Connect(t.Context(), &edgev1.ConnectRequest{})
				if err != nil {
					t.Fatal(err)
				}
				var events uint32
				for stream.Receive() {
					if stream.Msg().GetFrame().GetId() != events {
						t.Errorf("event %d is %v", events, stream.Msg())
					}
					events++
				}
				if events != 3 || !errs.Is(stream.Err(), connect.CodeUnavailable, "DRAINING") {
					t.Errorf("%d events, then %v", events, stream.Err())
				}
				_ = stream.Close()
			})
		}
	}
}

// TestConnectionHeaderTakesNothingOfOurs names our headers as ones of the connection, which proxies drop.
func TestConnectionHeaderTakesNothingOfOurs(t *testing.T) {
	seen := make(chan http.Header, 1)
	w := serve(t, remote(t, services(seen)))
	names := []string{gateway.ClientAddressHeader, "X-Request-Id", "X-Forwarded-Proto", "X-Forwarded-Host"}
	if a := w.post(t, "Connection", strings.Join(names, ", ")); a.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	got := <-seen
	for _, name := range names {
		if got.Get(name) == "" {
			t.Errorf("%s is lost", name)
		}
	}
	if got.Get(gateway.ClientAddressHeader) != "192.0.2.1" {
		t.Errorf("the client is %q", got.Get(gateway.ClientAddressHeader))
	}
}

func TestUnreachableService(t *testing.T) {
	w := serve(t, remote(t, nil))
	for _, p := range testkit.Protocols() {
		t.Run(p.Name, func(t *testing.T) {
			_, err := w.client(p).Like(t.Context(), &chatv1.LikeRequest{})
			if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "memory") || strings.Contains(err.Error(), "dial") {
				t.Errorf("it says how the house is built: %v", err)
			}
			stream, err := w.client(p).Connect(t.Context(), &edgev1.ConnectRequest{})
			if err == nil {
				for stream.Receive() {
					t.Error("the stream has events")
				}
				err = stream.Err()
				_ = stream.Close()
			}
			if !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
				t.Errorf("a stream got %v", err)
			}
		})
	}
	if !strings.Contains(w.log.String(), "level=WARN msg=\"service cannot be reached\"") {
		t.Errorf("nobody is told:\n%s", w.log)
	}
}

// TestStreamsAreFlushed needs each event to pass the proxy before the next one is sent.
func TestStreamsAreFlushed(t *testing.T) {
	next, gone := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "application/connect+json")
		for {
			_, _ = w.Write([]byte("\x00\x00\x00\x00\x02{}"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	w := serve(t, remote(t, slow))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := testkit.Protocol{HTTP2: true, Options: []connect.ClientOption{connect.WithProtoJSON()}}
	stream, err := w.client(p).Connect(ctx, &edgev1.ConnectRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		next <- struct{}{}
	}
	cancel()
	<-gone
	if strings.Contains(w.log.String(), "cannot be reached") {
		t.Errorf("a client that left is taken for a service that failed:\n%s", w.log)
	}
}
