package chat_test

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/services/chat"
)

// together has acts wait for the writer in their order and be done in one batch; it returns their errors.
func (n *node) together(acts ...func(ctx context.Context) error) []error {
	n.t.Helper()
	release, err := n.service.Hold()
	n.must(err)
	done := make([]chan error, len(acts))
	for i, act := range acts {
		done[i] = make(chan error, 1)
		go func() { done[i] <- act(context.WithoutCancel(n.t.Context())) }()
		n.eventually("the act waits", func() bool { return n.service.Waiting() > i })
	}
	release()
	out := make([]error, len(acts))
	for i := range acts {
		out[i] = <-done[i]
	}
	return out
}

// TestNobodyActsInTheBatchThatTakesTheirRights has a right end and be used in one and the same commit.
func TestNobodyActsInTheBatchThatTakesTheirRights(t *testing.T) {
	t.Parallel()
	type act = func(ctx context.Context) error
	for name, end := range map[string]struct {
		act  func(n *node, id string) act
		want refusal
	}{
		"removed": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("ann").RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: id, UserIds: []string{"bob"}})
				return err
			}
		}, away},
		"banned": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("ann").BanUser(ctx, &chatv1.BanUserRequest{ConversationId: id, UserId: "bob"})
				return err
			}
		}, away},
		"gone": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("bob").LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: id})
				return err
			}
		}, away},
		"muted": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("ann").MuteMember(ctx, &chatv1.MuteMemberRequest{
					ConversationId: id, UserId: "bob", Until: timestamppb.New(n.clock.now().Add(time.Hour)),
				})
				return err
			}
		}, muted},
		"muted with all": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("ann").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
					ConversationId: id, UserId: "bob", Role: chatv1.MemberRole_MEMBER_ROLE_MEMBER,
				})
				return err
			}
		}, muted},
		"ended": {func(n *node, id string) act {
			return func(ctx context.Context) error {
				_, err := n.groups("ann").DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: id})
				return err
			}
		}, ended},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newWorld(t).boot(fast())
			id := n.group("ann", nil, "bob", "cid")
			_, err := n.groups("ann").SetMemberRole(t.Context(), &chatv1.SetMemberRoleRequest{
				ConversationId: id, UserId: "bob", Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
			})
			n.must(err)
			if name == "muted with all" {
				_, err := n.groups("ann").UpdateGroup(t.Context(), &chatv1.UpdateGroupRequest{
					ConversationId: id, Settings: &chatv1.GroupSettings{MutedAll: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.muted_all"}},
				})
				n.must(err)
			}
			mine := n.say("bob", id, "mine", "before").GetSeq()
			other := n.direct("bob", "dan")
			there := n.say("bob", other, "there", "before").GetSeq()
			acts := []act{
				end.act(n, id),
				func(ctx context.Context) error {
					_, err := n.as("bob").SendMessage(ctx, sending(id, "too late", "x"))
					return err
				},
				func(ctx context.Context) error {
					_, err := n.as("bob").ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
						FromConversationId: other, Seqs: []int64{there}, ToConversationId: id, RequestId: "too-late",
					})
					return err
				},
				func(ctx context.Context) error {
					_, err := n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: mine, Content: text("after")})
					return err
				},
				func(ctx context.Context) error {
					_, err := n.as("bob").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: mine, Key: "+1"})
					return err
				},
				func(ctx context.Context) error {
					_, err := n.as("bob").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: mine})
					return err
				},
			}
			for i, err := range n.together(acts...) {
				if i == 0 {
					n.must(err)
					continue
				}
				want := end.want
				if name == "muted with all" && i == len(acts)-1 {
					want = forbidden // is no admin any more
				}
				if !errs.Is(err, want.code, want.reason) {
					t.Errorf("act %d in the same commit: %v (%s)", i, err, errs.Reason(err))
				}
			}
			for _, m := range n.page("ann", id) {
				if m.GetSeq() > mine && m.GetSender() != nil || m.GetChange() > 0 {
					t.Errorf("it was done: %v", m)
				}
			}
		})
	}
}

// TestNobodyMentionsEveryoneAfterTheirRole has an admin become a member, and mean everyone, in one commit.
func TestNobodyMentionsEveryoneAfterTheirRole(t *testing.T) {
	t.Parallel()
	c := newCast(t, nil)
	for i, err := range c.together(
		func(ctx context.Context) error {
			_, err := c.groups("owner").SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
				ConversationId: c.id, UserId: "admin", Role: chatv1.MemberRole_MEMBER_ROLE_MEMBER,
			})
			return err
		},
		func(ctx context.Context) error { return c.do(ctx, "admin", "mention all", "") },
	) {
		[]refusal{none, forbidden}[i].assert(t, "in one commit", err)
	}
}

// TestAMuteHoldsForWhatWaits has the staff mute somebody whose acts wait for the writer.
func TestAMuteHoldsForWhatWaits(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id := n.direct("bob", "cid")
	mine := n.say("bob", id, "mine", "before").GetSeq()
	n.send("bob", "in the room", "before")
	acts := []func(ctx context.Context) error{
		func(ctx context.Context) error {
			_, err := n.as("bob").SendMessage(ctx, sending(id, "too late", "x"))
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("bob").SendMessage(ctx, sending(room, "too late", "x"))
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("bob").SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: id, Seq: mine, Key: "+1"})
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("bob").EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: id, Seq: mine, Content: text("after")})
			return err
		},
		func(ctx context.Context) error {
			_, err := n.as("bob").PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: id, Seq: mine})
			return err
		},
	}
	release, err := n.service.Hold()
	n.must(err)
	done := make(chan error, len(acts))
	for i, act := range acts {
		go func() { done <- act(context.WithoutCancel(t.Context())) }()
		n.eventually("the act waits", func() bool { return n.service.Waiting() > i })
	}
	n.service.Hear("bob")
	release()
	for range acts {
		assertRefused(t, "an act that waited", <-done, connect.CodePermissionDenied, chat.ReasonMuted)
	}
	for _, act := range acts {
		assertRefused(t, "an act after the mute", act(t.Context()), connect.CodePermissionDenied, chat.ReasonMuted)
	}
	if got := n.page("cid", id); len(got) != 1 || got[0].GetChange() != 0 {
		t.Errorf("it was done: %v", got)
	}
}

// TestNothingIsForwardedThatWasTakenAway has a message recalled and forwarded in one commit.
func TestNothingIsForwardedThatWasTakenAway(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	id, other := n.group("ann", nil, "bob"), n.direct("bob", "cid")
	first := n.say("bob", id, "first", "awful").GetSeq()
	out := n.together(func(ctx context.Context) error {
		_, err := n.as("ann").RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: id, Seq: first})
		return err
	}, func(ctx context.Context) error {
		_, err := n.as("bob").ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
			FromConversationId: id, Seqs: []int64{first}, ToConversationId: other, RequestId: "too-late",
		})
		return err
	}, func(ctx context.Context) error {
		r := sending(id, "an answer", "x")
		r.ReplyToSeq = first
		_, err := n.as("bob").SendMessage(ctx, r)
		return err
	})
	n.must(out[0])
	assertRefused(t, "a forward", out[1], connect.CodeNotFound, chat.ReasonMessageNotFound)
	n.must(out[2])
	if m := n.page("ann", id); m[len(m)-1].GetReplyTo().GetExcerpt() != "" {
		t.Errorf("it is quoted: %v", m[len(m)-1])
	}
	if got := n.page("cid", other); len(got) != 0 {
		t.Errorf("forwarded %v", got)
	}
}
