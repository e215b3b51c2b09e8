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

// refusal is how a call is answered; none for one that succeeds.
type refusal struct {
	code   connect.Code
	reason string
}

var (
	none      = refusal{}
	away      = refusal{connect.CodeNotFound, chat.ReasonConversationNotFound}
	stranger  = refusal{connect.CodeNotFound, chat.ReasonMemberNotFound}
	forbidden = refusal{connect.CodePermissionDenied, errs.ReasonForbidden}
	muted     = refusal{connect.CodePermissionDenied, chat.ReasonMuted}
	ended     = refusal{connect.CodeFailedPrecondition, chat.ReasonGroupDisbanded}
	stays     = refusal{connect.CodeFailedPrecondition, chat.ReasonOwnerStays}
	banned    = refusal{connect.CodeFailedPrecondition, chat.ReasonUserBanned}
	keptOut   = refusal{connect.CodePermissionDenied, chat.ReasonUserBanned}
)

func (r refusal) assert(t *testing.T, what string, err error) {
	t.Helper()
	if r != none {
		assertRefused(t, what, err, r.code, r.reason)
	} else if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// cast is a group of an owner, admins and members, in which "member" has said something.
type cast struct {
	*node

	id   string
	said int64 // by "member"
}

func newCast(t *testing.T, settings *chatv1.GroupSettings) *cast {
	t.Helper()
	return newWorld(t).boot(fast()).cast(settings)
}

func (n *node) cast(settings *chatv1.GroupSettings) *cast {
	n.t.Helper()
	t := n.t
	c := &cast{node: n, id: n.group("owner", settings, "admin", "admin2", "member", "member2")}
	for _, user := range []string{"admin", "admin2"} {
		_, err := n.groups("owner").SetMemberRole(t.Context(), &chatv1.SetMemberRoleRequest{
			ConversationId: c.id, UserId: user, Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
		})
		n.must(err)
	}
	c.said = n.say("member", c.id, "something", "x").GetSeq()
	return c
}

// do makes a call about the group as a user; target is whom it is about.
func (c *cast) do(ctx context.Context, user, call, target string) (err error) {
	k, g := c.as(user), c.groups(user)
	switch call {
	case "send":
		_, err = k.SendMessage(ctx, sending(c.id, "by-"+user, "x"))
	case "edit":
		_, err = k.EditMessage(ctx, &chatv1.EditMessageRequest{ConversationId: c.id, Seq: c.said, Content: text("y")})
	case "react":
		_, err = k.SetReaction(ctx, &chatv1.SetReactionRequest{ConversationId: c.id, Seq: c.said, Key: "+1"})
	case "forward":
		_, err = k.ForwardMessages(ctx, &chatv1.ForwardMessagesRequest{
			FromConversationId: c.id, Seqs: []int64{c.said}, ToConversationId: c.id, RequestId: "forward-" + user,
		})
	case "pin":
		_, err = k.PinMessage(ctx, &chatv1.PinMessageRequest{ConversationId: c.id, Seq: c.said})
	case "recall":
		_, err = k.RecallMessage(ctx, &chatv1.RecallMessageRequest{ConversationId: c.id, Seq: c.said})
	case "mention all":
		r := sending(c.id, "all-by-"+user, "x")
		r.Mentions = &chatv1.Mentions{All: true}
		_, err = k.SendMessage(ctx, r)
	case "read":
		_, err = k.ListMessages(ctx, &chatv1.ListMessagesRequest{ConversationId: c.id})
	case "list members":
		_, err = g.ListMembers(ctx, &chatv1.ListMembersRequest{ConversationId: c.id})
	case "settings":
		_, err = k.UpdateSettings(ctx, &chatv1.UpdateSettingsRequest{ConversationId: c.id, Settings: &chatv1.MemberSettings{Silent: true}})
	case "update":
		_, err = g.UpdateGroup(ctx, &chatv1.UpdateGroupRequest{
			ConversationId: c.id, Title: "New", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
		})
	case "add":
		_, err = g.AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: c.id, UserIds: []string{target}})
	case "join":
		_, err = g.JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: c.id})
	case "leave":
		_, err = g.LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: c.id})
	case "remove":
		_, err = g.RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: c.id, UserIds: []string{target}})
	case "role":
		_, err = g.SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{
			ConversationId: c.id, UserId: target, Role: chatv1.MemberRole_MEMBER_ROLE_ADMIN,
		})
	case "transfer":
		_, err = g.TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: c.id, UserId: target})
	case "disband":
		_, err = g.DisbandGroup(ctx, &chatv1.DisbandGroupRequest{ConversationId: c.id})
	case "mute":
		_, err = g.MuteMember(ctx, &chatv1.MuteMemberRequest{
			ConversationId: c.id, UserId: target, Until: timestamppb.New(c.clock.now().Add(time.Hour)),
		})
	case "ban":
		_, err = g.BanUser(ctx, &chatv1.BanUserRequest{ConversationId: c.id, UserId: target})
	case "unban":
		_, err = g.UnbanUser(ctx, &chatv1.UnbanUserRequest{ConversationId: c.id, UserId: target})
	case "list bans":
		_, err = g.ListBannedUsers(ctx, &chatv1.ListBannedUsersRequest{ConversationId: c.id})
	default:
		c.t.Fatalf("there is no call %q", call)
	}
	return err
}

