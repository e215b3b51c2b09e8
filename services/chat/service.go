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
)

// Service is talk. It is safe for concurrent use.
type Service struct {
	cfg     Config
	deps    service.Deps
	logger  *slog.Logger
	metrics *metrics

	store   *store
	facts   *facts
	limits  *limits
	senders *senders
	mutes   *mutes
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
		facts:   newFacts(),
		limits:  newLimits(cfg, deps.Now),
		senders: newSenders(deps.Now),
		mutes:   newMutes(store, logger, deps.Now),
		likes:   newLikes(store, logger),
		outbox:  outbox,
		writer:  newWriter(cfg, store, outbox, metrics, logger, deps.Now),
		ready:   make(chan struct{}),
		stop:    make(chan struct{}),
	}, nil
}

// Mount implements service.Service.
func (s *Service) Mount(handle func(path string, handler http.Handler), options connect.HandlerOption) {
	handle(chatv1connect.NewChatServiceHandler(&chatHandler{s}, options))
	handle(chatv1connect.NewGroupServiceHandler(&groupHandler{s}, options))
	handle(chatv1connect.NewConversationServiceHandler(&conversationHandler{service: s}, options))
}

// Names implements service.Service.
func (s *Service) Names() []string {
	return []string{chatv1connect.ChatServiceName, chatv1connect.GroupServiceName, chatv1connect.ConversationServiceName}
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
	users, err := bus.Subscribe(s.deps.Bus, "auth.user_changed", "", s.senders.changed)
	if err != nil {
		return fmt.Errorf("start chat: %w", err)
	}
	s.subscriptions = append(s.subscriptions, users)
	s.working.Go(s.outbox.run)
	s.working.Go(s.writer.run)
	s.working.Go(s.beat)
	s.working.Go(s.eraseRest)
	close(s.ready)
	return nil
}

// Close stores and publishes what was sent, as far as ctx lasts: what is not published by then will be at the next
// start. It may be called without Start, and once.
func (s *Service) Close(ctx context.Context) error {
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
	s.likes.pulse(ctx, now, func(id string, event *chatv1.Likes) error {
		return bus.Publish(ctx, s.deps.Bus, TopicConversationEvents, id, &chatv1.ConversationEvents{
			ConversationId: id, Events: []*chatv1.Event{{ConversationId: id, Kind: &chatv1.Event_Likes{Likes: event}}},
		})
	}, last)
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

// CreateConversation makes a conversation; making it again is no error and changes nothing.
func (s *Service) CreateConversation(
	ctx context.Context, id string, kind chatv1.ConversationKind, ownerID string,
) error {
	return s.store.createConversation(ctx, Conversation{
		ID: id, Kind: kind, OwnerID: ownerID, Epoch: firstEpoch, CreatedAt: s.deps.Now(),
	})
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
	if c.Kind != liveRoom {
		return conversationNotFound()
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
