package chat_test

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// TestForwardsTakeTheirPlaces forwards more messages than somebody may send at once: it takes the places of all of them.
func TestForwardsTakeTheirPlaces(t *testing.T) {
	t.Parallel()
	cfg := fast()
	cfg.UserRate, cfg.UserBurst = 1, 5
	n := newWorld(t).boot(cfg)
	to := n.direct("ann", "bob")
	var seqs []int64
	for i := range 50 {
		seqs = append(seqs, n.send(fmt.Sprint("other-", i), "good morning", "x").GetSeq())
	}
	forward := func(i int) error {
		_, err := n.as("ann").ForwardMessages(t.Context(), &chatv1.ForwardMessagesRequest{
			FromConversationId: room, Seqs: seqs, ToConversationId: to, RequestId: fmt.Sprint("forward-", i),
		})
		return err
	}
	n.must(forward(0))
	if wait := retryAfter(t, forward(1)); wait < 45*time.Second || wait > 50*time.Second {
		t.Errorf("to forward again, ann waits for %v", wait)
	}
	_, err := n.as("ann").SendMessage(t.Context(), sending(to, "too soon", "x"))
	if wait := retryAfter(t, err); wait < 41*time.Second || wait > 46*time.Second {
		t.Errorf("to write, ann waits for %v", wait)
	}
	n.clock.advance(47 * time.Second)
	n.say("ann", to, "in time", "x")
	if err := forward(1); !errs.Is(err, connect.CodeResourceExhausted, errs.ReasonRateLimited) {
		t.Errorf("a forward with less than a burst: %v", err)
	}
}
