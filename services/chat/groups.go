package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stoa-live/stoa/gen/ent/chat/conversation"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/words"
)

const (
	maxTitle = 60  // characters
	maxOwned = 500 // groups that one user owns
)

// acting is somebody who changes a group, inside of a batch.
type acting struct {
	*membersChange

	me    Member
	user  *authv1.User
	users map[string]*authv1.User
}

// inGroup lets act change a group as a member of at least a role. ids are those whom act is about: they are looked up
// before. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND), FAILED_PRECONDITION (GROUP_DISBANDED), PERMISSION_DENIED (FORBIDDEN),
// act's.
func (s *Service) inGroup(
	ctx context.Context, p authn.Principal, id string, role chatv1.MemberRole, ids []string, act func(g *acting) error,
) error {
	if err := s.started(); err != nil {
		return err
	}
	if v, err := s.see(ctx, p, id); err != nil {
		return err
	} else if v.Kind != group {
		return conversationNotFound()
	}
	if err := s.limits.actOn(p.UserID, len(ids)); err != nil {
		return err
	}
	users, err := s.senders.many(ctx, append(slices.Clone(ids), p.UserID))
	if err != nil {
		return err
	}
	return s.writer.changeMuch(ctx, memberWeight*(1+len(ids)), func(b *batch) error {
		c, err := b.conversation(id)
		if err != nil {
			return err
		}
		me, err := b.member(id, p.UserID)
		switch {
		case err != nil:
			return err
		case !me.here():
			return conversationNotFound()
		case c.Disbanded:
			return disbanded()
		case me.Role < role:
			return forbidden("this is for those who run the group")
		}
		g := &acting{
			membersChange: &membersChange{service: s, batch: b, conversation: c}, me: me, users: users, user: users[p.UserID],
		}
		if g.user == nil {
			g.user = &authv1.User{Id: p.UserID}
		}
		return act(g)
	})
}

// say posts what was done, after the change of members is told.
func (g *acting) say(action chatv1.SystemAction, userIDs []string, text string) error {
	return g.batch.say(g.conversation.ID, &chatv1.SystemContent{Action: action, UserIds: userIDs, Text: text}, g.user)
}

// tellFacts tells everyone what the group is now.
func (g *acting) tellFacts() error {
	c, err := g.batch.conversation(g.conversation.ID)
	if err != nil {
		return err
	}
	g.batch.tell(&chatv1.Event{ConversationId: c.ID, Kind: &chatv1.Event_Conversation{Conversation: c.proto()}})
	return nil
}

// other returns a member whom the actor may change: an owner everyone, an admin plain members. Errors: NOT_FOUND
// (MEMBER_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN).
func (g *acting) other(userID string) (Member, error) {
	m, err := g.batch.member(g.conversation.ID, userID)
	switch {
	case err != nil:
		return Member{}, err
	case !m.here():
		return Member{}, memberNotFound()
	case m.Role >= g.me.Role:
		return Member{}, forbidden("this member runs the group, too")
	}
	return m, nil
}

