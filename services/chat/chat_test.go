package chat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

func TestMigrationsMatchTheSchema(t *testing.T) {
	db := storetest.Open(t, "chat", os.DirFS("."))
	storetest.AssertMatches(t, ent.NewClient(ent.Driver(db.WriteDriver())).Schema)
}

// everyWire runs a test over each protocol and codec that clients may choose.
func everyWire(t *testing.T, run func(t *testing.T, options ...connect.ClientOption)) {
	t.Helper()
	for protocol, p := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "grpc": connect.WithGRPC(), "grpcweb": connect.WithGRPCWeb(),
	} {
		for codec, c := range map[string]connect.ClientOption{
			"binary": connect.WithClientOptions(), "json": connect.WithProtoJSON(),
		} {
			t.Run(protocol+" "+codec, func(t *testing.T) {
				t.Parallel()
				run(t, p, c)
			})
		}
	}
}

func TestTalkOnEveryWire(t *testing.T) {
	t.Parallel()
	everyWire(t, func(t *testing.T, options ...connect.ClientOption) {
		n := newWorld(t).boot(fast())
		ann := n.as("ann", options...)
		var stored []*chatv1.Message
		for i, s := range []string{" hello \r\nworld ", "你好 👋🏽"} {
			res, err := ann.SendMessage(t.Context(), sending(room, fmt.Sprint("wire-", i), s))
			if err != nil {
				t.Fatal(err)
			}
			m := res.GetMessage()
			if m.GetConversationId() != room || m.GetEpoch() != 1 || m.GetSeq() != int64(i+1) || m.GetSentAt() == nil ||
				m.GetSender().GetNickname() != "ann" || m.GetSender().GetAvatarUrl() == "" ||
				m.GetSender().GetUsername() != "" {
				t.Errorf("got %v", m)
			}
			stored = append(stored, m)
		}
		if got := stored[0].GetContent().GetText().GetText(); got != "hello \nworld" {
			t.Errorf("stored %q", got)
		}
		bob := n.watch(n.as("bob", options...), nil)
		if bob.at.GetSeq() != 2 || bob.at.GetEpoch() != 1 {
			t.Errorf("history ends at %v", bob.at)
		}
		live, err := ann.SendMessage(t.Context(), sending(room, "wire-live", "live"))
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, live.GetMessage())
		if _, err := ann.Like(t.Context(), &chatv1.LikeRequest{ConversationId: room, Count: 3}); err != nil {
			t.Fatal(err)
		}
		events := bob.until("likes came", func(events []*chatv1.Event) bool {
			return slices.ContainsFunc(events, func(e *chatv1.Event) bool { return e.GetLikes().GetTotal() == 3 })
		})
		var seen []*chatv1.Message
		for _, e := range events {
			if e.GetMessage() != nil {
				seen = append(seen, e.GetMessage())
			}
		}
		page, err := ann.ListMessages(t.Context(), &chatv1.ListMessagesRequest{ConversationId: room})
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string][]*chatv1.Message{"stream": seen, "page": page.GetMessages()} {
			if !slices.EqualFunc(got, stored, func(a, b *chatv1.Message) bool { return proto.Equal(a, b) }) {
				t.Errorf("the %s shows %v, stored was %v", name, got, stored)
			}
		}
	})
}

