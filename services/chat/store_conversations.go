package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The columns of conversations and members, in the order in which they are scanned.
const (
	conversationColumns = "c.id, c.kind, c.owner_id, c.unique_key, c.title, c.avatar_url, c.announcement, c.history, " +
		"c.join_policy, c.muted_all, c.disbanded, c.member_count, c.member_version, c.epoch, c.last_seq, c.last_change, " +
		"c.shared_from, c.likes, c.version, c.created_at"
	memberColumns = "m.conversation_id, m.user_id, m.role, m.joined_at, m.first_seq, m.cleared_seq, m.read_seq, " +
		"m.delivered_seq, m.hidden_change, m.muted_until, m.silent, m.pinned, m.archived, m.member_version, m.version"
)

// pairPrefix begins the unique key of a direct conversation, which names its two.
const pairPrefix = "pair:"

// conversationStatements read conversations and members.
type conversationStatements struct {
	lastCommit, conversation, member, list, ids, members, changedMembers, unread, mentioned *sql.Stmt
	readers, positions                                                                      *sql.Stmt
}

const (
	selectConversation = "SELECT " + conversationColumns + " FROM conversations c WHERE c.id = ?"
	selectMember       = "SELECT " + memberColumns + " FROM members m WHERE m.conversation_id = ? AND m.user_id = ?"
)

// countUnread counts messages of others after a position: conversation, position, user, the user as an actor, limit.
//
// Who writes very much and reads nothing has all of their own messages after the read position: the last 5,000 are looked
// at. What the member hid among them is read once, before they are.
func countUnread(says sqlDialect) string {
	from := says.greatest("?2, (SELECT last_seq FROM conversations WHERE id = ?1) - 5000")
	return "SELECT count(*) FROM (SELECT 1 FROM messages WHERE conversation_id = ?1 " +
		"AND seq > " + from + " AND sender_id NOT IN (?3, ?4) AND NOT deleted " +
		"AND seq NOT IN (SELECT h.seq FROM hiddens h WHERE h.conversation_id = ?1 AND h.user_id = ?3 " +
		"AND h.seq > " + from + ") LIMIT ?5) counted"
}

// countMentioned counts messages of others after a position that mean a user: conversation, position, user, limit.
func countMentioned(says sqlDialect) string {
	return "SELECT count(*) FROM (SELECT 1 FROM mentions n" + says.fromThis() + "messages g " +
		"ON g.conversation_id = n.conversation_id AND g.seq = n.seq WHERE n.conversation_id = ?1 " +
		"AND n.user_id IN (?3, '') AND n.seq > ?2 AND g.sender_id <> ?3 AND NOT g.deleted " +
		"AND NOT EXISTS (SELECT 1 FROM hiddens h WHERE h.conversation_id = ?1 AND h.user_id = ?3 AND h.seq = n.seq) LIMIT ?4) counted"
}

func prepareConversations(ctx context.Context, db *sql.DB, says sqlDialect) (conversationStatements, error) {
	var problems []error
	prepare := func(query string) *sql.Stmt {
		statement, err := db.PrepareContext(ctx, query)
		problems = append(problems, err)
		return statement
	}
	changed := "CASE WHEN m.role = 0 THEN m.version ELSE " + says.greatest("m.version, c.version") + " END"
	return conversationStatements{
		lastCommit:   prepare("SELECT number FROM counters WHERE id = 1"),
		conversation: prepare(selectConversation),
		member:       prepare(selectMember),
		// What happens in a conversation is nothing to those who left it.
		list: prepare("SELECT " + conversationColumns + ", " + memberColumns + ", " +
			changed + " AS changed FROM members m JOIN conversations c ON c.id = m.conversation_id WHERE m.user_id = ? " +
			"AND " + changed + " > ? AND (m.role > 0 OR ? > 0) ORDER BY changed, c.id LIMIT ?"),
		ids: prepare("SELECT m.id, m.conversation_id FROM members m WHERE m.user_id = ? AND m.role > 0 AND m.id > ? " +
			"ORDER BY m.id LIMIT ?"),
		// Two seeks in one index: SQLite would read all who joined with one commit to compare pairs of times and rows.
		members: prepare("SELECT m.id, " + memberColumns + " FROM members m WHERE m.conversation_id = ?1 AND m.role = ?2 " +
			"AND m.joined_at = ?3 AND m.id > ?4 UNION ALL SELECT m.id, " + memberColumns + " FROM members m " +
			"WHERE m.conversation_id = ?1 AND m.role = ?2 AND m.joined_at > ?3 ORDER BY joined_at, id LIMIT ?5"),
		changedMembers: prepare("SELECT " + memberColumns + " FROM members m WHERE m.conversation_id = ? " +
			"AND m.member_version > ? ORDER BY m.member_version, m.id LIMIT ?"),
		unread:    prepare(countUnread(says)),
		mentioned: prepare(countMentioned(says)),
		readers: prepare("SELECT m.user_id FROM members m WHERE m.conversation_id = ? AND m.role > 0 AND m.read_seq >= ? " +
			"AND m.first_seq <= ? AND m.user_id <> ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?"),
		positions: prepare("SELECT m.first_seq, m.read_seq, m.delivered_seq FROM members m WHERE m.conversation_id = ?1 " +
			"AND m.role > 0 AND m.user_id <> ?2 AND m.first_seq <= ?3 AND (m.read_seq >= ?4 OR m.delivered_seq >= ?4)"),
	}, errors.Join(problems...)
}

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(targets ...any) error }

