package edge

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
)

const (
	// maxProcedure is the longest name of an RPC, as the contract has it.
	maxProcedure = 200
	// maxRooms is how many live rooms a session may be in.
	maxRooms = 20
	// typingEvery is how often, at most, it is told that a user types in a conversation.
	typingEvery = 2 * time.Second
	// maxTypingTo is how many sessions of a conversation may be here for them to be told who types.
	maxTypingTo = 500
	// maxTyped is how many conversations a session remembers to have typed in.
	maxTyped = 50
	// askTimeout is how long a neighbour may take.
	askTimeout = 10 * time.Second
	// callTimeout is how long a call may take that has no timeout of its own.
	callTimeout = 30 * time.Second
)

// parse reads a frame of a client, which has to be a SignIn where it is the first. What is wrong with it is a defect of the
// client, said in a Goodbye.
func parse(payload []byte, first bool) (*edgev1.ClientFrame, *frame) {
	f := &edgev1.ClientFrame{}
	if err := proto.Unmarshal(payload, f); err != nil {
		return nil, goodbyeBadFrame("this is no ClientFrame")
	}
	if first && f.GetSignIn() == nil {
		return nil, goodbyeBadFrame("the first frame must be a sign-in")
	}
	switch kind := f.GetKind().(type) { // most frames; rules that cost nothing to look at
	case *edgev1.ClientFrame_Call: // the RPC checks its own message
		c := kind.Call
		if len(c.GetProcedure()) == 0 || len(c.GetProcedure()) > maxProcedure || c.GetTimeoutMs() < 0 {
			return nil, goodbyeBadFrame("call: the procedure or the timeout is not valid")
		}
		return f, nil
	case *edgev1.ClientFrame_Ping: // it has no fields
		return f, nil
	}
	if err := protovalidate.Validate(f, protovalidate.WithFailFast()); err != nil { // one defect is enough
		return nil, goodbyeBadFrame(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if f.GetKind() == nil {
		return nil, goodbyeBadFrame("the frame has no kind that this server knows")
	}
	return f, nil
}

// frame handles a frame after the first. What takes time has a goroutine of its own.
func (s *session) frame(payload []byte) {
	now := s.edge.deps.Now()
	s.hear(now)
	s.edge.metrics.received.Inc()
	if !s.frames.AllowN(now, 1) {
		s.flood()
		return
	}
	f, bad := parse(payload, false)
	if bad != nil {
		s.end(bad, "bad_frame")
		return
	}
	s.handle(f)
}

// flood ends a session whose client sends too much.
func (s *session) flood() {
	s.edge.metrics.flooded.Inc()
	s.end(goodbyeFlood(), "flood")
}

// turn is when a frame is answered.
type turn int

const (
	atOnce  turn = iota // it takes no time
	inTurn              // after those before it of this kind, and leaving
	leaving             // as inTurn: a Leave follows its Enter
	aside               // whenever it is ready
)

// errFrame is what is wrong with a frame that a client may not send now.
type errFrame string

func (e errFrame) Error() string { return string(e) }

// plan tells how a frame is answered, and when. act returns nil where there is no answer, or where it went by send.
func (s *session) plan(f *edgev1.ClientFrame, send func(*frame)) (act func() *frame, when turn, err error) {
	id := f.GetId()
	switch kind := f.GetKind().(type) {
	case *edgev1.ClientFrame_Ping:
		return func() *frame {
			return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Pong{Pong: &edgev1.Pong{}}})
		}, atOnce, nil
	case *edgev1.ClientFrame_Ack:
		if !s.acknowledge(kind.Ack.GetReceived()) {
			return nil, atOnce, errFrame("ack.received: more than was sent")
		}
		return func() *frame { return nil }, atOnce, nil
	case *edgev1.ClientFrame_Typing:
		return func() *frame { s.typing(kind.Typing); return nil }, atOnce, nil
	case *edgev1.ClientFrame_Enter:
		return func() *frame { return s.enter(id, kind.Enter) }, inTurn, nil
	case *edgev1.ClientFrame_Leave:
		return func() *frame { s.leave(kind.Leave.GetConversationId()); return done(id) }, leaving, nil
	case *edgev1.ClientFrame_Call:
		return func() *frame { return s.call(id, kind.Call) }, aside, nil
	case *edgev1.ClientFrame_Watch:
		ticket := s.edge.watchers.next()
		return func() *frame { return s.watch(id, kind.Watch.GetUserIds(), ticket, send) }, aside, nil
	case *edgev1.ClientFrame_Renew:
		return func() *frame { return s.renew(id, kind.Renew.GetAccessToken()) }, aside, nil
	default:
		return nil, atOnce, errFrame("a session is signed in once")
	}
}