// TestWhoMayDoWhatInAGroup tries each call as each role. What is refused changes nothing, and again is no error where nothing
// has changed the right.
func TestWhoMayDoWhatInAGroup(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(fast())
	users := []string{"owner", "admin", "member2", "stranger"}
	for _, row := range []struct {
		call, target string
		want         [4]refusal // of users
	}{
		{"send", "", [4]refusal{none, none, none, away}},
		{"react", "", [4]refusal{none, none, none, away}},
		{"edit", "", [4]refusal{forbidden, forbidden, forbidden, away}}, // another's
		{"recall", "", [4]refusal{none, none, forbidden, away}},
		{"pin", "", [4]refusal{none, none, forbidden, away}},
		{"mention all", "", [4]refusal{none, none, forbidden, away}},
		{"update", "", [4]refusal{none, none, forbidden, away}},
		{"add", "guest", [4]refusal{none, none, forbidden, away}},
		{"join", "", [4]refusal{none, none, none, away}}, // they are in it
		{"leave", "", [4]refusal{stays, none, none, away}},
		{"remove", "member", [4]refusal{none, none, forbidden, away}},
		{"remove", "admin2", [4]refusal{none, forbidden, forbidden, away}},
		{"remove", "owner", [4]refusal{forbidden, forbidden, forbidden, away}},
		{"remove", "guest", [4]refusal{none, none, forbidden, away}}, // is no member: left out
		{"role", "member", [4]refusal{none, forbidden, forbidden, away}},
		{"role", "guest", [4]refusal{stranger, forbidden, forbidden, away}},
		{"role", "owner", [4]refusal{forbidden, forbidden, forbidden, away}},
		{"transfer", "member", [4]refusal{none, forbidden, forbidden, away}},
		{"transfer", "guest", [4]refusal{stranger, forbidden, forbidden, away}},
		{"transfer", "owner", [4]refusal{none, forbidden, forbidden, away}}, // to oneself
		{"disband", "", [4]refusal{none, forbidden, forbidden, away}},
		{"mute", "member", [4]refusal{none, none, forbidden, away}},
		{"mute", "admin2", [4]refusal{none, forbidden, forbidden, away}},
		{"mute", "owner", [4]refusal{forbidden, forbidden, forbidden, away}},
		{"mute", "guest", [4]refusal{stranger, stranger, forbidden, away}},
		{"ban", "member", [4]refusal{none, none, forbidden, away}},
		{"ban", "admin2", [4]refusal{none, forbidden, forbidden, away}},
		{"ban", "owner", [4]refusal{forbidden, forbidden, forbidden, away}},
		{"ban", "guest", [4]refusal{none, none, forbidden, away}},
		{"unban", "guest", [4]refusal{none, none, forbidden, away}},
		{"list bans", "", [4]refusal{none, none, forbidden, away}},
	} {
		what := row.call + " " + row.target
		n.clock.advance(time.Minute) // acts are limited
		c := n.cast(nil)
		const all = "SELECT last_seq + last_change + member_version + version FROM conversations WHERE id = ?"
		before := c.number(all, c.id)
		for i, user := range users {
			if row.want[i] != none {
				row.want[i].assert(t, user+": "+what, c.do(t.Context(), user, row.call, row.target))
			}
		}
		if after := c.number(all, c.id); after != before {
			t.Errorf("%s was refused, and the group changed", what)
		}
		for i, user := range users {
			if row.want[i] != none {
				continue
			}
			c := n.cast(nil)
			c.must(c.do(t.Context(), user, row.call, row.target))
			again := none
			switch {
			case row.call == "leave":
				again = away
			case row.call == "transfer" && row.target != user:
				again = forbidden
			}
			again.assert(t, user+" again: "+what, c.do(t.Context(), user, row.call, row.target))
		}
	}
}

