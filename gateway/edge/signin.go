package edge

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
)

func sessionNotFound() *errs.Error {
	return errs.NotFound(ReasonSessionNotFound, "there is no such session")
}

// verify checks an access token.
func (e *Edge) verify(ctx context.Context, token string) (authn.Principal, error) {
	if token == "" {
		return authn.Principal{}, errs.Unauthenticated(authn.ReasonTokenMissing, "sign in first")
	}
	p, err := e.deps.Verifier.Verify(ctx, token)
	if err != nil {
		return authn.Principal{}, err
	}
	if e.deps.Revocations.Check(p.SessionID) {
		return authn.Principal{}, errs.Unauthenticated(authn.ReasonSessionRevoked, "this session was signed out")
	}
	return p, nil
}

// signIn opens or resumes the session of a link. What it returns instead of a session is the link's last frame.
func (e *Edge) signIn(l link, id uint32, r *edgev1.SignIn) (*session, *frame) {
	ctx, cancel := context.WithTimeout(e.stopping, askTimeout)
	defer cancel()
	p, err := e.verify(ctx, r.GetAccessToken())
	if err != nil {
		e.metrics.refused.Inc()
		return nil, goodbyeRefused(err)
	}
	s, last := e.open(ctx, l, id, r, p)
	if last != nil {
		e.metrics.refused.Inc()
	}
	return s, last
}

// open is signIn for a caller who is known.
func (e *Edge) open(
	ctx context.Context, l link, id uint32, r *edgev1.SignIn, p authn.Principal,
) (*session, *frame) {
	ended := edgev1.GoodbyeReason_GOODBYE_REASON_UNSPECIFIED
	if old := r.GetResume(); old != nil {
		if s := e.session(old.GetSessionId()); s != nil &&
			s.resume(l, old.GetReceived(), p, r.GetAccessToken(), r.GetAcceptGzip(), e.signedIn(id, s, true, ended)) {
			s.hear(e.deps.Now())
			e.metrics.resumed.Inc()
			return s, nil
		}
		ended = e.fates.of(old.GetSessionId(), p.UserID)
	}
	now := e.deps.Now()
	s := &session{
		edge: e, id: e.cfg.Node + "." + rand.Text(), opened: now, owner: p, principal: p, token: r.GetAccessToken(), link: l,
		gzip: r.GetAcceptGzip(), writing: true, away: true, over: make(chan struct{}), gone: make(map[string]bool),
		frames: rate.NewLimiter(rate.Limit(e.cfg.FrameRate), max(1, int(4*e.cfg.FrameRate))),
	}
	s.hear(now)
	others, cut, last := e.admit(s)
	if last != nil {
		return nil, last
	}
	for _, other := range others {
		other.end(goodbyeElsewhere(), "elsewhere")
	}
	if cut != nil {
		cut.end(goodbyeFull(), "gave_way") // its client may have come back in this moment
	}
	s.unhook = e.deps.Revocations.OnRevoke(p.SessionID, func() { e.begin(func() { s.end(goodbyeRevoked(), "revoked") }) })
	s.mu.Lock()
	if !s.ended {
		s.comeBack()
	}
	s.mu.Unlock()
	if err := e.attachAll(ctx, s); err != nil {
		e.logger.LogAttrs(ctx, slog.LevelWarn, "conversations of a session not read", slog.String("cause", err.Error()))
		s.mu.Lock()
		s.link = nil // it still has to be told why
		s.mu.Unlock()
		s.end(nil, "unavailable")
		return nil, goodbyeRefused(errs.Unavailable(errs.ReasonUnavailable, "the server cannot open sessions now").Because(err))
	}
	e.welcome(s, id, ended)
	e.tellOpened(ctx, s)
	return s, nil
}

// welcome lets frames out, SignedIn before all that came meanwhile.
func (e *Edge) welcome(s *session, id uint32, ended edgev1.GoodbyeReason) {
	first := e.signedIn(id, s, false, ended)
	s.mu.Lock()
	s.gone = nil
	s.queue = append([]*frame{first}, s.queue...)
	s.queued += len(first.plain)
	s.writing = false
	if s.ended || s.link == nil {
		s.mu.Unlock()
		return
	}
	s.flush()
}

