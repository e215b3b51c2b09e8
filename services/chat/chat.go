// Package chat is talk: conversations, the people and messages in them, and what changes about them.
//
// All that is stored goes through one writer, which gives each message its place (conversation, epoch, seq) and commits it
// together with an outbox row; only then is it acknowledged and published on the bus, from which edges take it to devices.
// A device knows its positions, so repeats are dropped and gaps are read from the store.
//
// A message can be taken away. Its place stays, and nothing shows what was written there any more.
//
// What must never happen here: an acknowledged message that is lost, doubled or reordered within its conversation; a
// message that was taken away and comes back; and anything told about a conversation to somebody who is not in it.
//
// Messages and events have no second form of their own: the contract's (stoa.chat.v1) is what is stored, published and
// sent.
package chat

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/errs"
)

// Reasons of this service's own errors.
const (
	ReasonConversationNotFound = "CONVERSATION_NOT_FOUND"
	ReasonMessageNotFound      = "MESSAGE_NOT_FOUND"
	ReasonMemberNotFound       = "MEMBER_NOT_FOUND"
	ReasonUserNotFound         = "USER_NOT_FOUND"
	ReasonMuteNotFound         = "MUTE_NOT_FOUND"
	ReasonMuted                = "MUTED"
	ReasonTooLate              = "TOO_LATE"
	ReasonPositionUnknown      = "POSITION_UNKNOWN"
	ReasonTooManyReactions     = "TOO_MANY_REACTIONS"
	ReasonTooManyPins          = "TOO_MANY_PINS"
	ReasonTooManyGroups        = "TOO_MANY_GROUPS"
	ReasonGroupDisbanded       = "GROUP_DISBANDED"
	ReasonGroupFull            = "GROUP_FULL"
	ReasonUserBanned           = "USER_BANNED"
	ReasonOwnerStays           = "OWNER_STAYS"
)

// Topics of this service's events.
const (
	TopicConversationEvents = "chat.conversation_events"
	TopicUserEvents         = "chat.user_events"
)

const (
	// pageSize is how many messages are read at once.
	pageSize = 200
	// firstEpoch is the epoch of a new conversation.
	firstEpoch = 1
)

// Conversation kinds, shorter.
const (
	liveRoom = chatv1.ConversationKind_CONVERSATION_KIND_LIVE_ROOM
	direct   = chatv1.ConversationKind_CONVERSATION_KIND_DIRECT
	group    = chatv1.ConversationKind_CONVERSATION_KIND_GROUP
	system   = chatv1.ConversationKind_CONVERSATION_KIND_SYSTEM
)

// Roles of members, shorter.
const (
	gone   = chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED
	plain  = chatv1.MemberRole_MEMBER_ROLE_MEMBER
	admin  = chatv1.MemberRole_MEMBER_ROLE_ADMIN
	master = chatv1.MemberRole_MEMBER_ROLE_OWNER
)

// Conversation is a place in which messages are numbered from 1 without gaps.
type Conversation struct {
	ID      string // ULID
	Kind    chatv1.ConversationKind
	OwnerID string
	// Users are the two of a direct conversation, in the order of their ids.
	Users [2]string

	Title        string
	AvatarURL    string
	Announcement string
	History      chatv1.HistoryVisibility
	Join         chatv1.JoinPolicy
	MutedAll     bool
	Disbanded    bool

	MemberCount   int
	MemberVersion int64

	// Epoch is the generation of the history.
	Epoch int64
	// LastSeq is the number of the last message, 0 before the first.
	LastSeq int64
	// LastChange is the number of the last change of a message.
	LastChange int64
	// SharedFrom is the highest FirstSeq that any member was given: from this message on everybody sees everything, and what
	// is older is not told to all.
	SharedFrom int64
	Likes      int64
	// Version is the number of the commit that last changed it.
	Version   int64
	CreatedAt time.Time
}

// hasMembers reports whether people belong to the conversation, instead of coming and going.
func (c Conversation) hasMembers() bool { return c.Kind != liveRoom }

// proto is what everyone in the conversation may know of it.
func (c Conversation) proto() *chatv1.Conversation {
	out := &chatv1.Conversation{
		Id: c.ID, Kind: c.Kind, Title: c.Title, AvatarUrl: c.AvatarURL, OwnerId: c.OwnerID, Announcement: c.Announcement,
		MemberCount: int32(c.MemberCount), MemberVersion: c.MemberVersion, //nolint:gosec // at most 100,000
		Epoch: c.Epoch, LastSeq: c.LastSeq, LastChange: c.LastChange, Disbanded: c.Disbanded,
		CreatedAt: timestamppb.New(c.CreatedAt),
	}
	switch c.Kind {
	case group:
		out.Settings = &chatv1.GroupSettings{History: c.History, Join: c.Join, MutedAll: c.MutedAll}
	case direct:
		out.UserIds = c.Users[:]
	default:
	}
	return out
}

// Member is one user's side of a conversation.
type Member struct {
	ConversationID string
	UserID         string
	Role           chatv1.MemberRole // gone for one who was, or never was
	JoinedAt       time.Time
	// FirstSeq is the first message that the conversation shows to the member, since they joined.
	FirstSeq int64
	// ClearedSeq is the message up to which the member cleared it for themselves, which is nobody else's business.
	ClearedSeq   int64
	ReadSeq      int64
	DeliveredSeq int64
	// HiddenChange is the number of the last change of what the member hid.
	HiddenChange int64
	MutedUntil   time.Time // zero for one who may write
	Silent       bool
	Pinned       bool
	Archived     bool
	// MemberVersion is the conversation's, at the last change that others see.
	MemberVersion int64
	// Version is the number of the commit that last changed it.
	Version int64
}

// here reports whether the user belongs to the conversation now.
func (m Member) here() bool { return m.Role != gone }

// first is the first message that the member sees.
func (m Member) first() int64 { return max(m.FirstSeq, m.ClearedSeq+1) }

// Position is a place in a conversation: after the message Seq of the history Epoch.
type Position struct {
	Epoch, Seq int64
}

func conversationNotFound() *errs.Error {
	return errs.NotFound(ReasonConversationNotFound, "there is no such conversation")
}

func messageNotFound() *errs.Error {
	return errs.NotFound(ReasonMessageNotFound, "there is no such message")
}

func memberNotFound() *errs.Error {
	return errs.NotFound(ReasonMemberNotFound, "this user is no member")
}

func muteNotFound() *errs.Error {
	return errs.NotFound(ReasonMuteNotFound, "this user is not muted there")
}

func forbidden(why string) *errs.Error {
	return errs.PermissionDenied(errs.ReasonForbidden, "%s", why)
}

func disbanded() *errs.Error {
	return errs.FailedPrecondition(ReasonGroupDisbanded, "the group was ended")
}

func invalid(format string, args ...any) *errs.Error {
	return errs.InvalidArgument(errs.ReasonInvalidArgument, format, args...)
}

func notStored(cause error) *errs.Error {
	return errs.Unavailable(errs.ReasonUnavailable, "it could not be stored, send it again").Because(cause)
}