func TestEverySubscriberSeesEachMessageOnceInOrder(t *testing.T) {
	t.Parallel()
	const senders, each, readers = 50, 12, 8
	n := newWorld(t).boot(fast())
	var acked sync.Map
	var talking, reading sync.WaitGroup
	for s := range senders {
		c := n.as(fmt.Sprint("sender-", s))
		talking.Go(func() {
			for i := range each {
				res, err := c.SendMessage(t.Context(), sending(room, fmt.Sprint(s, "-", i), fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := acked.LoadOrStore(res.GetMessage().GetSeq(), res.GetMessage()); twice {
					t.Errorf("seq %d was acknowledged twice", res.GetMessage().GetSeq())
				}
			}
		})
	}
	for r := range readers {
		c := n.as(fmt.Sprint("reader-", r))
		reading.Go(func() {
			// Cut after some messages, and back with the last position, until all were seen.
			all := []*chatv1.Message{}
			for len(all) < senders*each {
				enough := min(senders*each, len(all)+1+rand.IntN(100))
				v := n.watch(c, &chatv1.Position{Epoch: 1, Seq: int64(len(all))})
				for _, m := range messages(v.until("some came", func(events []*chatv1.Event) bool {
					return len(all)+len(seqs(events)) >= enough
				})) {
					if m.GetSeq() != int64(len(all)+1) {
						t.Errorf("reader %d saw %d after %d", r, m.GetSeq(), len(all))
					}
					all = append(all, m)
				}
				v.stop()
				if t.Failed() {
					return
				}
			}
			last := make(map[string]string) // each sender's own order holds, too
			for _, m := range all {
				var i, before int
				_, _ = fmt.Sscan(m.GetContent().GetText().GetText(), &i)
				if _, err := fmt.Sscan(last[m.GetSender().GetId()], &before); err == nil && i != before+1 {
					t.Errorf("%s's message %d came after %d", m.GetSender().GetId(), i, before)
				}
				last[m.GetSender().GetId()] = fmt.Sprint(i)
				if want, ok := acked.Load(m.GetSeq()); ok && !proto.Equal(m, want.(*chatv1.Message)) { //nolint:forcetypeassert // stored above
					t.Errorf("acknowledged %v, delivered %v", want, m)
				}
			}
		})
	}
	talking.Wait()
	reading.Wait()
	for seq := range int64(senders * each) {
		if _, ok := acked.Load(seq + 1); !ok {
			t.Errorf("seq %d was not given", seq+1)
		}
	}
	n.assertMetric("stoa_chat_messages_stored_total", senders*each)
	db := n.raw()
	n.eventually("the outbox is empty", func() bool { return count(t, db, "outboxes") == 0 })
}

func TestResendReturnsTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	first := n.send("ann", "resend", "one")
	n.send("ann", "between", "two")
	if again := n.send("ann", "resend", "another text"); !proto.Equal(first, again) {
		t.Errorf("stored %v, again %v", first, again)
	}
	if other := n.send("bob", "resend", "mine"); other.GetSeq() != 3 {
		t.Errorf("another sender's message of the same id: %v", other)
	}
	const other = "01JROOM0000000000000000001"
	n.create(other)
	if res, err := n.as("ann").SendMessage(t.Context(), sending(other, "resend", "one")); err != nil ||
		res.GetMessage().GetSeq() != 1 {
		t.Errorf("the same id in another conversation: %v, %v", res, err)
	}
	// Twenty at once, of which some share a batch.
	got := make([]*chatv1.Message, 20)
	var all sync.WaitGroup
	for i := range got {
		c := n.as("ann")
		all.Go(func() {
			res, err := c.SendMessage(t.Context(), sending(room, "storm", fmt.Sprint(i)))
			if err != nil {
				t.Error(err)
			}
			got[i] = res.GetMessage()
		})
	}
	all.Wait()
	for _, m := range got {
		if m.GetSeq() != 4 || !proto.Equal(m, got[0]) {
			t.Errorf("got %v and %v", m, got[0])
		}
	}
	n.close()
	n = w.boot(fast())
	if again := n.send("ann", "resend", "after a restart"); !proto.Equal(first, again) {
		t.Errorf("stored %v, after a restart %v", first, again)
	}
	if next := n.send("ann", "next", "next"); next.GetSeq() != 5 {
		t.Errorf("repeats took places: %v", next)
	}
}

func TestListMessages(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	n.fill(260)
	at := func(seq int64) *chatv1.Position { return &chatv1.Position{Epoch: 1, Seq: seq} }
	before := func(p *chatv1.Position) *chatv1.ListMessagesRequest {
		return &chatv1.ListMessagesRequest{From: &chatv1.ListMessagesRequest_Before{Before: p}}
	}
	after := func(p *chatv1.Position) *chatv1.ListMessagesRequest {
		return &chatv1.ListMessagesRequest{From: &chatv1.ListMessagesRequest_After{After: p}}
	}
	for _, c := range []struct {
		name     string
		request  *chatv1.ListMessagesRequest
		size     int32
		from, to int64
		more     bool
	}{
		{"latest", &chatv1.ListMessagesRequest{}, 0, 211, 260, true},
		{"latest, too many", &chatv1.ListMessagesRequest{}, 1000, 61, 260, true},
		{"before", before(at(101)), 100, 1, 100, false},
		{"before, more", before(at(102)), 100, 2, 101, true},
		{"before the first", before(at(1)), 10, 1, 0, false},
		{"before the future", before(at(9999)), 10, 251, 260, true},
		{"before in another epoch", before(&chatv1.Position{Epoch: 7, Seq: 3}), 10, 251, 260, true},
		{"after", after(at(160)), 100, 161, 260, false},
		{"after, more", after(at(159)), 100, 160, 259, true},
		{"after nothing", after(at(0)), 10, 1, 10, true},
		{"after the last", after(at(260)), 10, 261, 260, false},
		{"after in another epoch", after(&chatv1.Position{Epoch: 7, Seq: 30}), 10, 1, 10, true},
	} {
		c.request.ConversationId, c.request.PageSize = room, c.size
		// NO_SIDE_EFFECTS: it works as an HTTP GET, too.
		res, err := n.client(n.server.Client(), "guest", 1, connect.WithHTTPGet()).ListMessages(t.Context(), c.request)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var all []int64
		for _, m := range res.GetMessages() {
			all = append(all, m.GetSeq())
		}
		assertRun(t, all, c.from, c.to)
		if res.GetHasMore() != c.more {
			t.Errorf("%s: has_more is %v", c.name, res.GetHasMore())
		}
	}
}

func TestSubscriberJoinsWhileOthersTalk(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	var all sync.WaitGroup
	talking, quiet := context.WithCancel(t.Context())
	for s := range 4 {
		c := n.as(fmt.Sprint("talker-", s))
		all.Go(func() {
			for i := 0; talking.Err() == nil; i++ {
				if _, err := c.SendMessage(t.Context(), sending(room, fmt.Sprint("t", s, "-", i), "x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 15 {
		v := n.watch(n.as("joiner"), nil)
		last := v.at.GetSeq()
		seen := seqs(v.saw(last + 20))
		assertRun(t, seen, max(1, seen[0]), seen[len(seen)-1])
		v.stop()
	}
	quiet()
	all.Wait()
}
