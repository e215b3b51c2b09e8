package edge

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

var _ edgev1connect.EdgeServiceHandler = (*edgeHandler)(nil)

// heartbeat is the silence after which a stream is told that all is well.
const heartbeat = 15 * time.Second

// edgeHandler speaks EdgeService.
type edgeHandler struct{ edge *Edge }

// Connect implements EdgeService.
func (h *edgeHandler) Connect(
	ctx context.Context, r *edgev1.ConnectRequest, stream *connect.ServerStream[edgev1.ConnectResponse],
) error {
	e := h.edge
	if !e.ready.Load() {
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
	if !authn.EndRevoked(ctx) { // the session says goodbye, and which of both is told first is left to chance
		return nil
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	l := &streamLink{stream: stream, wire: wireFrom(ctx), end: end}
	in := r.GetSignIn()
	if in == nil {
		in = &edgev1.SignIn{}
	}
	token := ""
	if call, ok := connect.CallInfoForHandlerContext(ctx); ok {
		_, token, _ = strings.Cut(call.RequestHeader().Get("Authorization"), " ")
		l.peer = call.RequestHeader().Get(e.deps.ClientAddressHeader)
	}
	s, last := e.open(ctx, l, 0, &edgev1.SignIn{
		AccessToken: strings.TrimSpace(token), Resume: in.GetResume(), AcceptGzip: in.GetAcceptGzip(),
	}, authn.MustFrom(ctx))
	if last != nil {
		return refusedStream(last)
	}
	if len(r.GetEnter()) > 0 {
		e.hand(func() { s.enterAll(ctx, l, r.GetEnter()) }) // an edge that has stopped answers nobody
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			s.cut(l)
			l.wait()
			return s.reason()
		case <-beat.C:
			// Writing to it is how a stream shows that somebody listens.
			s.hear(e.deps.Now())
			s.send(newFrame(&edgev1.ServerFrame{Kind: &edgev1.ServerFrame_Pong{Pong: &edgev1.Pong{}}}))
		}
	}
}

// enterAll enters the rooms that a stream was opened with, one after the other, as long as it is there.
func (s *session) enterAll(ctx context.Context, l link, rooms []*edgev1.Enter) {
	for i, room := range rooms {
		if ctx.Err() != nil {
			return
		}
		id := uint32(i + 1) //nolint:gosec // at most 20
		s.answer(l, id, s.enter(id, room))
	}
}

// reason is why a stream ended, in the words of the RPC; nil where its client left.
func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch reasonOf(s.why) {
	case edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING:
		return errs.Unavailable(ReasonDraining, "the server stops, come back")
	case edgev1.GoodbyeReason_GOODBYE_REASON_SESSION_REVOKED:
		return errs.Unauthenticated(authn.ReasonSessionRevoked, "this session was signed out")
	case edgev1.GoodbyeReason_GOODBYE_REASON_TOKEN_EXPIRED:
		return errs.Unauthenticated(authn.ReasonTokenExpired, "the token expired and no other came")
	case edgev1.GoodbyeReason_GOODBYE_REASON_SLOW_CONSUMER:
		return errs.ResourceExhausted(ReasonSlowConsumer, "this stream was read too slowly, come back and sync")
	case edgev1.GoodbyeReason_GOODBYE_REASON_SIGNED_IN_ELSEWHERE:
		return errs.New(connect.CodeAborted, ReasonSignedInElsewhere, "another connection took this one's place")
	case edgev1.GoodbyeReason_GOODBYE_REASON_FULL:
		return errs.ResourceExhausted(ReasonTooManySessions, "too many are connected here")
	case edgev1.GoodbyeReason_GOODBYE_REASON_KICKED:
		return errs.PermissionDenied(errs.ReasonForbidden, "a back end ended this connection")
	default:
		return nil
	}
}

// refusedStream turns a Goodbye before SignedIn into the error of the RPC.
func refusedStream(last *frame) error {
	f, err := decode(last.plain)
	if err != nil {
		return err
	}
	switch f.GetGoodbye().GetReason() {
	case edgev1.GoodbyeReason_GOODBYE_REASON_DRAINING:
		return errs.Unavailable(ReasonDraining, "the server stops, come back")
	case edgev1.GoodbyeReason_GOODBYE_REASON_FULL:
		return errs.ResourceExhausted(ReasonTooManySessions, "too many are connected here")
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "%s", f.GetGoodbye().GetMessage())
	}
}

