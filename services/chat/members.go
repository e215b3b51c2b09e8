package chat

import (
	"context"
	"fmt"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	ent "github.com/stoa-live/stoa/gen/ent/chat"
	"github.com/stoa-live/stoa/gen/ent/chat/conversation"
	"github.com/stoa-live/stoa/gen/ent/chat/member"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

// namedMost is how many people one event or message names.
const namedMost = 100

// putMember stores a member.
func (b *batch) putMember(m Member) error {
	b.rights[m.ConversationID] = true
	var mutedUntil int64
	if !m.MutedUntil.IsZero() {
		mutedUntil = m.MutedUntil.UnixMicro()
	}
	err := b.ent().Member.Create().SetConversationID(m.ConversationID).SetUserID(m.UserID).SetRole(int(m.Role)).
		SetJoinedAt(m.JoinedAt.UnixMicro()).SetFirstSeq(m.FirstSeq).SetClearedSeq(m.ClearedSeq).
		SetReadSeq(m.ReadSeq).SetDeliveredSeq(m.DeliveredSeq).SetHiddenChange(m.HiddenChange).SetMutedUntil(mutedUntil).SetSilent(m.Silent).SetPinned(m.Pinned).
		SetArchived(m.Archived).SetMemberVersion(m.MemberVersion).SetVersion(m.Version).
		OnConflictColumns(member.FieldConversationID, member.FieldUserID).UpdateNewValues().Exec(b.ctx)
	if err != nil {
		return fmt.Errorf("store member: %w", err)
	}
	return nil
}

// putConversation stores what a conversation is; its numbers are written at the end of the batch.
func (b *batch) putConversation(c Conversation) error {
	b.rights[c.ID] = true
	err := b.ent().Conversation.UpdateOneID(c.ID).SetOwnerID(c.OwnerID).SetTitle(c.Title).SetAvatarURL(c.AvatarURL).
		SetAnnouncement(c.Announcement).SetHistory(int(c.History)).SetJoinPolicy(int(c.Join)).SetMutedAll(c.MutedAll).
		SetDisbanded(c.Disbanded).SetMemberCount(c.MemberCount).SetMemberVersion(c.MemberVersion).Exec(b.ctx)
	if err != nil {
		return fmt.Errorf("store conversation: %w", err)
	}
	return b.touch(c.ID)
}

// opening is a conversation to be made, of which there is one for a key.
type opening struct {
	key   string
	kind  chatv1.ConversationKind
	users []string // its members
	role  chatv1.MemberRole
	// of a group:
	fill func(c *Conversation)
}

// openUnique returns the conversation of a key, made if there is none.
func (s *Service) openUnique(b *batch, o opening) (Conversation, error) {
	found, err := b.ent().Conversation.Query().Where(conversation.UniqueKey(o.key)).OnlyID(b.ctx)
	if err == nil {
		return b.conversation(found)
	}
	if !ent.IsNotFound(err) {
		return Conversation{}, fmt.Errorf("find conversation: %w", err)
	}
	c := Conversation{ID: ulid.Make().String(), Kind: o.kind, Epoch: firstEpoch, CreatedAt: b.now}
	if o.fill != nil {
		o.fill(&c)
	}
	if err := b.ent().Conversation.Create().SetID(c.ID).SetKind(int(c.Kind)).SetOwnerID(c.OwnerID).SetEpoch(c.Epoch).
		SetCreatedAt(c.CreatedAt).SetUniqueKey(o.key).Exec(b.ctx); err != nil {
		return Conversation{}, fmt.Errorf("create conversation: %w", err)
	}
	change := &membersChange{service: s, batch: b, conversation: c}
	for _, user := range o.users {
		if err := change.add(user, o.role); err != nil {
			return Conversation{}, err
		}
	}
	if err := change.finish(nil); err != nil {
		return Conversation{}, err
	}
	return b.conversation(c.ID)
}

// membersChange changes who is in a conversation, inside of a batch.
type membersChange struct {
	service      *Service
	batch        *batch
	conversation Conversation
	changed      []Member
	come         []Member
	went         []Member
}

// put stores a member whose change others see.
func (g *membersChange) put(m Member) (Member, error) {
	g.conversation.MemberVersion++
	m.MemberVersion, m.Version = g.conversation.MemberVersion, g.batch.number
	g.changed = append(g.changed, m)
	g.batch.onCommit(func() { g.service.facts.putMember(m) })
	return m, g.batch.putMember(m)
}

// add makes a user a member, who sees what the conversation shows to newcomers; one who is, stays as they are.
func (g *membersChange) add(userID string, role chatv1.MemberRole) error {
	m, err := g.batch.member(g.conversation.ID, userID)
	if err != nil || m.here() {
		return err
	}
	p, err := g.batch.place(g.conversation.ID)
	if err != nil {
		return err
	}
	m.Role, m.JoinedAt = role, g.batch.now
	if g.conversation.History == chatv1.HistoryVisibility_HISTORY_VISIBILITY_ALL {
		if m.FirstSeq > 1 { // who was here before and saw less has not read what they see now
			m.ReadSeq, m.DeliveredSeq = 0, 0
		}
		m.FirstSeq = 1
	} else {
		m.FirstSeq = p.lastSeq + 1
		m.ReadSeq, m.DeliveredSeq = p.lastSeq, p.lastSeq
		if m.FirstSeq > p.sharedFrom {
			p.sharedFrom, p.raised = m.FirstSeq, true
		}
	}
	g.conversation.MemberCount++
	if m, err = g.put(m); err != nil {
		return err
	}
	g.come = append(g.come, m)
	return nil
}

// remove takes a member out.
func (g *membersChange) remove(m Member) error {
	m.Role = gone
	g.conversation.MemberCount--
	m, err := g.put(m)
	if err != nil {
		return err
	}
	g.went = append(g.went, m)
	return nil
}

// finish stores the conversation and tells of the change: in the conversation, where edges learn from it who hears what
// comes next, and to those who came and went. users are those who are known by more than their ids.
func (g *membersChange) finish(users map[string]*authv1.User) error {
	b, c := g.batch, g.conversation
	if err := b.putConversation(c); err != nil {
		return err
	}
	for start := 0; start < len(g.changed); start += namedMost {
		part := g.changed[start:min(start+namedMost, len(g.changed))]
		event := &chatv1.MembersChanged{
			MemberVersion: part[len(part)-1].MemberVersion, MemberCount: int32(c.MemberCount), //nolint:gosec // at most 100,000
		}
		for _, m := range part {
			event.Members = append(event.GetMembers(), memberToProto(m, users))
		}
		b.tell(&chatv1.Event{ConversationId: c.ID, Kind: &chatv1.Event_Members{Members: event}})
	}
	now, err := b.conversation(c.ID)
	if err != nil {
		return err
	}
	b.onCommit(func() { g.service.facts.putConversation(now) })
	for _, m := range append(g.come, g.went...) {
		if err := g.service.tellOwn(b, now, m); err != nil {
			return err
		}
	}
	return nil
}

// memberToProto is a member as other members see them.
func memberToProto(m Member, users map[string]*authv1.User) *chatv1.Member {
	out := &chatv1.Member{
		User: users[m.UserID], Role: m.Role, JoinedAt: timestamppb.New(m.JoinedAt), Version: m.MemberVersion,
	}
	if out.GetUser() == nil {
		out.User = &authv1.User{Id: m.UserID}
	}
	if !m.MutedUntil.IsZero() {
		out.MutedUntil = timestamppb.New(m.MutedUntil)
	}
	return out
}

// OpenDirect returns the direct conversation of p with another user, made if there is none. Errors: NOT_FOUND
// (USER_NOT_FOUND), INVALID_ARGUMENT, RESOURCE_EXHAUSTED (RATE_LIMITED).
func (s *Service) OpenDirect(ctx context.Context, p authn.Principal, userID string) (*chatv1.ConversationState, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	if userID == p.UserID {
		return nil, invalid("user_id: this is yourself")
	}
	pair := [2]string{min(p.UserID, userID), max(p.UserID, userID)}
	key := pairPrefix + pair[0] + " " + pair[1]
	if id, err := s.store.read.Conversation.Query().Where(conversation.UniqueKey(key)).OnlyID(ctx); err == nil {
		return s.GetConversation(ctx, p, id)
	} else if !ent.IsNotFound(err) {
		return nil, fmt.Errorf("find conversation: %w", err)
	}
	if err := s.limits.act(p.UserID); err != nil {
		return nil, err
	}
	if _, err := s.senders.get(ctx, userID); err != nil {
		return nil, err
	}
	var c Conversation
	err := s.writer.change(ctx, func(b *batch) (err error) {
		c, err = s.openUnique(b, opening{key: key, kind: direct, users: pair[:], role: plain})
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.GetConversation(ctx, p, c.ID)
}

// ConversationIDs returns a page of the conversations that a user belongs to. Errors: INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ConversationIDs(
	ctx context.Context, userID string, size int, token string,
) (ids []string, next string, err error) {
	cursor, _, err := pagination.Decode[rowCursor](token)
	if err != nil {
		return nil, "", err
	}
	rows, err := s.store.conversationIDs(ctx, userID, cursor.Row, size+1)
	if err != nil {
		return nil, "", err
	}
	rows, next = pagination.Page(rows, size, func(last memberRow) rowCursor { return rowCursor{Row: last.row} })
	ids = make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.conversationID
	}
	return ids, next, nil
}

// FilterContacts returns those of userIDs with whom a user has a direct conversation.
func (s *Service) FilterContacts(ctx context.Context, userID string, userIDs []string) ([]string, error) {
	keys := make([]string, len(userIDs))
	other := make(map[string]string, len(userIDs))
	for i, id := range userIDs {
		keys[i] = pairPrefix + min(userID, id) + " " + max(userID, id)
		other[keys[i]] = id
	}
	rows, err := s.store.read.Conversation.Query().Where(conversation.UniqueKeyIn(keys...)).
		Select(conversation.FieldUniqueKey).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find contacts: %w", err)
	}
	var contacts []string
	for _, r := range rows {
		if r.UniqueKey != nil {
			contacts = append(contacts, other[*r.UniqueKey])
		}
	}
	return contacts, nil
}