func (s *session) handle(f *edgev1.ClientFrame) {
	act, when, err := s.plan(f, s.send)
	switch {
	case err != nil:
		s.end(goodbyeBadFrame(err.Error()), "bad_frame")
	case when == inTurn || when == leaving:
		s.takeTurn(f.GetId(), when, act)
	case when == aside:
		s.inFlight(f.GetId(), act)
	default:
		if out := act(); out != nil {
			s.send(out)
		}
	}
}

// countIn counts an answer among those in flight, until calls is counted down again. It returns an error where too many are.
// A Leave finds a place above them, as long as there is no more than one for each room that was or may yet be entered: it ends
// what costs something.
func (s *session) countIn(when turn) error {
	most := s.edge.cfg.MaxCalls
	if when == leaving {
		most += s.edge.cfg.MaxCalls + maxRooms
	}
	if s.calls.Add(1) > int32(most) { //nolint:gosec // a small number
		s.calls.Add(-1)
		return errs.ResourceExhausted(errs.ReasonRateLimited, "at most %d calls may be in flight", s.edge.cfg.MaxCalls)
	}
	return nil
}

// answering counts an answer in, and returns what gives it; nil where too many are in flight.
func (s *session) answering(id uint32, when turn, act func() *frame) func() {
	if err := s.countIn(when); err != nil {
		s.send(refusal(id, err))
		return nil
	}
	s.mu.Lock()
	l := s.link
	s.mu.Unlock()
	return func() {
		defer s.calls.Add(-1)
		if f := act(); f != nil {
			s.answer(l, id, f)
		}
	}
}

// inFlight answers a frame in a goroutine, unless too many are in flight.
func (s *session) inFlight(id uint32, act func() *frame) {
	if run := s.answering(id, aside, act); run != nil && !s.edge.hand(run) {
		s.calls.Add(-1)
	}
}

// takeTurn is inFlight for frames of which each waits for the one before.
func (s *session) takeTurn(id uint32, when turn, act func() *frame) {
	run := s.answering(id, when, act)
	if run == nil {
		return
	}
	s.mu.Lock()
	s.turns = append(s.turns, run)
	first := len(s.turns) == 1
	s.mu.Unlock()
	if first {
		s.edge.hand(s.takeTurns) // an edge that has stopped answers nobody
	}
}

