package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stoa-live/stoa/gen/ent/chat/groupban"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

// maxGroupMute is for how long a member can be kept from writing.
const maxGroupMute = 366 * 24 * time.Hour

// MuteMember keeps a member from writing until a time; zero lifts that. Errors: NOT_FOUND (MEMBER_NOT_FOUND),
// INVALID_ARGUMENT, those of inGroup.
func (s *Service) MuteMember(
	ctx context.Context, p authn.Principal, id, userID string, until time.Time,
) (*chatv1.Member, error) {
	now := s.deps.Now()
	if !until.IsZero() && (!until.After(now) || until.After(now.Add(maxGroupMute))) {
		return nil, invalid("until: want a time within the next year")
	}
	var out *chatv1.Member
	err := s.inGroup(ctx, p, id, admin, []string{userID}, func(g *acting) error {
		m, err := g.other(userID)
		if err != nil {
			return err
		}
		m.MutedUntil = until.UTC().Truncate(time.Microsecond)
		if until.IsZero() {
			m.MutedUntil = time.Time{}
		}
		if err := g.changeOwn(0, nil, m); err != nil {
			return err
		}
		out = memberToProto(g.latest(m), g.users)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// BanUser takes a user out of a group and keeps them out; again is no error. Errors: those of inGroup.
func (s *Service) BanUser(ctx context.Context, p authn.Principal, id, userID, reason string) error {
	return s.inGroup(ctx, p, id, admin, []string{userID}, func(g *acting) error {
		if userID == p.UserID {
			return forbidden("this is yourself")
		}
		if err := g.expel([]string{userID}); err != nil {
			return err
		}
		err := g.batch.ent().GroupBan.Create().SetConversationID(id).SetUserID(userID).SetReason(reason).
			SetBannedAt(g.batch.now.UnixMicro()).OnConflictColumns(groupban.FieldConversationID, groupban.FieldUserID).
			Ignore().Exec(g.batch.ctx)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("store ban: %w", err)
		}
		return nil
	})
}

// UnbanUser lets a user in again; lifting none is no error. Errors: those of inGroup.
func (s *Service) UnbanUser(ctx context.Context, p authn.Principal, id, userID string) error {
	return s.inGroup(ctx, p, id, admin, nil, func(g *acting) error {
		_, err := g.batch.ent().GroupBan.Delete().
			Where(groupban.ConversationID(id), groupban.UserID(userID)).Exec(g.batch.ctx)
		if err != nil {
			return fmt.Errorf("lift ban: %w", err)
		}
		return nil
	})
}

// ListBannedUsers returns a page of who is kept out of a group, the latest first. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN), INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListBannedUsers(
	ctx context.Context, p authn.Principal, id string, size int, token string,
) (out []*chatv1.GroupBan, next string, err error) {
	cursor, _, err := pagination.Decode[rowCursor](token)
	if err != nil {
		return nil, "", err
	}
	v, err := s.see(ctx, p, id)
	switch {
	case err != nil:
		return nil, "", err
	case v.Kind != group:
		return nil, "", conversationNotFound()
	case v.Member.Role < admin:
		return nil, "", forbidden("this is for those who run the group")
	}
	bans, err := s.store.listBans(ctx, id, cursor.Row, size+1)
	if err != nil {
		return nil, "", err
	}
	bans, next = pagination.Page(bans, size, func(last groupBan) rowCursor { return rowCursor{Row: last.Row} })
	ids := make([]string, len(bans))
	for i, b := range bans {
		ids[i] = b.UserID
	}
	users, err := s.named(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	for i, b := range bans {
		out = append(out, &chatv1.GroupBan{User: users[i], Reason: b.Reason, BannedAt: timestamppb.New(b.BannedAt)})
	}
	return out, next, nil
}

// groupBan keeps a user out of a group.
type groupBan struct {
	Row      int64
	UserID   string
	Reason   string
	BannedAt time.Time
}

// banned reports whether a user is kept out of the group.
func (g *acting) banned(userID string) (bool, error) {
	found, err := g.batch.ent().GroupBan.Query().
		Where(groupban.ConversationID(g.conversation.ID), groupban.UserID(userID)).Exist(g.batch.ctx)
	if err != nil {
		return false, fmt.Errorf("find ban: %w", err)
	}
	return found, nil
}

// listBans returns up to limit bans of a group, the latest first, older than a row (0 for the latest).
func (s *store) listBans(ctx context.Context, id string, before int64, limit int) (bans []groupBan, err error) {
	query := s.read.GroupBan.Query().Where(groupban.ConversationID(id))
	if before > 0 {
		query.Where(groupban.IDLT(int(before)))
	}
	rows, err := query.Order(groupban.ByID(entsql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list bans: %w", err)
	}
	for _, r := range rows {
		bans = append(bans, groupBan{
			Row: int64(r.ID), UserID: r.UserID, Reason: r.Reason, BannedAt: time.UnixMicro(r.BannedAt).UTC(),
		})
	}
	return bans, nil
}