// conversationTargets are where a conversation's columns go, and what is still to be done with them.
func conversationTargets(c *Conversation) (targets []any, finish func()) {
	var key sql.NullString
	targets = []any{
		&c.ID, &c.Kind, &c.OwnerID, &key, &c.Title, &c.AvatarURL, &c.Announcement, &c.History, &c.Join, &c.MutedAll,
		&c.Disbanded, &c.MemberCount, &c.MemberVersion, &c.Epoch, &c.LastSeq, &c.LastChange, &c.SharedFrom, &c.Likes,
		&c.Version, &c.CreatedAt,
	}
	return targets, func() {
		c.CreatedAt = c.CreatedAt.UTC()
		if pair, ok := strings.CutPrefix(key.String, pairPrefix); ok {
			c.Users[0], c.Users[1], _ = strings.Cut(pair, " ")
		}
	}
}

func memberTargets(m *Member) (targets []any, finish func()) {
	var joinedAt, mutedUntil int64
	targets = []any{
		&m.ConversationID, &m.UserID, &m.Role, &joinedAt, &m.FirstSeq, &m.ClearedSeq, &m.ReadSeq, &m.DeliveredSeq,
		&m.HiddenChange, &mutedUntil, &m.Silent, &m.Pinned, &m.Archived, &m.MemberVersion, &m.Version,
	}
	return targets, func() {
		m.JoinedAt = time.UnixMicro(joinedAt).UTC()
		if mutedUntil != 0 {
			m.MutedUntil = time.UnixMicro(mutedUntil).UTC()
		}
	}
}

func scanConversation(r row) (c Conversation, err error) {
	targets, finish := conversationTargets(&c)
	if err := r.Scan(targets...); errors.Is(err, sql.ErrNoRows) {
		return Conversation{}, conversationNotFound()
	} else if err != nil {
		return Conversation{}, fmt.Errorf("read conversation: %w", err)
	}
	finish()
	return c, nil
}

// scanMember reads a member; one who never was is returned as gone.
func scanMember(r row, conversationID, userID string) (m Member, err error) {
	targets, finish := memberTargets(&m)
	if err := r.Scan(targets...); errors.Is(err, sql.ErrNoRows) {
		return Member{ConversationID: conversationID, UserID: userID}, nil
	} else if err != nil {
		return Member{}, fmt.Errorf("read member: %w", err)
	}
	finish()
	return m, nil
}

// conversation returns a conversation as it is now. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *store) conversation(ctx context.Context, id string) (Conversation, error) {
	return scanConversation(s.conversations.conversation.QueryRowContext(ctx, id))
}

// member returns a user's side of a conversation, gone for one who is not and never was in it.
func (s *store) member(ctx context.Context, conversationID, userID string) (Member, error) {
	return scanMember(s.conversations.member.QueryRowContext(ctx, conversationID, userID), conversationID, userID)
}

// conversation is store.conversation in the transaction.
func (b *batch) conversation(id string) (Conversation, error) {
	c, err := scanConversation(b.tx().QueryRowContext(b.ctx, selectConversation, id))
	if p := b.places[id]; err == nil && p != nil { // the numbers are written at the end
		c.LastSeq, c.LastChange, c.SharedFrom = p.lastSeq, p.lastChange, p.sharedFrom
		if p.touched {
			c.Version = b.number
		}
	}
	return c, err
}

