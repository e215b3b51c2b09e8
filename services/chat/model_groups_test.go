package chat_test

import (
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// manage has a user do something to a group, or to a member of it.
func (r *run) manage(c *talk, user, what string) (fine bool, err error) {
	g, ctx, me := r.n.groups(user), r.n.t.Context(), c.side(user)
	other := r.other(c, user, what)
	them := c.side(other)
	here, above := them.role != nobody, me.role > them.role
	runs := !c.pair && me.role >= admin
	switch what {
	case "add":
		_, err = g.AddMembers(ctx, &chatv1.AddMembersRequest{ConversationId: c.id, UserIds: []string{other}})
		fine = !c.pair && me.role != nobody && (c.open || me.role >= admin) && !them.banned
		if fine && !here {
			c.come(other)
			c.tell(user)
		}
	case "join":
		_, err = g.JoinGroup(ctx, &chatv1.JoinGroupRequest{ConversationId: c.id})
		if fine = !c.pair && (me.role != nobody || (c.open && !me.banned)); fine && me.role == nobody {
			c.come(user)
			c.tell(user)
		}
	case "leave":
		_, err = g.LeaveGroup(ctx, &chatv1.LeaveGroupRequest{ConversationId: c.id})
		if fine = !c.pair && (me.role == plain || me.role == admin); fine {
			me.role = nobody
			c.tell(user)
		}
	case "remove", "ban":
		if what == "remove" {
			_, err = g.RemoveMembers(ctx, &chatv1.RemoveMembersRequest{ConversationId: c.id, UserIds: []string{other}})
		} else {
			_, err = g.BanUser(ctx, &chatv1.BanUserRequest{ConversationId: c.id, UserId: other})
		}
		if fine = runs && (!here || above); !fine {
			return fine, err
		}
		them.banned = them.banned || what == "ban"
		if here {
			them.role = nobody
			c.tell(user)
		}
	case "unban":
		_, err = g.UnbanUser(ctx, &chatv1.UnbanUserRequest{ConversationId: c.id, UserId: other})
		if fine = runs; fine {
			them.banned = false
		}
	case "mute":
		q := &chatv1.MuteMemberRequest{ConversationId: c.id, UserId: other}
		muted := rapid.Bool().Draw(r.T, "on")
		if muted {
			q.Until = timestamppb.New(r.n.clock.now().Add(24 * time.Hour))
		}
		_, err = g.MuteMember(ctx, q)
		if fine = runs && here && above; fine {
			them.muted = muted
		}
	case "role":
		role := rapid.SampledFrom([]chatv1.MemberRole{plain, admin}).Draw(r.T, "role")
		_, err = g.SetMemberRole(ctx, &chatv1.SetMemberRoleRequest{ConversationId: c.id, UserId: other, Role: role})
		if fine = !c.pair && me.role == owner && here && above; fine {
			them.role = role
		}
	case "transfer":
		_, err = g.TransferGroup(ctx, &chatv1.TransferGroupRequest{ConversationId: c.id, UserId: other})
		if fine = !c.pair && me.role == owner && here; fine && other != user {
			me.role, them.role, them.muted = admin, owner, false
			c.tell(user)
		}
	default:
		return r.settings(c, user, what, runs)
	}
	return fine, err
}

// settings changes what holds for all in a group.
func (r *run) settings(c *talk, user, what string, runs bool) (fine bool, err error) {
	q := &chatv1.UpdateGroupRequest{ConversationId: c.id, Settings: &chatv1.GroupSettings{}, UpdateMask: &fieldmaskpb.FieldMask{}}
	on := rapid.Bool().Draw(r.T, "on")
	if what == "mute all" {
		q.UpdateMask.Paths, q.Settings.MutedAll = []string{"settings.muted_all"}, on
	} else {
		q.UpdateMask.Paths, q.Settings.History = []string{"settings.history"}, chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN
		if on {
			q.Settings.History = chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL
		}
	}
	_, err = r.n.groups(user).UpdateGroup(r.n.t.Context(), q)
	switch {
	case !runs:
	case what == "history":
		c.all = on
	case c.mutedAll != on:
		c.mutedAll = on
		c.tell(user)
	}
	return runs, err
}