func (s *session) takeTurns() {
	for {
		s.mu.Lock()
		run := s.turns[0]
		s.mu.Unlock()
		run()
		s.mu.Lock()
		s.turns = s.turns[1:]
		over := len(s.turns) == 0
		if over {
			s.turns = nil
		}
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// renew takes a fresh token of the same user and device.
func (s *session) renew(id uint32, token string) *frame {
	ctx, cancel := context.WithTimeout(s.edge.stopping, askTimeout)
	defer cancel()
	p, err := s.edge.verify(ctx, token)
	if err != nil {
		return refusal(id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.UserID != s.owner.UserID || p.DeviceID != s.owner.DeviceID || p.SessionID != s.principal.SessionID {
		return refusal(id, errs.PermissionDenied(errs.ReasonForbidden, "the token is of another session"))
	}
	s.token, s.principal = token, p
	return done(id)
}

// enter lets the session into a live room: first it hears it, then it learns where it stands, so that nothing lies between.
func (s *session) enter(id uint32, r *edgev1.Enter) *frame {
	s.entering.Lock() // on a stream, an Enter and a Leave may come at the same time
	defer s.entering.Unlock()
	room := r.GetConversationId()
	s.mu.Lock()
	unseen, entered := s.rooms[room]
	full := !entered && len(s.rooms) >= maxRooms
	staff, p := s.principal.IsStaff(), s.principal
	s.mu.Unlock()
	if full {
		return refusal(id, errs.ResourceExhausted(ReasonTooManyRooms, "at most %d rooms can be entered at once", maxRooms))
	}
	ctx, cancel := context.WithTimeout(s.edge.stopping, askTimeout)
	defer cancel()
	ask := &chatv1.GetRoomRequest{ConversationId: room, UserId: p.UserID, Unseen: r.GetUnseen(), Staff: staff}
	if !entered {
		// Nobody hears a conversation that is no room of theirs, not even for a moment.
		if _, err := s.edge.conversations.GetRoom(ctx, ask); err != nil {
			return refusal(id, err)
		}
		s.attach(room)
	}
	answer, err := s.edge.conversations.GetRoom(ctx, ask)
	if err != nil {
		if !entered {
			s.detach(room)
		}
		return refusal(id, err)
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return refusal(id, sessionNotFound())
	}
	if s.rooms == nil {
		s.rooms = make(map[string]bool, 1)
	}
	s.rooms[room] = r.GetUnseen()
	if entered && !unseen && !s.away {
		s.edge.reports.left(room, p.UserID)
	}
	if !r.GetUnseen() && !s.away {
		s.edge.reports.entered(room, p.UserID)
	}
	s.mu.Unlock()
	return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_Entered{Entered: &edgev1.Entered{
		Position: answer.GetPosition(), LastChange: answer.GetLastChange(), LikeCount: answer.GetLikeCount(),
		People: s.edge.people(room),
	}}})
}

// people is how many are in a room: as presence told, or at least those who are here.
func (e *Edge) people(room string) int32 {
	here := e.reports.people(room)
	if t := e.hub.topic(room); t != nil {
		t.mu.Lock()
		here = max(here, t.people)
		t.mu.Unlock()
	}
	return int32(here) //nolint:gosec // people
}

// leave ends an enter.
func (s *session) leave(room string) {
	s.entering.Lock()
	defer s.entering.Unlock()
	s.mu.Lock()
	unseen, ok := s.rooms[room]
	delete(s.rooms, room)
	if ok && !unseen && !s.away {
		s.edge.reports.left(room, s.user())
	}
	s.mu.Unlock()
	if ok {
		s.detach(room)
	}
}

// typed is when it was told that a user types in a conversation, and whether they do since.
type typed struct {
	at    time.Time
	going bool
}

// typing tells the others in a conversation, unless the user is not in it or was told of just now.
func (s *session) typing(r *edgev1.Typing) {
	now := s.edge.deps.Now()
	s.mu.Lock()
	_, room := s.rooms[r.GetConversationId()]
	var in *topic
	for _, t := range s.topics {
		if t.id == r.GetConversationId() {
			in = t
		}
	}
	member := in != nil
	last, told := s.typed[r.GetConversationId()]
	fine := member && !room && (!told || now.Sub(last.at) >= typingEvery || now.Before(last.at))
	if r.GetStopped() { // at once, and once after each time that it was told
		fine, now = member && !room && last.going, last.at
	}
	if fine {
		if s.typed == nil || len(s.typed) >= maxTyped {
			s.typed = make(map[string]typed, 1)
		}
		s.typed[r.GetConversationId()] = typed{at: now, going: !r.GetStopped()}
	}
	s.mu.Unlock()
	if !fine || in.crowded() {
		return
	}
	s.edge.begin(func() {
		ctx, cancel := context.WithTimeout(s.edge.stopping, askTimeout)
		defer cancel()
		event := &edgev1.TypingTold{Typing: &edgev1.TypingUser{
			ConversationId: r.GetConversationId(), UserId: s.user(), Stopped: r.GetStopped(),
		}}
		if err := bus.Publish(ctx, s.edge.deps.Bus, TopicTyping, r.GetConversationId(), event); err != nil {
			s.edge.logger.LogAttrs(ctx, slog.LevelDebug, "typing not told", slog.String("cause", err.Error()))
		}
	})
}

// signedIn is the answer to a sign-in.
func (e *Edge) signedIn(id uint32, s *session, resumed bool, ended edgev1.GoodbyeReason) *frame {
	p := s.owner
	return newFrame(&edgev1.ServerFrame{Id: id, Kind: &edgev1.ServerFrame_SignedIn{SignedIn: &edgev1.SignedIn{
		SessionId: s.id, Resumed: resumed, Ended: ended,
		SilenceMs:     int32(e.cfg.Silence.Milliseconds()),                    //nolint:gosec // minutes
		ResumeMs:      int32(e.cfg.Resume.Milliseconds()),                     //nolint:gosec // minutes
		MaxFrameBytes: int32(e.cfg.MaxFrame), MaxCalls: int32(e.cfg.MaxCalls), //nolint:gosec // a MiB
		UserId: p.UserID, DeviceId: p.DeviceID, ServerTime: timestamppb.New(e.deps.Now()),
	}}})
}