// member is store.member in the transaction.
func (b *batch) member(conversationID, userID string) (Member, error) {
	return scanMember(b.tx().QueryRowContext(b.ctx, selectMember, conversationID, userID), conversationID, userID)
}

// lastCommit returns the number of the last commit.
func (s *store) lastCommit(ctx context.Context) (n int64, err error) {
	if err := s.conversations.lastCommit.QueryRowContext(ctx).Scan(&n); err != nil {
		return 0, fmt.Errorf("read last commit: %w", err)
	}
	return n, nil
}

// mine is a conversation as a user has it in their list.
type mine struct {
	Conversation

	Member  Member
	Changed int64 // number of the commit that last changed it for the user
}

// listChanged returns up to limit conversations of a user that changed after a commit, in the order of their changes.
func (s *store) listChanged(ctx context.Context, userID string, after int64, limit int) (list []mine, err error) {
	rows, err := s.conversations.list.QueryContext(ctx, userID, after, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var item mine
		first, finishFirst := conversationTargets(&item.Conversation)
		second, finishSecond := memberTargets(&item.Member)
		if err := rows.Scan(append(append(first, second...), &item.Changed)...); err != nil {
			return nil, fmt.Errorf("list conversations: %w", err)
		}
		finishFirst()
		finishSecond()
		list = append(list, item)
	}
	return list, nil
}

// unread counts, by countUnread and countMentioned, messages of others after the member's read position, among the last
// 5,000, and those that mean the member, each up to unreadMost. What the member hid does not count.
func unread(ctx context.Context, unread, mentioned *sql.Stmt, m Member) (messages, mentions int, err error) {
	from := max(m.ReadSeq, m.first()-1)
	first := unread.QueryRowContext(ctx, m.ConversationID, from, m.UserID, actorMark+m.UserID, unreadMost).Scan(&messages)
	second := mentioned.QueryRowContext(ctx, m.ConversationID, from, m.UserID, unreadMost).Scan(&mentions)
	if err := errors.Join(first, second); err != nil {
		return 0, 0, fmt.Errorf("count unread messages: %w", err)
	}
	return messages, mentions, nil
}

// listMembers returns up to limit members after one, owner and admins first and then in the order of joining, and the last.
func (s *store) listMembers(
	ctx context.Context, conversationID string, after memberCursor, limit int,
) (members []Member, last memberCursor, err error) {
	for ; after.Role > gone && len(members) < limit; after = (memberCursor{Role: after.Role - 1}) {
		// One role at a time, so that a page reads no members of the pages before.
		if members, last, err = s.appendMembers(ctx, members, conversationID, after, limit-len(members)); err != nil {
			return nil, memberCursor{}, fmt.Errorf("list members: %w", err)
		}
	}
	return members, last, nil
}

func (s *store) appendMembers(
	ctx context.Context, members []Member, conversationID string, after memberCursor, limit int,
) (_ []Member, last memberCursor, err error) {
	rows, err := s.conversations.members.QueryContext(ctx, conversationID, after.Role, after.Joined, after.Row, limit)
	if err != nil {
		return nil, last, err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var m Member
		targets, finish := memberTargets(&m)
		if err := rows.Scan(append([]any{&last.Row}, targets...)...); err != nil {
			return nil, last, err
		}
		finish()
		members, last.Role, last.Joined = append(members, m), m.Role, m.JoinedAt.UnixMicro()
	}
	return members, last, nil
}

// changedMembers returns up to limit members whose last change came after a version, in the order of their changes.
func (s *store) changedMembers(
	ctx context.Context, conversationID string, after int64, limit int,
) (members []Member, err error) {
	rows, err := s.conversations.changedMembers.QueryContext(ctx, conversationID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list changed members: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var m Member
		targets, finish := memberTargets(&m)
		if err := rows.Scan(targets...); err != nil {
			return nil, fmt.Errorf("list changed members: %w", err)
		}
		finish()
		members = append(members, m)
	}
	return members, nil
}

// memberRow is a conversation of a user, and the row that says so.
type memberRow struct {
	row            int64
	conversationID string
}

// conversationIDs returns up to limit conversations of a user after a row.
func (s *store) conversationIDs(
	ctx context.Context, userID string, after int64, limit int,
) (list []memberRow, err error) {
	rows, err := s.conversations.ids.QueryContext(ctx, userID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list conversation ids: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var r memberRow
		if err := rows.Scan(&r.row, &r.conversationID); err != nil {
			return nil, fmt.Errorf("list conversation ids: %w", err)
		}
		list = append(list, r)
	}
	return list, nil
}
