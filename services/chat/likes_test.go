package chat_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestLikesSurviveABrokenDisk has the totals fail to be written for a while: none is forgotten, and none added twice.
func TestLikesSurviveABrokenDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := &lines{}
	w.rpc.Logger = slog.New(slog.NewTextHandler(log, nil))
	n := w.boot(fast())
	like := func() {
		t.Helper()
		_, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 20})
		n.must(err)
	}
	stored := func() int64 { return w.number("SELECT likes FROM conversations WHERE id = ?", room) }
	w.breaks("conversations", "new.likes <> old.likes")
	like()
	n.clock.advance(5 * time.Second)
	n.eventually("it was tried", func() bool { return strings.Contains(log.String(), "likes not stored yet") })
	like()
	w.mend("conversations")
	n.clock.advance(5 * time.Second)
	n.eventually("all are stored", func() bool { return stored() == 40 })
	n.close()
	if got := stored(); got != 40 {
		t.Errorf("%d likes are stored, want 40", got)
	}
}
