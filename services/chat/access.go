package chat

import (
	"context"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// facts remembers what decides about access: conversations and members. The writer puts in what it commits, readers what
// they read, and neither replaces anything newer. The numbers in it (last seq, positions, likes) are old.
type facts struct {
	conversations *lru[Conversation]
	members       *lru[Member] // by conversation and user; those who are not in it are remembered, too
}

const (
	maxConversations = 20_000
	maxMembers       = 100_000
)

func newFacts() *facts {
	return &facts{conversations: newLRU[Conversation](maxConversations), members: newLRU[Member](maxMembers)}
}

func memberKey(conversationID, userID string) string { return conversationID + " " + userID }

func (f *facts) putConversation(c Conversation) {
	f.conversations.putIf(c.ID, c, func(old Conversation) bool { return c.Version >= old.Version })
}

func (f *facts) putMember(m Member) {
	f.members.putIf(memberKey(m.ConversationID, m.UserID), m, func(old Member) bool { return m.Version >= old.Version })
}

// conversation returns a conversation's facts. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) conversation(ctx context.Context, id string) (Conversation, error) {
	if c, ok := s.facts.conversations.get(id); ok {
		return c, nil
	}
	c, err := s.store.conversation(ctx, id)
	if err != nil {
		return Conversation{}, err
	}
	s.facts.putConversation(c)
	return c, nil
}

func (s *Service) member(ctx context.Context, conversationID, userID string) (Member, error) {
	if m, ok := s.facts.members.get(memberKey(conversationID, userID)); ok {
		return m, nil
	}
	m, err := s.store.member(ctx, conversationID, userID)
	if err != nil {
		return Member{}, err
	}
	s.facts.putMember(m)
	return m, nil
}

// seen is a conversation that a user may see, and their side of it, which in a live room is nothing but its floor.
type seen struct {
	Conversation

	Member Member
}

// see returns a conversation to a user who may see it. For others it does not exist: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) see(ctx context.Context, p authn.Principal, id string) (seen, error) {
	c, err := s.conversation(ctx, id)
	if err != nil {
		return seen{}, err
	}
	return seeAs(c, p.UserID, func() (Member, error) { return s.member(ctx, id, p.UserID) })
}

// seeAs returns a conversation to a user who may see it; member reads their side of it, where there are sides.
func seeAs(c Conversation, userID string, member func() (Member, error)) (seen, error) {
	if !c.hasMembers() {
		return seen{Conversation: c, Member: Member{ConversationID: c.ID, UserID: userID, FirstSeq: 1}}, nil
	}
	m, err := member()
	if err != nil {
		return seen{}, err
	}
	if !m.here() {
		return seen{}, conversationNotFound()
	}
	return seen{Conversation: c, Member: m}, nil
}

// seeNow is see with the numbers as they are now.
func (s *Service) seeNow(ctx context.Context, p authn.Principal, id string) (seen, error) {
	v, err := s.see(ctx, p, id)
	if err != nil {
		return seen{}, err
	}
	if v.Conversation, err = s.store.conversation(ctx, id); err != nil {
		return seen{}, err
	}
	return seeAs(v.Conversation, p.UserID, func() (Member, error) { return s.store.member(ctx, id, p.UserID) })
}

// mayWrite is the rule of who talks. Errors: PERMISSION_DENIED (FORBIDDEN, MUTED), FAILED_PRECONDITION (GROUP_DISBANDED).
func (v seen) mayWrite(p authn.Principal, now time.Time) error {
	switch v.Kind {
	case liveRoom:
		if p.Role >= authv1.Role_ROLE_USER {
			return nil
		}
		return forbidden("sign up to talk here")
	case direct:
		return nil
	case group:
		switch {
		case v.Disbanded:
			return disbanded()
		case now.Before(v.Member.MutedUntil):
			return Mute{Until: v.Member.MutedUntil}.refusal()
		case v.MutedAll && v.Member.Role < admin:
			return errs.PermissionDenied(ReasonMuted, "only the owner and admins may write now").With("mute_reason", "")
		}
		return nil
	default:
		return forbidden("nobody but the house writes here")
	}
}

// mayStillWrite asks again at the last moment, and returns what p sees then. What was committed since the question before
// is known to facts; what this batch itself has changed, or facts have forgotten, is read. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND), those of mayWrite.
func (s *Service) mayStillWrite(b *batch, p authn.Principal, v seen) (seen, error) {
	c, known := s.facts.conversations.get(v.ID)
	m := v.Member
	if v.hasMembers() {
		var also bool
		m, also = s.facts.members.get(memberKey(v.ID, p.UserID))
		known = known && also
	}
	if !known || b.rights[v.ID] {
		var err error
		if v, err = b.see(p, v.ID); err != nil {
			return seen{}, err
		}
	} else if v = (seen{Conversation: c, Member: m}); v.hasMembers() && !m.here() {
		return seen{}, conversationNotFound()
	}
	return v, s.mayWriteIn(b, p, v)
}

// mayWriteIn is the rule of who talks, inside of a batch that read v.
func (s *Service) mayWriteIn(b *batch, p authn.Principal, v seen) error {
	if err := v.mayWrite(p, b.now); err != nil {
		return err
	}
	return s.mutes.check(p.UserID, v.ID)
}
