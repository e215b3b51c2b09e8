package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/services/chat"
)

const day = 24 * time.Hour

// TestTimesDecideNoOrder has the clock jump a day to and fro between messages, changes, positions and restarts.
func TestTimesDecideNoOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	id := n.group("ann", nil, "bob")
	v := n.watchIn(n.as("ann"), id, nil)
	published := messagesTold(w)
	p := n.phone("ann")
	p.sync(100)
	var sent []time.Time
	jumps := []time.Duration{0, day, -2 * day, day, -day, 3 * day, -3 * day}
	for i, jump := range jumps {
		n.clock.advance(jump)
		m := n.say("bob", id, fmt.Sprint("jump-", i), "x")
		sent = append(sent, m.GetSentAt().AsTime())
		n.edit("bob", id, m.GetSeq(), "y")
		if m.GetSeq() != int64(i+2) {
			t.Errorf("message %d has the number %d", i, m.GetSeq())
		}
		p.sync(2)
		p.assertWhole(id)
		if _, err := n.as("ann").AdvancePositions(t.Context(), &chatv1.AdvancePositionsRequest{
			Advances: []*chatv1.Advance{{ConversationId: id, ReadSeq: m.GetSeq()}},
		}); err != nil {
			t.Error(err)
		}
	}
	if slices.IsSortedFunc(sent, time.Time.Compare) {
		t.Fatal("the clock did not jump")
	}
	total := int64(len(jumps) + 1)
	assertRun(t, n.reads("ann", id), 1, total)
	assertRun(t, seqs(v.saw(total)), 1, total)
	if m := n.state("ann", id).GetMembership(); m.GetReadSeq() != total || m.GetUnreadCount() != 0 {
		t.Errorf("she has read %v", m)
	}

	// What waited in the outbox when the process ended is told, wherever the clock went meanwhile.
	for i, jump := range []time.Duration{-day, day} {
		w.bus.refuse.Store(true)
		m := n.say("bob", id, fmt.Sprint("waits-", i), "x")
		n.close()
		n.clock.advance(jump)
		w.bus.refuse.Store(false)
		n = w.boot(fast())
		n.eventually("it was told", func() bool {
			return slices.ContainsFunc(published(), func(told *chatv1.Message) bool { return told.GetSeq() == m.GetSeq() })
		})
		if next := n.say("bob", id, fmt.Sprint("after-", i), "x"); next.GetSeq() != m.GetSeq()+1 {
			t.Errorf("after %d comes %d", m.GetSeq(), next.GetSeq())
		}
	}
	p.n = n
	p.sync(2)
	p.assertWhole(id)
}

// TestLimitsOfTimeWhenTheClockJumps looks at mutes, edits and recalls after each jump.
func TestLimitsOfTimeWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		jump                time.Duration
		muted, late, recall bool // still muted for an hour; too late to edit; too late to recall
	}{
		"not at all":           {0, true, false, false},
		"a day back":           {-day, true, false, false},
		"three minutes on":     {3 * time.Minute, true, false, true},
		"a day on":             {day + time.Second, false, true, true},
		"a year back":          {-365 * day, true, false, false},
		"a day back and forth": {time.Hour - time.Second, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			n := w.boot(fast())
			ctx := t.Context()
			id, pair := n.group("ann", nil, "bob", "cid"), n.direct("bob", "cid")
			until := n.clock.now().Add(time.Hour)
			_, err := n.groups("ann").MuteMember(ctx, &chatv1.MuteMemberRequest{ConversationId: id, UserId: "cid", Until: timestamppb.New(until)})
			n.must(err)
			n.mute("dan", "", "spam", until)
			edited, recalled := n.say("bob", pair, "edited", "x").GetSeq(), n.say("bob", pair, "recalled", "x").GetSeq()
			if name == "a day back and forth" {
				n.clock.advance(-day)
				n.clock.advance(day)
			}
			n.clock.advance(c.jump)
			assert := func(what string, err error, refused bool, code connect.Code, reason string) {
				t.Helper()
				if refused {
					assertRefused(t, what, err, code, reason)
				} else if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err = n.as("cid").SendMessage(ctx, sending(id, "muted one", "x"))
			assert("a member's mute", err, c.muted, connect.CodePermissionDenied, chat.ReasonMuted)
			_, err = n.as("dan").SendMessage(ctx, sending(room, "muted one", "x"))
			assert("a mute of the staff", err, c.muted, connect.CodePermissionDenied, chat.ReasonMuted)
			_, err = n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: pair, Seq: edited, Content: text("y")})
			assert("an edit", err, c.late, connect.CodeFailedPrecondition, chat.ReasonTooLate)
			_, err = n.as("bob").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: pair, Seq: recalled})
			assert("a recall", err, c.recall, connect.CodeFailedPrecondition, chat.ReasonTooLate)
		})
	}
}

// TestNobodyIsHeldUpByAClockThatWentBack has people write as fast as they may, and the clock put back a day.
func TestNobodyIsHeldUpByAClockThatWentBack(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(chat.Config{UserRate: 1, UserBurst: 2, RoomRate: 1e9, RoomBurst: 1e9})
	send := func(id string) error {
		_, err := n.as("ann").SendMessage(t.Context(), sending(room, id, "x"))
		return err
	}
	like := func(count int32, total int64) {
		t.Helper()
		_, err := n.as("ann").Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: count})
		n.must(err)
		n.eventually("likes are stored", func() bool { return n.number("SELECT likes FROM conversations WHERE id = ?", room) == total })
	}
	like(2, 2)
	n.must(send("the first"))
	n.must(send("the second"))
	retryAfter(t, send("too fast"))
	n.clock.advance(-day)
	n.clock.advance(2 * time.Second)
	if err := send("a moment later"); err != nil {
		if wait := retryAfter(t, err); wait > 2*time.Second {
			t.Errorf("she waits for %v", wait)
		}
	}
	n.clock.advance(2 * time.Second)
	n.must(send("another moment later"))
	like(3, 5) // are stored as before
}