// admit puts a session into the lists, and returns those whose place it takes: others by the policy of devices, and, where
// there would be no room, that one of its user's which nobody has been connected to for longest.
func (e *Edge) admit(s *session) (others []*session, cut *session, last *frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	mine := e.users[s.user()]
	for _, other := range mine {
		if e.replaces(s.owner, other.owner) {
			others = append(others, other)
		}
	}
	if e.draining {
		return nil, nil, goodbyeDraining()
	}
	if last = e.full(mine, len(others)); last != nil {
		if cut = longestCut(mine, others); cut == nil || e.full(mine, len(others)+1) != nil {
			return nil, nil, last
		}
	}
	e.sessions[s.id] = s
	e.users[s.user()] = append(without(mine, s), s)
	e.devices[s.owner.DeviceID] = append(without(e.devices[s.owner.DeviceID], s), s)
	e.metrics.sessions.Set(float64(len(e.sessions)))
	e.metrics.opened.Inc()
	return others, cut, nil
}

// full returns what a user is told for whom there is no room when some of theirs are gone; nil where there is. The lock is
// held.
func (e *Edge) full(mine []*session, gone int) *frame {
	switch {
	case len(e.sessions)-gone >= e.cfg.MaxSessions:
		return goodbyeFull()
	case len(mine)-gone >= e.cfg.MaxUserSessions:
		return goodbyeMany(e.cfg.MaxUserSessions)
	}
	return nil
}

// longestCut returns the session that has been waiting for its client for longest, but for some; nil where none is.
func longestCut(all, but []*session) (oldest *session) {
	var since time.Time
	for _, s := range all {
		s.mu.Lock()
		cut, at := s.link == nil && !s.last, s.cutAt
		s.mu.Unlock()
		if cut && !slices.Contains(but, s) && (oldest == nil || at.Before(since)) {
			oldest, since = s, at
		}
	}
	return oldest
}

// replaces is the policy of devices: whether a new connection takes an older one's place. A device has one, but for
// browsers, whose tabs are one device, and for tools and servers.
func (e *Edge) replaces(fresh, old authn.Principal) bool {
	if fresh.DeviceID == old.DeviceID {
		return fresh.Platform != authv1.Platform_PLATFORM_WEB && fresh.Platform != authv1.Platform_PLATFORM_CLI
	}
	switch e.cfg.Policy {
	case OneDevice:
		return true
	case OneDevicePlatform:
		return fresh.Platform == old.Platform
	default:
		return false
	}
}

// attachAll lets a session hear all of its user's conversations. It is in the lists already, so that it misses no change:
// who is taken out of a conversation while the list is read is not let in again.
func (e *Edge) attachAll(ctx context.Context, s *session) error {
	token := ""
	for {
		page, err := e.conversations.ListConversationIds(ctx, &chatv1.ListConversationIdsRequest{
			UserId: s.user(), PageToken: token,
		})
		if err != nil {
			return fmt.Errorf("list conversations: %w", err)
		}
		for _, id := range page.GetConversationIds() {
			s.attach(id)
			s.mu.Lock()
			gone := s.gone[id]
			s.mu.Unlock()
			if gone {
				s.detach(id)
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

// tellOpened lets other edges apply the policy of devices.
func (e *Edge) tellOpened(ctx context.Context, s *session) {
	event := &edgev1.SessionOpened{
		UserId: s.user(), DeviceId: s.owner.DeviceID, Platform: s.owner.Platform, SessionId: s.id,
		OpenedAt: timestamppb.New(s.opened),
	}
	if err := bus.Publish(ctx, e.deps.Bus, TopicSessionOpened, s.user(), event); err != nil {
		e.logger.LogAttrs(ctx, slog.LevelWarn, "other edges not told of a session", slog.String("cause", err.Error()))
	}
}

// onSessionOpened handles edge.session_opened.
func (e *Edge) onSessionOpened(_ context.Context, _ string, opened *edgev1.SessionOpened) error {
	fresh := authn.Principal{
		UserID: opened.GetUserId(), DeviceID: opened.GetDeviceId(), Platform: opened.GetPlatform(),
	}
	at := opened.GetOpenedAt().AsTime()
	for _, s := range e.sessionsOf(opened.GetUserId()) {
		if s.id != opened.GetSessionId() && !s.opened.After(at) && e.replaces(fresh, s.owner) {
			s.end(goodbyeElsewhere(), "elsewhere")
		}
	}
	return nil
}
