package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// pairs makes direct conversations of ann with others, who have each said something, and returns how far she reads in them.
func (n *node) pairs(count int) (advances []*chatv1.Advance) {
	n.t.Helper()
	for i := range count {
		other := fmt.Sprint("other-", i)
		id := n.direct(other, "ann")
		n.say(other, id, "good morning", "x")
		advances = append(advances, &chatv1.Advance{ConversationId: id, ReadSeq: 1})
	}
	return advances
}

func (n *node) advance(user string, advances ...*chatv1.Advance) ([]*chatv1.AdvancedPosition, error) {
	n.t.Helper()
	res, err := n.as(user).AdvancePositions(n.t.Context(), &chatv1.AdvancePositionsRequest{Advances: advances})
	return res.GetPositions(), err
}

// commits is how many commits the service made.
func (n *node) commits() int64 {
	n.t.Helper()
	return n.number("SELECT number FROM counters WHERE id = 1")
}

// TestAdvancesThatMoveNothing makes no commit of positions that are there, and one of each that is named often.
func TestAdvancesThatMoveNothing(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	advances := n.pairs(3)
	id := advances[0].GetConversationId()
	before := n.commits()
	wanted := append(advances,
		&chatv1.Advance{ConversationId: id, DeliveredSeq: 1}, &chatv1.Advance{ConversationId: room, ReadSeq: 1},
		&chatv1.Advance{ConversationId: "nowhere", ReadSeq: 1}, &chatv1.Advance{ConversationId: id})
	for round := range 3 {
		got, err := n.advance("ann", wanted...)
		n.must(err)
		for i, a := range wanted {
			member := a.GetConversationId() != room && a.GetConversationId() != "nowhere"
			if got[i].GetConversationId() != a.GetConversationId() || got[i].GetGone() != (a.GetConversationId() == "nowhere") ||
				(got[i].GetMembership() != nil) != member || (member && got[i].GetMembership().GetReadSeq() != 1) {
				t.Errorf("round %d: %v is answered as %v", round, a, got[i])
			}
		}
		if now := n.commits(); now != before+1 {
			t.Errorf("round %d: %d commits", round, now-before)
		}
	}
	_, err := n.advance("ann", &chatv1.Advance{ConversationId: id, ReadSeq: 1}, &chatv1.Advance{ConversationId: id, ReadSeq: 2})
	assertRefused(t, "a message that is not there", err, connect.CodeOutOfRange, "POSITION_UNKNOWN")

	told := collect[chatv1.UserEvents](n.world, "chat.user_events")
	settings := &chatv1.UpdateSettingsRequest{ConversationId: id, Settings: &chatv1.MemberSettings{Silent: true}}
	for range 3 {
		_, err := n.as("ann").UpdateSettings(t.Context(), settings)
		n.must(err)
	}
	n.say("ann", id, "the last", "x")
	n.eventually("all is told", func() bool { return n.number("SELECT count(*) FROM outboxes") == 0 })
	if got := len(told()); got != 1 {
		t.Errorf("the same settings were told %d times", got)
	}
}

