package chat_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// wall is a peer that takes a few events and then none: Send waits until it is expired.
type wall struct {
	takes   int
	expired chan struct{}
	once    sync.Once
}

func (w *wall) Send(*chatv1.Event) error {
	if w.takes > 0 {
		w.takes--
		return nil
	}
	<-w.expired
	return errors.New("write deadline")
}

func (w *wall) Expire(time.Duration) { w.once.Do(func() { close(w.expired) }) }

// TestPeerThatStopsInHistoryIsCut holds a subscriber that stops reading while it is greeted, when no queue can overflow.
func TestPeerThatStopsInHistoryIsCut(t *testing.T) {
	cfg := fast()
	cfg.Patience = 50 * time.Millisecond
	n := newWorld(t).boot(cfg)
	n.create(room)
	n.fill(10)
	err := n.service.Subscribe(t.Context(), n.User("ann", authv1.Role_ROLE_USER), room, nil, false, &wall{takes: 3, expired: make(chan struct{})})
	if !errs.Is(err, connect.CodeResourceExhausted, chat.ReasonSlowConsumer) {
		t.Errorf("the subscription ended with %v, want %s", err, chat.ReasonSlowConsumer)
	}
}
