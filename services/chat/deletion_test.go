package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

func at(seq int64) *chatv1.Position { return &chatv1.Position{Epoch: 1, Seq: seq} }

// takeAway deletes a message of the room, which must succeed, and returns what it was.
func (n *node) takeAway(seq int64) *chatv1.Message {
	n.t.Helper()
	res, err := n.neighbour("admin").DeleteMessage(n.t.Context(), &chatv1.DeleteMessageRequest{
		ConversationId: room, Position: at(seq),
	})
	n.must(err)
	return res.GetMessage()
}

// history returns the latest messages of the room as a page shows them.
func (n *node) history() []*chatv1.Message {
	n.t.Helper()
	res, err := n.guest("reader").ListMessages(n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: room})
	n.must(err)
	return res.GetMessages()
}

// messagesTold collects the new messages that the bus tells, deletionsTold those that it says were taken away.
func messagesTold(w *world) func() []*chatv1.Message {
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	return func() (all []*chatv1.Message) {
		for _, events := range told() {
			all = append(all, messages(events.GetEvents())...)
		}
		return all
	}
}

func deletionsTold(w *world) func() []*chatv1.Message {
	told := collect[chatv1.ConversationEvents](w, chat.TopicConversationEvents)
	return func() (all []*chatv1.Message) {
		for _, events := range told() {
			for _, e := range events.GetEvents() {
				if e.GetMessageChanged().GetDeleted() {
					all = append(all, e.GetMessageChanged())
				}
			}
		}
		return all
	}
}

// tellAgain publishes a message that was published before: a bus delivers at least once.
func tellAgain(ctx context.Context, w *world, m *chatv1.Message) error {
	return bus.Publish(ctx, w.bus, chat.TopicConversationEvents, m.GetConversationId(), &chatv1.ConversationEvents{
		ConversationId: m.GetConversationId(), Events: []*chatv1.Event{{
			ConversationId: m.GetConversationId(), Kind: &chatv1.Event_Message{Message: m},
		}},
	})
}

// left is what a message must be after it was taken away.
func left(was *chatv1.Message) *chatv1.Message {
	return &chatv1.Message{
		ConversationId: was.GetConversationId(), Epoch: was.GetEpoch(), Seq: was.GetSeq(), SentAt: was.GetSentAt(),
		Deleted: true, Change: was.GetChange(),
	}
}

// leftAt is left after a change of the conversation.
func leftAt(was *chatv1.Message, change int64) *chatv1.Message {
	out := left(was)
	out.Change = change
	return out
}

func messages(events []*chatv1.Event) (all []*chatv1.Message) {
	for _, e := range events {
		if m := e.GetMessage(); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// sawDeletion waits until the watcher was told that a message was taken away.
func (v *watcher) sawDeletion(seq int64) []*chatv1.Event {
	v.w.t.Helper()
	return v.until("a message was taken away", func(events []*chatv1.Event) bool {
		return slices.ContainsFunc(events, func(e *chatv1.Event) bool {
			return e.GetMessageChanged().GetDeleted() && e.GetMessageChanged().GetSeq() == seq
		})
	})
}

func assertMessages(t *testing.T, where string, got, want []*chatv1.Message) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b *chatv1.Message) bool { return proto.Equal(a, b) }) {
		t.Errorf("%s shows %v, want %v", where, got, want)
	}
}