// Room is what an edge needs to let somebody into a live room.
type Room struct {
	Position Position
	Change   int64 // the last one
	Likes    int64
}

// GetRoom lets a user into a live room; unseen, its owner and the staff only. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND),
// PERMISSION_DENIED (FORBIDDEN).
func (s *Service) GetRoom(ctx context.Context, id, userID string, unseen, staff bool) (Room, error) {
	c, err := s.store.conversation(ctx, id)
	if err != nil {
		return Room{}, err
	}
	if c.Kind != liveRoom {
		return Room{}, conversationNotFound()
	}
	if unseen && !staff && userID != c.OwnerID {
		return Room{}, forbidden("only the owner and the staff may watch unseen").With("required_role", authn.Moderator.String())
	}
	return Room{
		Position: Position{Epoch: c.Epoch, Seq: c.LastSeq}, Change: c.LastChange, Likes: s.likes.told(id, c.Likes),
	}, nil
}

// ListMembers returns a page of a conversation's members, owner and admins first and then in the order of joining, and the
// version that SyncMembers goes on from. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND), INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListMembers(
	ctx context.Context, p authn.Principal, id string, size int, token string,
) (members []*chatv1.Member, next string, version int64, err error) {
	cursor, ok, err := pagination.Decode[memberCursor](token)
	if err != nil {
		return nil, "", 0, err
	}
	if !ok {
		cursor.Role = master
	}
	v, err := s.seeMembers(ctx, p, id)
	if err != nil {
		return nil, "", 0, err
	}
	list, last, err := s.store.listMembers(ctx, id, cursor, size)
	if err != nil {
		return nil, "", 0, err
	}
	if len(list) == size {
		next = pagination.Encode(last)
	}
	members, err = s.namedMembers(ctx, list)
	return members, next, v.MemberVersion, err
}