// TestAnEndedGroup can be read, left and tidied up, and nothing else.
func TestAnEndedGroup(t *testing.T) {
	t.Parallel()
	c := newCast(t, &chatv1.GroupSettings{Join: chatv1.JoinPolicy_JOIN_POLICY_OPEN})
	c.must(c.do(t.Context(), "owner", "disband", ""))
	for _, restarted := range []bool{false, true} {
		for call, want := range map[string]refusal{
			"send": ended, "edit": ended, "react": ended, "forward": ended, "pin": ended, "update": ended, "add": ended, "remove": ended,
			"role": ended, "transfer": ended, "mute": ended, "ban": ended, "unban": ended,
			"read": none, "list members": none, "settings": none, "list bans": none, "disband": none,
		} {
			want.assert(t, call, c.do(t.Context(), "owner", call, "member2"))
		}
		for call, want := range map[string]refusal{"send": ended, "edit": ended, "react": ended, "forward": ended, "disband": ended, "read": none} {
			want.assert(t, "a member's "+call, c.do(t.Context(), "member", call, "member2"))
		}
		ended.assert(t, "a stranger joins", c.do(t.Context(), "stranger", "join", ""))
		if !restarted {
			c.close()
			c.node = c.boot(fast())
		}
	}
	c.must(c.do(t.Context(), "member", "recall", "")) // what one said is still one's own
	c.must(c.do(t.Context(), "owner", "leave", ""))   // it needs nobody
	away.assert(t, "who left", c.do(t.Context(), "owner", "read", ""))
	c.must(c.do(t.Context(), "member", "read", ""))
}

