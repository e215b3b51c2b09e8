package chat_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

var limited = refusal{connect.CodeResourceExhausted, errs.ReasonRateLimited}

// happening is something that has a message be refused from then on.
type happening struct {
	name string
	want refusal
	cfg  chat.Config
	does func(c *cast) error
}

// happenings are of a message of member's to the cast's group, and admin's where it means everyone.
func happenings() []happening {
	settled := func(_ any, err error) error { return err }
	return []happening{
		{"the group mutes the sender", muted, fast(), func(c *cast) error {
			return settled(c.groups("owner").MuteMember(c.t.Context(), &chatv1.MuteMemberRequest{
				ConversationId: c.id, UserId: "member", Until: timestamppb.New(c.clock.now().Add(time.Hour)),
			}))
		}},
		{"the staff mute the sender", muted, fast(), func(c *cast) error {
			c.mute("member", "", "spam", time.Time{})
			return nil
		}},
		{"everyone is muted", muted, fast(), func(c *cast) error {
			return settled(c.groups("owner").UpdateGroup(c.t.Context(), &chatv1.UpdateGroupRequest{
				ConversationId: c.id, Settings: &chatv1.GroupSettings{MutedAll: true},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.muted_all"}},
			}))
		}},
		{"the group ends", ended, fast(), func(c *cast) error {
			return settled(c.groups("owner").DisbandGroup(c.t.Context(), &chatv1.DisbandGroupRequest{ConversationId: c.id}))
		}},
		{"who is mentioned leaves", refusal{connect.CodeInvalidArgument, errs.ReasonInvalidArgument}, fast(), func(c *cast) error {
			return settled(c.groups("member2").LeaveGroup(c.t.Context(), &chatv1.LeaveGroupRequest{ConversationId: c.id}))
		}},
		{"what is quoted is hidden", refusal{connect.CodeNotFound, chat.ReasonMessageNotFound}, fast(), func(c *cast) error {
			return settled(c.as("member").HideMessages(c.t.Context(), &chatv1.HideMessagesRequest{ConversationId: c.id, UpToSeq: c.said}))
		}},
		{"the sender is too fast", limited, slow(2), func(*cast) error { return nil }}, // the cast has said something, too
	}
}

// slow lets a user write so many messages at once, and no more while a test lasts.
func slow(burst int) chat.Config {
	cfg := fast()
	cfg.UserRate, cfg.UserBurst = 0.001, burst
	return cfg
}

// TestARepeatIsAnsweredWhateverHappened sends a message whose answer is lost, and again when it would be refused.
func TestARepeatIsAnsweredWhateverHappened(t *testing.T) {
	t.Parallel()
	for _, h := range happenings() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).boot(h.cfg).cast(nil)
			send := func(id string) (*chatv1.Message, error) {
				r := sending(c.id, id, "do you hear me?")
				r.Mentions, r.ReplyToSeq = &chatv1.Mentions{UserIds: []string{"member2"}}, c.said
				res, err := c.as("member").SendMessage(t.Context(), r)
				return res.GetMessage(), err
			}
			first, err := send("repeated")
			c.must(err)
			c.must(h.does(c))
			again, err := send("repeated")
			if err != nil || !proto.Equal(again, first) {
				t.Errorf("got %v, %v, want %v", again, err, first)
			}
			_, err = send("another")
			h.want.assert(t, "another message", err)
			if said := c.by("member"); !slices.Equal(said, []int64{c.said, first.GetSeq()}) {
				t.Errorf("the member said %v", said)
			}
		})
	}
}

// by returns the numbers of the messages that a user wrote, as the owner sees them.
func (c *cast) by(user string) (seqs []int64) {
	c.t.Helper()
	for _, m := range c.page("owner", c.id) {
		if m.GetSender().GetId() == user {
			seqs = append(seqs, m.GetSeq())
		}
	}
	return seqs
}

// TestARepeatInTheBatchThatRefusesIt has a message, what forbids it, and the message again wait for one and the same commit.
func TestARepeatInTheBatchThatRefusesIt(t *testing.T) {
	t.Parallel()
	for _, h := range happenings() {
		if h.want == limited { // is known before the batch
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).boot(h.cfg).cast(nil)
			var got [2]*chatv1.Message
			send := func(i int) func(context.Context) error {
				return func(ctx context.Context) error {
					r := sending(c.id, "repeated", "x")
					r.Mentions, r.ReplyToSeq = &chatv1.Mentions{UserIds: []string{"member2"}}, c.said
					res, err := c.as("member").SendMessage(ctx, r)
					got[i] = res.GetMessage()
					return err
				}
			}
			if h.name == "the staff mute the sender" { // that needs no batch
				release, err := c.service.Hold()
				c.must(err)
				done := make(chan error, 1)
				go func() { done <- send(0)(t.Context()) }()
				c.eventually("it waits", func() bool { return c.service.Waiting() > 0 })
				release()
				c.must(<-done)
				c.must(h.does(c))
				c.must(send(1)(t.Context()))
			} else {
				for _, err := range c.together(send(0), func(context.Context) error { return h.does(c) }, send(1)) {
					c.must(err)
				}
			}
			if !proto.Equal(got[0], got[1]) || len(c.by("member")) != 2 {
				t.Errorf("got %v and %v", got[0], got[1])
			}
		})
	}
}

