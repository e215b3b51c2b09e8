package chat

import (
	"context"
	"errors"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// maxMembers of a group.
const maxGroupMembers = 100_000

func groupFull() *errs.Error {
	return errs.ResourceExhausted(ReasonGroupFull, "a group has at most %d members", maxGroupMembers)
}

// AddMembers makes users members of a group. Errors: NOT_FOUND (USER_NOT_FOUND), FAILED_PRECONDITION (USER_BANNED),
// RESOURCE_EXHAUSTED (GROUP_FULL), those of inGroup.
func (s *Service) AddMembers(ctx context.Context, p authn.Principal, id string, userIDs []string) error {
	return s.inGroup(ctx, p, id, plain, userIDs, func(g *acting) error {
		if g.me.Role < admin && g.conversation.Join == chatv1.JoinPolicy_JOIN_POLICY_INVITE {
			return forbidden("the owner and admins add people here")
		}
		if err := allKnown(g.users, userIDs); err != nil {
			return err
		}
		for _, user := range userIDs {
			if banned, err := g.banned(user); err != nil {
				return err
			} else if banned {
				return errs.FailedPrecondition(ReasonUserBanned, "user %q is kept out of this group", user)
			}
			if err := g.add(user, plain); err != nil {
				return err
			}
		}
		return g.welcome(chatv1.SystemAction_SYSTEM_ACTION_ADDED)
	})
}

// welcome tells of those who came, unless nobody did. Errors: RESOURCE_EXHAUSTED (GROUP_FULL).
func (g *acting) welcome(action chatv1.SystemAction) error {
	if len(g.come) == 0 {
		return nil
	}
	if g.conversation.MemberCount > maxGroupMembers {
		return groupFull()
	}
	var ids []string
	if action == chatv1.SystemAction_SYSTEM_ACTION_ADDED {
		for _, m := range g.come {
			ids = append(ids, m.UserID)
		}
	}
	if err := g.finish(g.users); err != nil {
		return err
	}
	return g.say(action, ids, "")
}

// JoinGroup makes p a member of an open group. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND), PERMISSION_DENIED (USER_BANNED),
// FAILED_PRECONDITION (GROUP_DISBANDED), RESOURCE_EXHAUSTED (GROUP_FULL, RATE_LIMITED).
func (s *Service) JoinGroup(ctx context.Context, p authn.Principal, id string) error {
	if err := s.started(); err != nil {
		return err
	}
	c, err := s.conversation(ctx, id)
	if err != nil {
		return err
	}
	if v, err := s.see(ctx, p, id); err == nil && v.Kind == group {
		return nil
	}
	if c.Kind != group || c.Join != chatv1.JoinPolicy_JOIN_POLICY_OPEN {
		return conversationNotFound()
	}
	if err := s.limits.act(p.UserID); err != nil {
		return err
	}
	users, err := s.senders.many(ctx, []string{p.UserID})
	if err != nil {
		return err
	}
	if err := allKnown(users, []string{p.UserID}); err != nil {
		return err
	}
	return s.writer.change(ctx, func(b *batch) error {
		c, err := b.conversation(id)
		switch {
		case err != nil:
			return err
		case c.Join != chatv1.JoinPolicy_JOIN_POLICY_OPEN:
			return conversationNotFound()
		case c.Disbanded:
			return disbanded()
		}
		g := &acting{
			membersChange: &membersChange{service: s, batch: b, conversation: c}, users: users, user: users[p.UserID],
		}
		if banned, err := g.banned(p.UserID); err != nil {
			return err
		} else if banned {
			return errs.PermissionDenied(ReasonUserBanned, "you are kept out of this group")
		}
		if err := g.add(p.UserID, plain); err != nil {
			return err
		}
		return g.welcome(chatv1.SystemAction_SYSTEM_ACTION_JOINED)
	})
}

// LeaveGroup takes p out of a group. Errors: FAILED_PRECONDITION (OWNER_STAYS), NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) LeaveGroup(ctx context.Context, p authn.Principal, id string) error {
	if err := s.started(); err != nil {
		return err
	}
	if v, err := s.see(ctx, p, id); err != nil {
		return err
	} else if v.Kind != group {
		return conversationNotFound()
	}
	user, err := s.senders.get(ctx, p.UserID)
	if err != nil {
		return err
	}
	return s.writer.change(ctx, func(b *batch) error {
		v, err := b.see(p, id)
		if err != nil {
			return err
		}
		if v.Member.Role == master && !v.Disbanded { // an ended group needs nobody
			return errs.FailedPrecondition(ReasonOwnerStays, "give the group to somebody or end it first")
		}
		g := &acting{membersChange: &membersChange{service: s, batch: b, conversation: v.Conversation}, user: user}
		if err := g.remove(v.Member); err != nil {
			return err
		}
		if err := g.finish(nil); err != nil || v.Disbanded {
			return err
		}
		return g.say(chatv1.SystemAction_SYSTEM_ACTION_LEFT, nil, "")
	})
}

// RemoveMembers takes others out of a group; those who are no members are left out. Errors: those of inGroup.
func (s *Service) RemoveMembers(ctx context.Context, p authn.Principal, id string, userIDs []string) error {
	return s.inGroup(ctx, p, id, admin, userIDs, func(g *acting) error { return g.expel(userIDs) })
}

func (g *acting) expel(userIDs []string) error {
	var ids []string
	for _, user := range userIDs {
		m, err := g.other(user)
		if errors.Is(err, memberNotFound()) {
			continue
		}
		if err != nil {
			return err
		}
		if err := g.remove(m); err != nil {
			return err
		}
		ids = append(ids, user)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := g.finish(g.users); err != nil {
		return err
	}
	return g.say(chatv1.SystemAction_SYSTEM_ACTION_REMOVED, ids, "")
}
