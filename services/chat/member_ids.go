package chat

import (
	"context"
	"fmt"

	"github.com/stoa-live/stoa/gen/ent/chat/member"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

// MemberIDs returns a page of the members of a group that a user is in. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND),
// INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) MemberIDs(
	ctx context.Context, id, userID string, size int, token string,
) (ids []string, next string, err error) {
	cursor, _, err := pagination.Decode[userCursor](token)
	if err != nil {
		return nil, "", err
	}
	v, err := s.see(ctx, authn.Principal{UserID: userID}, id)
	if err != nil {
		return nil, "", err
	}
	if v.Kind != group {
		return nil, "", conversationNotFound()
	}
	if ids, err = s.store.memberIDs(ctx, id, cursor.UserID, size+1); err != nil {
		return nil, "", err
	}
	ids, next = pagination.Page(ids, size, func(last string) userCursor { return userCursor{last} })
	return ids, next, nil
}

// memberIDs returns up to limit members after one, in the order of their ids.
func (s *store) memberIDs(ctx context.Context, conversationID, after string, limit int) ([]string, error) {
	var ids []string
	err := s.read.Member.Query().
		Where(member.ConversationID(conversationID), member.UserIDGT(after), member.RoleNEQ(0)).
		Order(member.ByUserID()).Limit(limit).Select(member.FieldUserID).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("read ids of members: %w", err)
	}
	return ids, nil
}