func TestMessageIsTakenAway(t *testing.T) {
	t.Parallel()
	everyWire(t, func(t *testing.T, options ...connect.ClientOption) {
		w := newWorld(t)
		n := w.boot(fast())
		told := deletionsTold(w)
		v := n.watch(n.as("bob", options...), nil)
		first, second, third := n.send("ann", "one", "x"), n.send("ann", "two", "awful"), n.send("ann", "three", "x")
		v.saw(3)
		if was := n.takeAway(2); !proto.Equal(was, second) {
			t.Errorf("took away %v, want %v", was, second)
		}
		assertMessages(t, "who was there", messages(v.sawDeletion(2)), []*chatv1.Message{first, second, third})
		want := []*chatv1.Message{first, leftAt(second, 1), third}
		assertMessages(t, "a page", n.history(), want)
		late := n.watch(n.as("cid", options...), nil)
		assertMessages(t, "a greeting", messages(late.all()), want)
		resumed := n.watch(n.as("dan", options...), at(1))
		assertMessages(t, "a resumed stream", messages(resumed.all()), want[1:])

		if again := n.takeAway(2); !proto.Equal(again, leftAt(second, 1)) {
			t.Errorf("took away again %v", again)
		}
		if repeat := n.send("ann", "two", "awful"); !proto.Equal(repeat, leftAt(second, 1)) {
			t.Errorf("the sender's repeat is %v", repeat)
		}
		if next := n.send("ann", "four", "x"); next.GetSeq() != 4 {
			t.Errorf("the next is %v", next)
		}
		n.takeAway(4)
		v.sawDeletion(4)
		n.eventually("the bus has told", func() bool { return len(told()) >= 2 })
		for i, e := range told() { // each once
			if want := []int64{2, 4}[i]; e.GetConversationId() != room || e.GetSeq() != want {
				t.Errorf("the bus told %v, want %d", e, want)
			}
		}
	})
}

func TestWhatCannotBeTakenAway(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	n.send("ann", "only", "x")
	remove := func(c chatv1connect.ConversationServiceClient, conversation string, p *chatv1.Position) error {
		_, err := c.DeleteMessage(t.Context(), &chatv1.DeleteMessageRequest{ConversationId: conversation, Position: p})
		return err
	}
	admin := n.neighbour("admin")
	for name, p := range map[string]*chatv1.Position{
		"of the future": at(2), "of no place": at(0), "of another epoch": {Epoch: 2, Seq: 1}, "of no epoch": {Seq: 1},
	} {
		if err := remove(admin, room, p); !errs.Is(err, connect.CodeNotFound, chat.ReasonMessageNotFound) {
			t.Errorf("a message %s: %v", name, err)
		}
	}
	if err := remove(admin, "01JNOBODY00000000000000000", at(1)); !errs.Is(err, connect.CodeNotFound, chat.ReasonConversationNotFound) {
		t.Errorf("of no conversation: %v", err)
	}
	for name, p := range map[string]*chatv1.Position{"no position": nil, "below 0": at(-1)} {
		if err := remove(admin, room, p); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	person := chatv1connect.NewConversationServiceClient(n.server.Client(), n.server.URL(),
		n.As(t, n.User("root", authv1.Role_ROLE_ADMIN)))
	if err := remove(person, room, at(1)); !errs.Is(err, connect.CodePermissionDenied, errs.ReasonForbidden) {
		t.Errorf("a person: %v", err)
	}
	if m := n.history()[0]; m.GetDeleted() {
		t.Errorf("a refusal took %v away", m)
	}
}

func TestNothingOfItIsLeftInTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	const nickname, words, shown = "Xanthippe-of-Athens", "the-most-awful-words", "words-that-stay"
	n.fill(100)
	w.users.set(func(d *directory) { d.names["ann"] = nickname })
	n.send("ann", "awful", strings.Repeat(words+" ", 20))
	n.send("bob", "stays", shown)
	n.fill(100)
	n.takeAway(101)
	n.close() // the log beside the file goes into it
	all := w.onDisk()
	for text, there := range map[string]bool{nickname: false, words: false, shown: true} {
		if bytes.Contains(all, []byte(text)) != there {
			t.Errorf("%q in the files: %v", text, !there)
		}
	}
	n = w.boot(fast())
	if m := n.history(); !m[len(m)-2].GetDeleted() {
		t.Errorf("after a restart %v", m)
	}
}

func TestMessageThatWaitsForTheBusIsTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published := messagesTold(w)
	told := deletionsTold(w)
	n := w.boot(fast())
	v := n.watch(n.guest("reader"), nil)
	w.bus.refuse.Store(true)
	first, second := n.send("ann", "awful", "awful"), n.send("ann", "good", "good")
	n.takeAway(1)
	w.bus.refuse.Store(false)
	assertMessages(t, "a subscriber", messages(v.saw(2)), []*chatv1.Message{left(first), second})
	v.sawDeletion(1)
	n.eventually("the bus has told", func() bool { return len(told()) == 1 })

	w.bus.refuse.Store(true)
	third := n.send("ann", "awful-3", "awful")
	n.takeAway(3)
	n.close() // as good as a crash for the outbox
	w.bus.refuse.Store(false)
	n = w.boot(fast())
	n.eventually("what waited was told", func() bool { return len(published()) >= 3 && len(told()) >= 2 })
	var all []*chatv1.Message
	all = append(all, published()...)
	assertMessages(t, "the bus", all, []*chatv1.Message{left(first), second, leftAt(third, 2)})
	db := w.raw()
	n.eventually("the outbox is empty", func() bool { return count(t, db, "outboxes") == 0 })
	if len(told()) != 2 {
		t.Errorf("told %v", told())
	}
}

func TestDeletionOvertakesItsMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(fast())
	v := n.watch(n.guest("reader"), nil)
	w.bus.lose.Store(true)
	first, second := n.send("ann", "overtaken", "awful"), n.send("ann", "before", "x")
	db := w.raw()
	n.eventually("the bus has lost them", func() bool { return count(t, db, "outboxes") == 0 })
	w.bus.lose.Store(false)
	n.takeAway(1)
	v.sawDeletion(1)
	for _, m := range []*chatv1.Message{first, second} { // and here they come
		n.must(tellAgain(t.Context(), w, m))
	}
	third := n.send("ann", "after", "x")
	assertMessages(t, "a subscriber", messages(v.saw(3)), []*chatv1.Message{leftAt(first, 1), second, third})
}

func TestDeletedTextNeverComesBack(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 30
	n := newWorld(t).boot(fast())
	watchers := []*watcher{n.watch(n.guest("first"), nil)}
	var all sync.WaitGroup
	for s := range senders {
		c := n.as(fmt.Sprint("sender-", s))
		all.Go(func() {
			for i := range each {
				res, err := c.SendMessage(t.Context(), sending(room, fmt.Sprint("storm-", s, "-", i), "x"))
				if err != nil {
					t.Error(err)
					return
				}
				if seq := res.GetMessage().GetSeq(); seq%2 == 0 { // at once, while it is still being told
					if _, err := n.neighbour("admin").DeleteMessage(t.Context(), &chatv1.DeleteMessageRequest{
						ConversationId: room, Position: at(seq),
					}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 6 {
		watchers = append(watchers, n.watch(n.guest(fmt.Sprint("joiner-", i)), at(0)))
		watchers[len(watchers)-1].saw(int64(20 * (i + 1)))
	}
	all.Wait()
	const total = senders * each
	for _, m := range n.history() {
		if m.GetDeleted() != (m.GetSeq()%2 == 0) || m.GetDeleted() != (m.GetContent() == nil) {
			t.Errorf("history shows %v", m)
		}
	}
	for _, v := range watchers {
		gone := make(map[int64]bool)
		events := v.until("every deletion is known", func(events []*chatv1.Event) bool {
			for _, e := range events {
				if e.GetMessageChanged().GetDeleted() {
					gone[e.GetMessageChanged().GetSeq()] = true
				}
				if e.GetMessage().GetDeleted() {
					gone[e.GetMessage().GetSeq()] = true
				}
			}
			return len(gone) == total/2 && len(seqs(events)) == total
		})
		assertRun(t, seqs(events), 1, total)
		clear(gone)
		for _, e := range events {
			if e.GetMessageChanged().GetDeleted() {
				gone[e.GetMessageChanged().GetSeq()] = true
			}
			if m := e.GetMessage(); gone[m.GetSeq()] && !m.GetDeleted() {
				t.Errorf("%v came after it was taken away", m)
			}
		}
	}
}
