package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/stoa-live/stoa/gen/go/stoa/auth/v1/authv1connect"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/rpc"
	"github.com/stoa-live/stoa/internal/service"
)

var _ service.Service = (*Service)(nil)

const (
	// pulseInterval is how often likes are told and viewers are counted.
	pulseInterval = 500 * time.Millisecond
	// pulseTimeout is how long the bus may take for one of these; they can wait for the next time.
	pulseTimeout = time.Second
	// maxConversations is how many conversations are remembered between calls.
	maxConversations = 20_000
)

// Service is talk. It is safe for concurrent use.
type Service struct {
	cfg     Config
	deps    service.Deps
	logger  *slog.Logger
	metrics *metrics

	store   *store
	known   *lru[Conversation] // their LastSeq and Likes are old
	limits  *limits
	senders *senders
	mutes   *mutes
	hub     *hub
	likes   *likes
	outbox  *outbox
	writer  *writer

	ready         chan struct{} // closed by Start
	stop          chan struct{} // closed by Close
	working       sync.WaitGroup
	subscriptions []bus.Subscription
}

// New opens the store. Nothing runs before Start.
func New(ctx context.Context, cfg Config, deps service.Deps) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	logger := deps.Logger.With(slog.String("service", "chat"))
	metrics, err := newMetrics(deps.Metrics.Registry)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	store, err := openStore(ctx, deps)
	if err != nil {
		metrics.close()
		return nil, fmt.Errorf("chat: %w", err)
	}
	outbox := newOutbox(store, deps.Bus, metrics, logger, deps.Now)
	return &Service{
		cfg: cfg, deps: deps, logger: logger, metrics: metrics, store: store,
		known:   newLRU[Conversation](maxConversations),
		limits:  newLimits(cfg, deps.Now),
		senders: newSenders(deps.Now),
		mutes:   newMutes(store, logger, deps.Now),
		hub:     newHub(cfg, metrics),
		likes:   newLikes(store, logger),
		outbox:  outbox,
		writer:  newWriter(cfg, store, outbox, metrics, logger, deps.Now),
		ready:   make(chan struct{}),
		stop:    make(chan struct{}),
	}, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	path, chat := chatv1connect.NewChatServiceHandler(&chatHandler{s}, options)
	handle(path, expirable(chat))
	handle(chatv1connect.NewConversationServiceHandler(&conversationHandler{service: s}, options))
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{chatv1connect.ChatServiceName, chatv1connect.ConversationServiceName}
}

// Start finds auth, reads who is muted, listens to the bus, publishes what an earlier process left in the outbox, and
// opens for messages.
func (s *Service) Start(ctx context.Context) (err error) {
	s.senders.users, err = rpc.Client(ctx, s.deps.Registry, "auth", authv1connect.NewDirectoryServiceClient, s.deps.Client)
	if err != nil {
		return fmt.Errorf("start chat: %w", err)
	}
	if err := s.mutes.load(ctx); err != nil {
		return fmt.Errorf("start chat: %w", err)
	}
	// Without a group: every node hears every event.
	first, err1 := bus.Subscribe(s.deps.Bus, TopicMessageStored, "", s.hub.messageStored)
	second, err2 := bus.Subscribe(s.deps.Bus, TopicLikesAdded, "", s.hub.likesAdded)
	third, err3 := bus.Subscribe(s.deps.Bus, "live.broadcast_changed", "", s.hub.broadcastChanged)
	fourth, err4 := bus.Subscribe(s.deps.Bus, "auth.user_changed", "", s.senders.changed)
	fifth, err5 := bus.Subscribe(s.deps.Bus, TopicMessageDeleted, "", s.hub.messageDeleted)
	for _, subscription := range []bus.Subscription{first, second, third, fourth, fifth} {
		if subscription != nil {
			s.subscriptions = append(s.subscriptions, subscription)
		}
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return fmt.Errorf("start chat: %w", err)
	}
	s.working.Go(s.outbox.run)
	s.working.Go(s.writer.run)
	s.working.Go(s.beat)
	close(s.ready)
	return nil
}

// Drain ends all streams with UNAVAILABLE (DRAINING) and refuses new ones, so that clients go elsewhere before the
// server stops. Everything else goes on.
func (s *Service) Drain() { s.hub.drain() }