// TestNobodyHoldsTheWriterUp has users do much at once: as much as a person does passes, and more waits.
func TestNobodyHoldsTheWriterUp(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	ctx := t.Context()
	advances := n.pairs(200)
	if got, err := n.advance("ann", advances...); err != nil || len(got) != 200 {
		t.Errorf("a phone that was away: %d, %v", len(got), err)
	}
	people := make([]string, 200)
	for i := range people {
		people[i] = fmt.Sprint("other-", i)
	}
	id := n.group("bob", nil, people...)
	for name, c := range map[string]struct {
		times int // that pass at once
		call  func(i int) error
	}{
		"positions": {4, func(int) error { _, err := n.advance("ann", advances...); return err }},
		"settings": {100, func(i int) error {
			_, err := n.as("ann").UpdateSettings(ctx, &chatv1.UpdateSettingsRequest{
				ConversationId: advances[0].GetConversationId(), Settings: &chatv1.MemberSettings{Silent: i%2 == 0},
			})
			return err
		}},
		"members": {1, func(i int) error { // besides those whom the group was made with
			_, err := n.groups("bob").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: id, UserIds: people})
			return err
		}},
		"groups": {2, func(i int) error {
			_, err := n.groups("cid").CreateGroup(ctx, &chatv1.CreateGroupRequest{RequestId: fmt.Sprint("a-group-", i), Title: "x", UserIds: people})
			return err
		}},
	} {
		for i := range c.times {
			if err := c.call(i); err != nil {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
		wait := time.Duration(0)
		for i := c.times; wait == 0 && i < 2*c.times+10; i++ { // the test takes its time, too
			if err := c.call(i); err != nil {
				wait = retryAfter(t, err)
			}
		}
		if wait == 0 || wait > 10*time.Second {
			t.Errorf("%s: then one waits for %v", name, wait)
		}
		n.clock.advance(wait)
		if err := c.call(0); err != nil {
			t.Errorf("%s after waiting: %v", name, err)
		}
	}
}

// TestABatchEndsByItsWeight has one who does much wait with others: their messages are not in one commit with all of it.
func TestABatchEndsByItsWeight(t *testing.T) {
	t.Parallel()
	cfg := fast()
	cfg.MaxBatch = 100
	n := newWorld(t).boot(cfg)
	advances := n.pairs(60)
	acts := []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := n.as("bob").SendMessage(ctx, sending(room, "before", "x"))
			return err
		},
	}
	for i := range 3 { // of weight 40 each
		acts = append(acts, func(ctx context.Context) error {
			_, err := n.as("ann").AdvancePositions(ctx, &chatv1.AdvancePositionsRequest{Advances: advances[20*i : 20*i+20]})
			return err
		})
	}
	acts = append(acts, func(ctx context.Context) error {
		_, err := n.as("bob").SendMessage(ctx, sending(room, "behind", "x"))
		return err
	})
	before := n.commits()
	for _, err := range n.together(acts...) {
		n.must(err)
	}
	if commits := n.commits() - before; commits != 3 { // one that waits, the first three acts, and the others
		t.Errorf("%d commits", commits)
	}
	// What is heavier than a batch has one of its own.
	for _, a := range advances {
		n.say("ann", a.GetConversationId(), "an answer", "x")
		a.ReadSeq = 2
	}
	before = n.commits()
	for _, err := range n.together(
		func(context.Context) error { _, err := n.advance("ann", advances...); return err },
		acts[0], // stored before
	) {
		n.must(err)
	}
	if commits := n.commits() - before; commits != 3 {
		t.Errorf("%d commits with a heavy one", commits)
	}
}

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

// TestManyRecallsInOneCommit takes away two messages with many answers at once: what is too much for one commit follows.
func TestManyRecallsInOneCommit(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.group("ann", nil, "bob")
	quoted := []int64{n.say("ann", id, "the first", "x").GetSeq(), n.say("ann", id, "the second", "x").GetSeq()}
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			r := sending(id, fmt.Sprint("answer-", i), "x")
			r.ReplyToSeq = quoted[i%2]
			_, err := n.as("bob").SendMessage(t.Context(), r)
			n.must(err)
		})
	}
	all.Wait()
	recall := func(seq int64) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := n.as("ann").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: seq})
			return err
		}
	}
	before := n.commits()
	for _, err := range n.together(recall(quoted[0]), recall(quoted[1])) {
		n.must(err)
	}
	n.eventually("no answer quotes them", func() bool {
		return n.number("SELECT count(*) FROM messages WHERE quoted_seq > 0") == 0 && n.number("SELECT count(*) FROM erasures") == 0
	})
	if commits := n.commits() - before; commits != 3 { // one that waits, the recalls, and the rest
		t.Errorf("%d commits", commits)
	}
	for _, m := range n.page("bob", id) {
		if m.GetReplyTo().GetExcerpt() != "" {
			t.Errorf("%v is quoted", m.GetReplyTo())
		}
	}
}
