package chat

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// unreadMost is how far unread messages are counted.
const unreadMost = 1000

// membership is a user's side of a conversation as it is told to them.
func membership(m Member, unread, mentions int) *chatv1.Membership {
	out := &chatv1.Membership{
		Role: m.Role, FirstSeq: m.first(), ReadSeq: m.ReadSeq, DeliveredSeq: m.DeliveredSeq,
		UnreadCount: int32(unread), UnreadMentions: int32(mentions), //nolint:gosec // at most unreadMost
		HiddenChange: m.HiddenChange, JoinedAt: timestamppb.New(m.JoinedAt),
		Settings: &chatv1.MemberSettings{Silent: m.Silent, Pinned: m.Pinned, Archived: m.Archived},
	}
	if !m.MutedUntil.IsZero() {
		out.MutedUntil = timestamppb.New(m.MutedUntil)
	}
	return out
}

// membershipNow is membership with what is unread counted.
func (s *Service) membershipNow(ctx context.Context, m Member) (*chatv1.Membership, error) {
	messages, mentions, err := unread(ctx, s.store.conversations.unread, s.store.conversations.mentioned, m)
	if err != nil {
		return nil, err
	}
	return membership(m, messages, mentions), nil
}

// state is a conversation as one user has it. Of one that they left it says only that.
func (s *Service) state(ctx context.Context, c Conversation, m Member) (*chatv1.ConversationState, error) {
	if !m.here() {
		return leftState(c.ID, c.Kind), nil
	}
	own, err := s.membershipNow(ctx, m)
	if err != nil {
		return nil, err
	}
	last, err := s.lastMessage(ctx, c, m)
	if err != nil {
		return nil, err
	}
	return &chatv1.ConversationState{Conversation: c.proto(), Membership: own, LastMessage: last}, nil
}

// leftState is all that is left to somebody who left a conversation.
func leftState(id string, kind chatv1.ConversationKind) *chatv1.ConversationState {
	return &chatv1.ConversationState{
		Conversation: &chatv1.Conversation{Id: id, Kind: kind}, Membership: &chatv1.Membership{},
	}
}

// lastMessage returns the last message that a member may see and did not hide; nil when there is none.
func (s *Service) lastMessage(ctx context.Context, c Conversation, m Member) (*chatv1.Message, error) {
	if c.LastSeq < m.first() {
		return nil, nil //nolint:nilnil // there is none
	}
	last, err := s.store.shownBefore(ctx, c, m, c.LastSeq+1, 1)
	if err != nil || len(last) == 0 {
		return nil, err
	}
	return last[0], s.forMember(ctx, m, last)
}

// GetConversation returns a conversation as p has it, in live rooms without a membership. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND).
func (s *Service) GetConversation(ctx context.Context, p authn.Principal, id string) (*chatv1.ConversationState, error) {
	v, err := s.seeNow(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if v.hasMembers() {
		return s.state(ctx, v.Conversation, v.Member)
	}
	last, err := s.lastMessage(ctx, v.Conversation, v.Member)
	if err != nil {
		return nil, err
	}
	return &chatv1.ConversationState{Conversation: v.Conversation.proto(), LastMessage: last}, nil
}