// Send implements EdgeService.
func (h *edgeHandler) Send(ctx context.Context, r *edgev1.SendRequest) (*edgev1.SendResponse, error) {
	p := authn.MustFrom(ctx)
	s := h.edge.session(r.GetSessionId())
	if s == nil || s.user() != p.UserID || s.owner.DeviceID != p.DeviceID {
		return nil, sessionNotFound()
	}
	now := h.edge.deps.Now()
	s.hear(now)
	if !s.frames.AllowN(now, 1) {
		return nil, errs.ResourceExhausted(errs.ReasonRateLimited, "too many frames, slow down")
	}
	f := r.GetFrame()
	if f.GetCall() != nil || f.GetSignIn() != nil {
		return nil, errs.InvalidArgument(errs.ReasonInvalidArgument, "frame: this kind does not go here")
	}
	var out *frame
	act, when, err := s.plan(f, func(f *frame) { out = f })
	if err != nil {
		return nil, errs.InvalidArgument(errs.ReasonInvalidArgument, "frame.%s", err.Error())
	}
	if when != atOnce {
		if err := s.countIn(when); err != nil {
			return nil, err
		}
		defer s.calls.Add(-1)
	}
	if answer := act(); answer != nil {
		out = answer
	}
	if out == nil {
		return &edgev1.SendResponse{}, nil
	}
	answer, err := decode(out.plain)
	if err != nil {
		return nil, err
	}
	return &edgev1.SendResponse{Frame: answer}, nil
}

// streamLink is a Connect stream as a link.
type streamLink struct {
	stream *connect.ServerStream[edgev1.ConnectResponse]
	wire   *wire
	end    context.CancelFunc
	peer   string

	mu     sync.Mutex
	closed bool
}

func (l *streamLink) form() form { return formBare }

func (l *streamLink) try([]byte) (int, error) { return 0, nil }

func (l *streamLink) address() string { return net.JoinHostPort(l.peer, "0") }

// write implements link. After the handler has returned, the stream must not be touched.
func (l *streamLink) write(bufs net.Buffers, timeout time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire.expire(timeout)
	for _, b := range bufs {
		if l.closed {
			return net.ErrClosed
		}
		f, err := decode(b)
		if err != nil {
			return err
		}
		if err := l.stream.Send(&edgev1.ConnectResponse{Frame: f}); err != nil {
			return err
		}
	}
	l.wire.unlimited()
	return nil
}

func (l *streamLink) close() { l.end() }

func (l *streamLink) bid() { l.end() }

// wait returns once nobody writes any more.
func (l *streamLink) wait() {
	if !l.mu.TryLock() {
		l.wire.expire(farewell)
		l.mu.Lock()
	}
	l.closed = true
	l.mu.Unlock()
	l.wire.expire(farewell) // for the RPC's own end
}

// wire reaches the HTTP response under a stream, which connect hides from handlers.
type wire struct {
	controller *http.ResponseController
	host       string // that the client called
	secure     bool   // by TLS
	used       atomic.Bool
}

// expire lets writes fail once d has passed. A transport without deadlines has to notice dead peers itself.
func (w *wire) expire(d time.Duration) {
	if w != nil {
		w.used.Store(true)
		_ = w.controller.SetWriteDeadline(time.Now().Add(d))
	}
}

func (w *wire) unlimited() {
	if w != nil {
		_ = w.controller.SetWriteDeadline(time.Time{})
	}
}

type wireKey struct{}

// expirable gives next's handlers their wire.
func expirable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		under := &wire{controller: http.NewResponseController(w), host: r.Host, secure: r.TLS != nil}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), wireKey{}, under)))
		if under.used.Load() && r.ProtoMajor == 1 { // the connection may carry another request
			under.unlimited()
		}
	})
}

func wireFrom(ctx context.Context) *wire {
	w, _ := ctx.Value(wireKey{}).(*wire)
	return w
}