// CreateGroup makes a group that belongs to p; the same request makes it once. Errors: INVALID_ARGUMENT, NOT_FOUND
// (USER_NOT_FOUND), RESOURCE_EXHAUSTED (TOO_MANY_GROUPS, RATE_LIMITED).
func (s *Service) CreateGroup(
	ctx context.Context, p authn.Principal, r *chatv1.CreateGroupRequest,
) (*chatv1.ConversationState, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	title, ok := words.Line(r.GetTitle(), maxTitle)
	if !ok {
		return nil, invalid("title: want 1 to %d characters that can be seen, in one line", maxTitle)
	}
	if r.GetAvatarUrl() != "" {
		if err := checkURL(r.GetAvatarUrl()); err != nil {
			return nil, err
		}
	}
	if err := s.limits.actOn(p.UserID, len(r.GetUserIds())); err != nil {
		return nil, err
	}
	ids := slices.DeleteFunc(slices.Clone(r.GetUserIds()), func(id string) bool { return id == p.UserID })
	users, err := s.senders.many(ctx, append(slices.Clone(ids), p.UserID))
	if err != nil {
		return nil, err
	}
	var c Conversation
	err = s.writer.changeMuch(ctx, memberWeight*(1+len(ids)), func(b *batch) (err error) {
		c, err = s.makeGroup(b, users[p.UserID], p.UserID, ids, users, title, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.GetConversation(ctx, p, c.ID)
}

func (s *Service) makeGroup(
	b *batch, owner *authv1.User, ownerID string, ids []string, users map[string]*authv1.User, title string,
	r *chatv1.CreateGroupRequest,
) (Conversation, error) {
	key := "request:" + ownerID + " " + r.GetRequestId()
	found, err := b.ent().Conversation.Query().Where(conversation.UniqueKey(key)).IDs(b.ctx)
	if err != nil {
		return Conversation{}, fmt.Errorf("find group: %w", err)
	}
	if len(found) > 0 {
		return b.conversation(found[0])
	}
	// Of a repeat that is no question: whom the first one named may have been deleted since.
	if err := allKnown(users, ids); err != nil {
		return Conversation{}, err
	}
	if err := b.mayOwn(ownerID); err != nil {
		return Conversation{}, err
	}
	c, err := s.openUnique(b, opening{key: key, kind: group, users: []string{ownerID}, role: master, fill: func(c *Conversation) {
		c.OwnerID, c.Title, c.AvatarURL = ownerID, title, r.GetAvatarUrl()
		c.History, c.Join = r.GetSettings().GetHistory(), r.GetSettings().GetJoin()
		c.MutedAll = r.GetSettings().GetMutedAll()
		fillSettings(c)
	}})
	if err != nil {
		return Conversation{}, err
	}
	if err := b.say(c.ID, &chatv1.SystemContent{
		Action: chatv1.SystemAction_SYSTEM_ACTION_CREATED, UserIds: ids, Text: title,
	}, owner); err != nil {
		return Conversation{}, err
	}
	if len(ids) == 0 {
		return c, nil
	}
	change := &membersChange{service: s, batch: b, conversation: c}
	// The first members see how the group began.
	history := c.History
	change.conversation.History = chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL
	for _, id := range ids {
		if err := change.add(id, plain); err != nil {
			return Conversation{}, err
		}
	}
	change.conversation.History = history
	if err := change.finish(users); err != nil {
		return Conversation{}, err
	}
	return b.conversation(c.ID)
}

// mayOwn refuses one group too many of a user. Errors: RESOURCE_EXHAUSTED (TOO_MANY_GROUPS).
func (b *batch) mayOwn(userID string) error {
	var owned int
	if err := b.tx().StmtContext(b.ctx, b.store.batches.owned).QueryRowContext(b.ctx, userID).Scan(&owned); err != nil {
		return fmt.Errorf("count groups: %w", err)
	}
	if owned >= maxOwned {
		return errs.ResourceExhausted(ReasonTooManyGroups, "a user owns at most %d groups that were not ended", maxOwned)
	}
	return nil
}

// fillSettings gives what was left open its meaning.
func fillSettings(c *Conversation) {
	if c.History == chatv1.HistoryVisibility_HISTORY_VISIBILITY_UNSPECIFIED {
		c.History = chatv1.HistoryVisibility_HISTORY_VISIBILITY_FROM_JOIN
	}
	if c.Join == chatv1.JoinPolicy_JOIN_POLICY_UNSPECIFIED {
		c.Join = chatv1.JoinPolicy_JOIN_POLICY_INVITE
	}
}

func allKnown(users map[string]*authv1.User, ids []string) error {
	for _, id := range ids {
		if users[id] == nil {
			return errs.NotFound(ReasonUserNotFound, "there is no user %q", id)
		}
	}
	return nil
}

// UpdateGroup changes what r's mask names. Errors: INVALID_ARGUMENT, those of inGroup.
func (s *Service) UpdateGroup(ctx context.Context, p authn.Principal, r *chatv1.UpdateGroupRequest) error {
	paths := r.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		return invalid("update_mask: names nothing")
	}
	return s.inGroup(ctx, p, r.GetConversationId(), admin, nil, func(g *acting) error {
		before := g.conversation
		for _, path := range paths {
			if err := setFact(&g.conversation, path, r); err != nil {
				return err
			}
		}
		fillSettings(&g.conversation)
		if g.conversation == before {
			return nil
		}
		if err := g.finish(g.users); err != nil {
			return err
		}
		return g.sayFacts(before)
	})
}

func setFact(c *Conversation, path string, r *chatv1.UpdateGroupRequest) error {
	switch path {
	case "title":
		title, ok := words.Line(r.GetTitle(), maxTitle)
		if !ok {
			return invalid("title: want 1 to %d characters that can be seen, in one line", maxTitle)
		}
		c.Title = title
	case "avatar_url":
		if r.GetAvatarUrl() != "" {
			if err := checkURL(r.GetAvatarUrl()); err != nil {
				return err
			}
		}
		c.AvatarURL = r.GetAvatarUrl()
	case "announcement":
		c.Announcement = ""
		if r.GetAnnouncement() != "" {
			text, err := cleanText(r.GetAnnouncement())
			if err != nil {
				return err
			}
			c.Announcement = text
		}
	case "settings.history":
		c.History = r.GetSettings().GetHistory()
	case "settings.join":
		c.Join = r.GetSettings().GetJoin()
	case "settings.muted_all":
		c.MutedAll = r.GetSettings().GetMutedAll()
	default:
		return invalid("update_mask: %q cannot be changed", path)
	}
	return nil
}

// sayFacts tells of what members should notice.
func (g *acting) sayFacts(before Conversation) error {
	c := g.conversation
	if c.Title != before.Title {
		if err := g.say(chatv1.SystemAction_SYSTEM_ACTION_TITLE_CHANGED, nil, c.Title); err != nil {
			return err
		}
	}
	if c.Announcement != before.Announcement && c.Announcement != "" {
		if err := g.say(chatv1.SystemAction_SYSTEM_ACTION_ANNOUNCED, nil, c.Announcement); err != nil {
			return err
		}
	}
	if c.MutedAll != before.MutedAll {
		text := ""
		if !c.MutedAll {
			text = "off"
		}
		if err := g.say(chatv1.SystemAction_SYSTEM_ACTION_MUTED_ALL, nil, text); err != nil {
			return err
		}
	}
	return g.tellFacts()
}

// DisbandGroup ends a group. Errors: those of inGroup.
func (s *Service) DisbandGroup(ctx context.Context, p authn.Principal, id string) error {
	if v, err := s.seeNow(ctx, p, id); err == nil && v.Disbanded && v.Member.Role == master {
		return nil
	}
	return s.inGroup(ctx, p, id, master, nil, func(g *acting) error {
		g.conversation.Disbanded = true
		if err := g.finish(g.users); err != nil {
			return err
		}
		return g.tellFacts()
	})
}

// TransferGroup gives a group to a member; its owner becomes an admin. Errors: NOT_FOUND (MEMBER_NOT_FOUND),
// RESOURCE_EXHAUSTED (TOO_MANY_GROUPS), those of inGroup.
func (s *Service) TransferGroup(ctx context.Context, p authn.Principal, id, userID string) error {
	return s.inGroup(ctx, p, id, master, []string{userID}, func(g *acting) error {
		if userID == p.UserID {
			return nil
		}
		m, err := g.other(userID)
		if err != nil {
			return err
		}
		if err := g.batch.mayOwn(userID); err != nil {
			return err
		}
		g.me.Role, m.Role, m.MutedUntil = admin, master, time.Time{}
		g.conversation.OwnerID = userID
		return g.changeOwn(chatv1.SystemAction_SYSTEM_ACTION_TRANSFERRED, []string{userID}, g.me, m)
	})
}

// changeOwn stores members whose rights changed, and tells them, too.
func (g *acting) changeOwn(action chatv1.SystemAction, ids []string, members ...Member) error {
	var changed []Member
	for _, m := range members {
		m, err := g.put(m)
		if err != nil {
			return err
		}
		changed = append(changed, m)
	}
	g.come = append(g.come, changed...) // who is told how they have it now
	if err := g.finish(g.users); err != nil {
		return err
	}
	if action == 0 {
		return nil
	}
	if err := g.say(action, ids, ""); err != nil {
		return err
	}
	return g.tellFacts()
}

// SetMemberRole makes a member an admin or a plain member. Errors: NOT_FOUND (MEMBER_NOT_FOUND), those of inGroup.
func (s *Service) SetMemberRole(
	ctx context.Context, p authn.Principal, id, userID string, role chatv1.MemberRole,
) (*chatv1.Member, error) {
	var out *chatv1.Member
	err := s.inGroup(ctx, p, id, master, []string{userID}, func(g *acting) error {
		m, err := g.other(userID)
		if err != nil {
			return err
		}
		if m.Role != role {
			m.Role = role
			if err := g.changeOwn(0, nil, m); err != nil {
				return err
			}
		}
		out = memberToProto(g.latest(m), g.users)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// latest returns a member as this change leaves them.
func (g *acting) latest(m Member) Member {
	for _, c := range g.changed {
		if c.UserID == m.UserID {
			m = c
		}
	}
	return m
}
