package chat

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// streamSink is a Connect stream as a Sink.
type streamSink struct {
	stream *connect.ServerStream[chatv1.SubscribeResponse]
	wire   *wire
}

// Send implements Sink.
func (s *streamSink) Send(event *chatv1.Event) error {
	return s.stream.Send(&chatv1.SubscribeResponse{Event: event})
}

// Expire implements Sink.
func (s *streamSink) Expire(d time.Duration) { s.wire.expire(d) }

// wire reaches the HTTP response under a stream, which connect hides from handlers.
type wire struct {
	controller *http.ResponseController
	expired    atomic.Bool
}

// expire lets writes fail once d has passed. A transport without deadlines has to notice dead peers itself.
func (w *wire) expire(d time.Duration) {
	if w != nil {
		w.expired.Store(true)
		_ = w.controller.SetWriteDeadline(time.Now().Add(d))
	}
}

type wireKey struct{}

// expirable gives next's handlers their wire.
func expirable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under := &wire{controller: http.NewResponseController(w)}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), wireKey{}, under)))
		if under.expired.Load() && r.ProtoMajor == 1 { // the connection may carry another request
			_ = under.controller.SetWriteDeadline(time.Time{})
		}
	})
}

func wireFrom(ctx context.Context) *wire {
	w, _ := ctx.Value(wireKey{}).(*wire)
	return w
}