// Close stores and publishes what was sent, as far as ctx lasts: what is not published by then will be at the next
// start. It may be called without Start, and once.
func (s *Service) Close(ctx context.Context) error {
	s.Drain()
	close(s.stop)
	var problem error
	if s.started() == nil {
		stop := context.AfterFunc(ctx, s.outbox.hurry)
		defer stop()
		s.writer.close()
		s.outbox.close()
		s.working.Wait()
		problem = s.store.forgetRuns(context.WithoutCancel(ctx), s.outbox.takePublished())
	}
	for _, subscription := range s.subscriptions {
		problem = errors.Join(problem, subscription.Close())
	}
	s.metrics.close()
	if err := errors.Join(problem, s.store.close()); err != nil {
		return fmt.Errorf("close chat: %w", err)
	}
	return nil
}

// beat tells likes and viewers, and looks after the mutes, until Close; it tells once more then.
func (s *Service) beat() {
	ticker := time.NewTicker(pulseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.pulse(false)
			s.mutes.refresh()
		case <-s.stop:
			s.pulse(true)
			return
		}
	}
}

func (s *Service) pulse(last bool) {
	ctx, cancel := context.WithTimeout(context.Background(), pulseTimeout)
	defer cancel()
	now := s.deps.Now()
	s.likes.pulse(ctx, now, func(event *chatv1.LikesAdded) error {
		return bus.Publish(ctx, s.deps.Bus, TopicLikesAdded, event.GetConversationId(), event)
	}, last)
	s.hub.viewers(now, last, func(id string, count int) error {
		event := &chatv1.ViewersChanged{ConversationId: id, Count: int32(count)} //nolint:gosec // people on one node
		return bus.Publish(ctx, s.deps.Bus, TopicViewersChanged, id, event)
	})
}

// started refuses calls that come before Start.
func (s *Service) started() error {
	select {
	case <-s.ready:
		return nil
	default:
		return errs.Unavailable(errs.ReasonUnavailable, "the server is starting, try again in a moment")
	}
}

// conversation returns what does not change of a conversation. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) conversation(ctx context.Context, id string) (Conversation, error) {
	if c, ok := s.known.get(id); ok {
		return c, nil
	}
	c, err := s.store.conversation(ctx, id)
	if err != nil {
		return Conversation{}, err
	}
	s.known.put(id, c)
	return c, nil
}

// CreateConversation makes a conversation; making it again is no error and changes nothing.
func (s *Service) CreateConversation(
	ctx context.Context, id string, kind chatv1.ConversationKind, ownerID string,
) error {
	return s.store.createConversation(ctx, Conversation{
		ID: id, Kind: kind, OwnerID: ownerID, Epoch: firstEpoch, CreatedAt: s.deps.Now(),
	})
}

// SendMessage stores a message of p and returns it with its place; it reaches subscribers after that. The same
// clientMsgID again returns the message that was stored the first time. Errors: INVALID_ARGUMENT, NOT_FOUND
// (CONVERSATION_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN, MUTED), RESOURCE_EXHAUSTED (RATE_LIMITED), UNAVAILABLE.
func (s *Service) SendMessage(
	ctx context.Context, p authn.Principal, conversationID, clientMsgID string, content *chatv1.Content,
) (*chatv1.Message, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	content, err := cleanContent(content)
	if err != nil {
		return nil, err
	}
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return nil, err
	}
	if err := c.mayWrite(p); err != nil {
		return nil, err
	}
	if err := s.mutes.check(p.UserID, c.ID); err != nil {
		return nil, err
	}
	if err := s.limits.send(p.UserID, c.ID); err != nil {
		return nil, err
	}
	from, err := s.senders.get(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	return s.writer.send(ctx, c, from, clientMsgID, content)
}

// Like adds n likes of a user. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND), PERMISSION_DENIED (MUTED), RESOURCE_EXHAUSTED
// (RATE_LIMITED), UNAVAILABLE.
func (s *Service) Like(ctx context.Context, userID, conversationID string, n int) error {
	if err := s.started(); err != nil { // who is muted is not known before
		return err
	}
	c, err := s.conversation(ctx, conversationID)
	if err != nil {
		return err
	}
	if err := s.mutes.check(userID, c.ID); err != nil {
		return err
	}
	if err := s.limits.like(userID, n); err != nil {
		return err
	}
	return s.likes.add(c.ID, int64(n), s.deps.Now(), func() (int64, error) {
		fresh, err := s.store.conversation(ctx, c.ID)
		return fresh.Likes, err
	})
}
