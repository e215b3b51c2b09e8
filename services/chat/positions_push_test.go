package chat_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/services/chat"
)

// TestReadingIsToldInGroupsUpToASize: everybody hears how far somebody has read in a group of 500, and in a larger one only
// their own devices do.
func TestReadingIsToldInGroupsUpToASize(t *testing.T) {
	t.Parallel()
	for members, told := range map[int]int{500: 1, 501: 0} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			t.Parallel()
			const reader = "m-000001"
			w := newWorld(t)
			n, id := w.crowd(members)
			var own atomic.Int64
			s, err := bus.Subscribe(w.bus, chat.TopicUserEvents, "", func(_ context.Context, user string, e *chatv1.UserEvents) error {
				for _, event := range e.GetEvents() {
					if user == reader && event.GetState().GetConversation().GetId() == id {
						own.Store(event.GetState().GetMembership().GetReadSeq())
					}
				}
				return nil
			})
			w.must(err)
			t.Cleanup(func() { w.must(s.Close()) })
			v := w.watchIn(n.as("ann"), id, nil)
			m := n.say("ann", id, "to-be-read", "x")
			_, err = n.as(reader).AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{
				Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: m.GetSeq()}},
			})
			n.must(err)
			reads := 0
			for _, e := range v.saw(n.say("ann", id, "what-comes-after-it", "x").GetSeq()) {
				if r := e.GetRead(); r != nil {
					reads++
					if r.GetUserId() != reader || r.GetReadSeq() != m.GetSeq() {
						t.Errorf("told %v", r)
					}
				}
			}
			if reads != told {
				t.Errorf("it was told %d times, want %d", reads, told)
			}
			w.eventually("their own devices know", func() bool { return own.Load() == m.GetSeq() })
		})
	}
}