// SyncMembers returns up to size members that changed after a version, those who went included, the version to go on from,
// and whether nothing is left. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) SyncMembers(
	ctx context.Context, p authn.Principal, id string, after int64, size int,
) (members []*chatv1.Member, version int64, done bool, err error) {
	if _, err := s.seeMembers(ctx, p, id); err != nil {
		return nil, 0, false, err
	}
	list, err := s.store.changedMembers(ctx, id, after, size)
	if err != nil {
		return nil, 0, false, err
	}
	version = after
	if len(list) > 0 {
		version = list[len(list)-1].MemberVersion
	}
	members, err = s.namedMembers(ctx, list)
	return members, version, len(list) < size, err
}

// seeMembers is seeNow for conversations that have members.
func (s *Service) seeMembers(ctx context.Context, p authn.Principal, id string) (seen, error) {
	v, err := s.seeNow(ctx, p, id)
	if err == nil && !v.hasMembers() {
		err = conversationNotFound()
	}
	return v, err
}

func (s *Service) namedMembers(ctx context.Context, list []Member) ([]*chatv1.Member, error) {
	ids := make([]string, len(list))
	for i, m := range list {
		ids[i] = m.UserID
	}
	users, err := s.senders.many(ctx, ids)
	if err != nil {
		return nil, err
	}
	members := make([]*chatv1.Member, len(list))
	for i, m := range list {
		members[i] = memberToProto(m, users)
	}
	return members, nil
}