// TestWhoMayBringPeople tries each policy.
func TestWhoMayBringPeople(t *testing.T) {
	t.Parallel()
	for policy, want := range map[chatv1.JoinPolicy]struct{ owner, admin, member, join refusal }{
		chatv1.JoinPolicy_JOIN_POLICY_UNSPECIFIED:    {none, none, forbidden, away},
		chatv1.JoinPolicy_JOIN_POLICY_INVITE:         {none, none, forbidden, away},
		chatv1.JoinPolicy_JOIN_POLICY_MEMBERS_INVITE: {none, none, none, away},
		chatv1.JoinPolicy_JOIN_POLICY_OPEN:           {none, none, none, none},
	} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			c := newCast(t, &chatv1.GroupSettings{Join: policy})
			ctx := t.Context()
			want.owner.assert(t, "the owner", c.do(ctx, "owner", "add", "guest1"))
			want.admin.assert(t, "an admin", c.do(ctx, "admin", "add", "guest2"))
			want.member.assert(t, "a member", c.do(ctx, "member", "add", "guest3"))
			want.join.assert(t, "one's own will", c.do(ctx, "guest4", "join", ""))
			assertRefused(t, "nobody", c.do(ctx, "owner", "add", "ghost"), connect.CodeNotFound, chat.ReasonUserNotFound)
			if policy == chatv1.JoinPolicy_JOIN_POLICY_OPEN {
				c.must(c.do(ctx, "owner", "ban", "guest4"))
				keptOut.assert(t, "the banned", c.do(ctx, "guest4", "join", ""))
			}
			// A ban outlives everything but its end.
			c.must(c.do(ctx, "admin", "ban", "guest2"))
			c.must(c.do(ctx, "admin", "ban", "guest2"))
			away.assert(t, "the banned reads", c.do(ctx, "guest2", "read", ""))
			c.close()
			c.node = c.boot(fast())
			banned.assert(t, "the banned is added", c.do(ctx, "owner", "add", "guest2"))
			c.must(c.do(ctx, "admin", "unban", "guest2"))
			c.must(c.do(ctx, "owner", "add", "guest2"))
			c.must(c.do(ctx, "guest2", "read", ""))
		})
	}
}

// TestWhileAllAreMuted has owner and admins write alone.
func TestWhileAllAreMuted(t *testing.T) {
	t.Parallel()
	c := newCast(t, nil)
	ctx := t.Context()
	muteAll := func(on bool) {
		_, err := c.groups("admin").UpdateGroup(ctx, &chatv1.UpdateGroupRequest{
			ConversationId: c.id, Settings: &chatv1.GroupSettings{MutedAll: on}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.muted_all"}},
		})
		c.must(err)
	}
	muteAll(true)
	for _, call := range []string{"send", "react", "forward"} {
		for user, want := range map[string]refusal{"owner": none, "admin": none, "member": muted} {
			want.assert(t, user+": "+call, c.do(ctx, user, call, ""))
		}
	}
	muted.assert(t, "an edit", c.do(ctx, "member", "edit", ""))
	c.must(c.do(ctx, "member", "read", ""))
	c.must(c.do(ctx, "owner", "mute", "admin")) // and one by one
	muted.assert(t, "a muted admin", c.do(ctx, "admin", "react", ""))
	muted.assert(t, "a muted admin pins", c.do(ctx, "admin", "pin", ""))
	c.must(c.do(ctx, "owner", "transfer", "admin")) // an owner is muted by nobody
	c.must(c.do(ctx, "admin", "react", ""))
	muteAll(false)
	c.must(c.do(ctx, "member", "send", ""))
}

// TestAGroupIsGivenAway follows the rights of who had it and who has it.
func TestAGroupIsGivenAway(t *testing.T) {
	t.Parallel()
	c := newCast(t, nil)
	ctx := t.Context()
	c.must(c.do(ctx, "owner", "transfer", "member"))
	for _, restarted := range []bool{false, true} {
		for _, step := range []struct {
			user, call, target string
			want               refusal
		}{
			{"owner", "transfer", "owner", forbidden},
			{"owner", "disband", "", forbidden},
			{"owner", "role", "member2", forbidden},
			{"owner", "remove", "member", forbidden},
			{"owner", "update", "", none}, // as an admin
			{"member", "leave", "", stays},
			{"member", "pin", "", none},
		} {
			step.want.assert(t, step.user+": "+step.call, c.do(ctx, step.user, step.call, step.target))
		}
		if s := c.state("member2", c.id).GetConversation(); s.GetOwnerId() != "member" || s.GetMemberCount() != 5 {
			t.Errorf("it is %v", s)
		}
		if !restarted {
			c.close()
			c.node = c.boot(fast())
		}
	}
	c.must(c.do(ctx, "owner", "leave", ""))
	c.must(c.do(ctx, "member", "disband", ""))
}
