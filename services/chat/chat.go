// Package chat is talk: conversations, the messages in them, and what else happens around them while people look.
//
// A message is taken in by one writer, which gives it its place (conversation, epoch, seq) and commits it together with
// an outbox row; only then is it acknowledged, published on the bus and handed to subscribers. A subscriber knows its
// position, so repeats are dropped and gaps are filled from the store.
//
// A message can be taken away. Its place stays, and nothing shows who wrote what there any more.
//
// What must never happen here: an acknowledged message that is lost, doubled or reordered within its conversation, a slow
// reader that makes anything grow without bound or wait, and a message that was taken away and comes back.
//
// Messages and events have no second form of their own: the contract's (stoa.chat.v1) is what is stored, published and
// sent.
package chat

import (
	"context"
	"time"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// Reasons of this service's own errors.
const (
	ReasonConversationNotFound = "CONVERSATION_NOT_FOUND"
	ReasonMessageNotFound      = "MESSAGE_NOT_FOUND"
	ReasonMuteNotFound         = "MUTE_NOT_FOUND"
	ReasonMuted                = "MUTED"
	ReasonSlowConsumer         = "SLOW_CONSUMER"
	ReasonTooManySubscriptions = "TOO_MANY_SUBSCRIPTIONS"
	ReasonDraining             = "DRAINING"
)

// Topics of this service's events.
const (
	TopicMessageStored  = "chat.message_stored"
	TopicMessageDeleted = "chat.message_deleted"
	TopicLikesAdded     = "chat.likes_added"
	TopicViewersChanged = "chat.viewers_changed"
)

const (
	// greeting is how many messages welcome a newcomer.
	greeting = 200
	// pageSize is how many messages are read at once.
	pageSize = 200
	// firstEpoch is the epoch of a new conversation.
	firstEpoch = 1
)

// Conversation is a place in which messages are numbered from 1 without gaps. All but LastSeq and Likes stays as it is
// while the process runs.
type Conversation struct {
	ID      string // ULID
	Kind    chatv1.ConversationKind
	OwnerID string
	// Epoch is the generation of the history.
	Epoch int64
	// LastSeq is the number of the last message, 0 before the first.
	LastSeq   int64
	Likes     int64
	CreatedAt time.Time
}

// mayWrite is the rule of who talks: in a live room those who signed up, and so the staff. Errors: PERMISSION_DENIED
// (FORBIDDEN).
func (c Conversation) mayWrite(p authn.Principal) error {
	switch c.Kind {
	case chatv1.ConversationKind_CONVERSATION_KIND_LIVE_ROOM:
		if p.Role >= authv1.Role_ROLE_USER {
			return nil
		}
	default:
	}
	return errs.PermissionDenied(errs.ReasonForbidden, "sign up to talk here")
}

// Position is a place in a conversation: after the message Seq of the history Epoch.
type Position struct {
	Epoch, Seq int64
}

// start returns the seq after which a subscriber's history begins. A position that this history does not have (of
// another epoch, or in its future) says nothing about what was seen, and neither does none: both get the greeting.
func (c Conversation) start(after *Position) int64 {
	if after != nil && after.Epoch == c.Epoch && after.Seq <= c.LastSeq {
		return after.Seq
	}
	return max(0, c.LastSeq-greeting)
}

// Sink is where a subscriber's events go: one stream of one transport.
type Sink interface {
	// Send writes an event, waiting as long as the peer does not read. It is called by one goroutine at a time.
	Send(event *chatv1.Event) error
	// Expire lets a Send that waits, and those to come, fail once d has passed. It may be called during a Send.
	Expire(d time.Duration)
}

func conversationNotFound() *errs.Error {
	return errs.NotFound(ReasonConversationNotFound, "there is no such conversation")
}

func messageNotFound() *errs.Error {
	return errs.NotFound(ReasonMessageNotFound, "there is no such message")
}

func muteNotFound() *errs.Error {
	return errs.NotFound(ReasonMuteNotFound, "this user is not muted there")
}

func slowConsumer() *errs.Error {
	return errs.ResourceExhausted(ReasonSlowConsumer, "this stream was read too slowly, come back with the last position")
}

func draining() *errs.Error {
	return errs.Unavailable(ReasonDraining, "the server stops, come back with the last position")
}

func notStored(cause error) *errs.Error {
	return errs.Unavailable(errs.ReasonUnavailable, "the message could not be stored, send it again").Because(cause)
}

func notDeleted(cause error) *errs.Error {
	return errs.Unavailable(errs.ReasonUnavailable, "the message could not be taken away, try again").Because(cause)
}

// ended tells why a context is over, in the words that were given to it.
func ended(ctx context.Context) error { return context.Cause(ctx) }