// TestARepeatWhileItsFirstWaits sends a message again while it waits for the writer, when who is mentioned has left
// meanwhile: the refusal waits for its turn, too.
func TestARepeatWhileItsFirstWaits(t *testing.T) {
	t.Parallel()
	cfg := fast()
	cfg.MaxBatch = 1
	c := newWorld(t).boot(cfg).cast(nil)
	type answer struct {
		m   *chatv1.Message
		err error
	}
	send := func() chan answer {
		done := make(chan answer, 1)
		go func() {
			r := sending(c.id, "repeated", "x")
			r.Mentions = &chatv1.Mentions{UserIds: []string{"member2"}}
			res, err := c.as("member").SendMessage(context.WithoutCancel(t.Context()), r)
			done <- answer{res.GetMessage(), err}
		}()
		return done
	}
	waits := func(n int) { c.eventually("it waits", func() bool { return c.service.Waiting() >= n }) }
	release, err := c.service.Hold()
	c.must(err)
	left := make(chan error, 1)
	go func() {
		_, err := c.groups("member2").LeaveGroup(context.WithoutCancel(t.Context()), &chatv1.LeaveGroupRequest{ConversationId: c.id})
		left <- err
	}()
	waits(1)
	held := make(chan func(), 1)
	go func() {
		release, err := c.service.Hold()
		if err != nil {
			t.Error(err)
		}
		held <- release
	}()
	waits(2)
	first := send()
	waits(3)
	release()
	release = <-held // they have left, and the message waits
	again := send()
	c.eventually("the repeat waits or is refused", func() bool { return c.service.Waiting() > 1 || len(again) > 0 })
	release()
	one, other := <-first, <-again
	if one.err != nil || other.err != nil || !proto.Equal(one.m, other.m) || len(c.by("member")) != 2 {
		t.Errorf("got %v, and then %v", one, other)
	}
	c.must(<-left)
}

// TestARepeatShowsWhatItsSenderMaySee repeats messages that were changed, taken away, or lie before what is seen.
func TestARepeatShowsWhatItsSenderMaySee(t *testing.T) {
	t.Parallel()
	c := newCast(t, nil)
	ctx := t.Context()
	send := func(id string) (*chatv1.Message, error) {
		res, err := c.as("member").SendMessage(ctx, sending(c.id, id, "mine"))
		return res.GetMessage(), err
	}
	first, err := send("repeated")
	c.must(err)
	recalled, err := send("recalled")
	c.must(err)
	_, err = c.as("member").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: c.id, Seq: recalled.GetSeq()})
	c.must(err)
	if m, err := send("recalled"); err != nil || m.GetSeq() != recalled.GetSeq() || !m.GetDeleted() || m.GetContent() != nil {
		t.Errorf("a recalled message is answered as %v, %v", m, err)
	}
	_, err = c.groups("member").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: c.id})
	c.must(err)
	_, err = c.as("owner").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: c.id, Seq: first.GetSeq(), Key: "+1"})
	c.must(err)
	_, err = send("repeated")
	away.assert(t, "by somebody who left", err)
	_, err = c.groups("owner").AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: c.id, UserIds: []string{"member"}})
	c.must(err)
	for _, now := range []string{"back again", "and muted"} {
		m, err := send("repeated")
		if err != nil || m.GetSeq() != first.GetSeq() || m.GetContent().GetText().GetText() != "mine" || m.GetClientMsgId() != "message-repeated" {
			t.Errorf("%s: it is answered as %v, %v", now, m, err)
		}
		if len(m.GetReactions()) != 0 || m.GetChange() != 0 {
			t.Errorf("%s: what others did while the sender was away is told: %v", now, m)
		}
		c.mute("member", "", "spam", time.Time{})
	}
}

// TestAForwardAgain forwards messages whose answer is lost, and again when that would be refused.
func TestAForwardAgain(t *testing.T) {
	t.Parallel()
	settled := func(_ any, err error) error { return err }
	for _, h := range []happening{
		{"its source is recalled", refusal{connect.CodeNotFound, chat.ReasonMessageNotFound}, fast(), func(c *cast) error {
			return settled(c.as("owner").RecallMessage(c.t.Context(), &chatv1.RecallMessageRequest{ConversationId: c.id, Seq: c.said}))
		}},
		{"its source is hidden", refusal{connect.CodeNotFound, chat.ReasonMessageNotFound}, fast(), func(c *cast) error {
			return settled(c.as("member").HideMessages(c.t.Context(), &chatv1.HideMessagesRequest{ConversationId: c.id, Seqs: []int64{c.said}}))
		}},
		{"the sender leaves where it was", away, fast(), func(c *cast) error {
			return settled(c.groups("member").LeaveGroup(c.t.Context(), &chatv1.LeaveGroupRequest{ConversationId: c.id}))
		}},
		{"the sender is muted", muted, fast(), func(c *cast) error {
			c.mute("member", "", "spam", time.Time{})
			return nil
		}},
		{"the sender is too fast", limited, slow(4), func(*cast) error { return nil }},
	} {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).boot(h.cfg).cast(nil)
			second := c.say("member", c.id, "something else", "y").GetSeq()
			to := c.direct("member", "dan")
			forward := func(id string) ([]*chatv1.Message, error) {
				res, err := c.as("member").ForwardMessages(t.Context(), &chatv1.ForwardMessagesRequest{
					FromConversationId: c.id, Seqs: []int64{c.said, second}, ToConversationId: to, RequestId: id,
				})
				return res.GetMessages(), err
			}
			first, err := forward("repeated")
			c.must(err)
			c.must(h.does(c))
			again, err := forward("repeated")
			if err != nil || !slices.EqualFunc(again, first, func(a, b *chatv1.Message) bool { return proto.Equal(a, b) }) {
				t.Errorf("got %v, %v, want %v", again, err, first)
			}
			_, err = forward("another one")
			h.want.assert(t, "another forward", err)
			if got := c.page("dan", to); len(got) != 2 {
				t.Errorf("forwarded %v", got)
			}
		})
	}
}
