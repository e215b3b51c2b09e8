package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
)

// How long after it was sent a message can be changed and taken back by who wrote it.
const (
	editWindow   = 24 * time.Hour
	recallWindow = 2 * time.Minute
)

// maxPins is how many messages a conversation may have on its board.
const maxPins = 50

func notYours() *errs.Error { return forbidden("this message is somebody else's") }

func tooLate(what string) *errs.Error {
	return errs.FailedPrecondition(ReasonTooLate, "it is too late to %s this message", what)
}

// changing lets act change a message that p sees. What act returns is stored as the message's next change; nil means that
// nothing changes. It returns the message as it is afterwards.
func (s *Service) changing(
	ctx context.Context, p authn.Principal, id string, seq int64,
	act func(b *batch, v seen, m *chatv1.Message) (*chatv1.Message, error),
) (*chatv1.Message, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	if _, err := s.see(ctx, p, id); err != nil {
		return nil, err
	}
	if err := s.limits.act(p.UserID); err != nil {
		return nil, err
	}
	var out *chatv1.Message
	var member Member
	err := s.writer.change(ctx, func(b *batch) error {
		v, err := b.see(p, id)
		if err != nil {
			return err
		}
		if member = v.Member; seq < member.first() {
			return messageNotFound()
		}
		m, err := b.message(id, seq)
		if err != nil {
			return err
		}
		out = m
		changed, err := act(b, v, m)
		if err != nil || changed == nil {
			return err
		}
		out = changed
		return b.change(changed)
	})
	if err != nil {
		return nil, err
	}
	// The event shares the message with all: what is only the caller's goes into a copy.
	out = proto.CloneOf(out)
	return out, s.forMember(ctx, member, []*chatv1.Message{out})
}

// see is Service.see in the transaction.
func (b *batch) see(p authn.Principal, id string) (seen, error) {
	c, err := b.conversation(id)
	if err != nil {
		return seen{}, err
	}
	return seeAs(c, p.UserID, func() (Member, error) { return b.member(id, p.UserID) })
}

// EditMessage changes the text or caption of a message of p's. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND,
// MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN, MUTED), FAILED_PRECONDITION (TOO_LATE, GROUP_DISBANDED),
// INVALID_ARGUMENT.
func (s *Service) EditMessage(
	ctx context.Context, p authn.Principal, id string, seq int64, content *chatv1.Content, mentions *chatv1.Mentions,
) (*chatv1.Message, error) {
	v, err := s.mayWriteTo(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if content, err = cleanContent(content, v.Kind); err != nil {
		return nil, err
	}
	if mentions, err = s.cleanMentions(ctx, v, mentions); err != nil {
		return nil, err
	}
	return s.changing(ctx, p, id, seq, func(b *batch, v seen, m *chatv1.Message) (*chatv1.Message, error) {
		switch {
		case m.GetDeleted():
			return nil, messageNotFound()
		case m.GetSender().GetId() != p.UserID:
			return nil, notYours()
		case m.GetOrigin() != nil:
			return nil, forbidden("a forwarded message says what somebody else wrote")
		case b.now.Sub(m.GetSentAt().AsTime()) > editWindow:
			return nil, tooLate("edit")
		}
		if err := s.mayWriteIn(b, p, v); err != nil {
			return nil, err
		}
		if err := v.mayMention(mentions); err != nil {
			return nil, err
		}
		edited := proto.CloneOf(m)
		if err := edit(edited.GetContent(), content); err != nil {
			return nil, err
		}
		edited.Mentions, edited.EditedAt = mentions, timestamppb.New(b.now)
		if proto.Equal(edited.GetContent(), m.GetContent()) && proto.Equal(edited.GetMentions(), m.GetMentions()) {
			return nil, nil //nolint:nilnil // nothing changes
		}
		if v.hasMembers() {
			if err := b.forgetMentions(m); err != nil {
				return nil, err
			}
			if err := b.mention(edited); err != nil {
				return nil, err
			}
		}
		return edited, nil
	})
}

// edit puts the words of one content into another of the same kind.
func edit(into, from *chatv1.Content) error {
	switch kind := into.GetKind().(type) {
	case *chatv1.Content_Text:
		if from.GetText() == nil {
			break
		}
		kind.Text.Text = from.GetText().GetText()
		return nil
	case *chatv1.Content_Image:
		if from.GetImage() == nil {
			break
		}
		kind.Image.Caption = from.GetImage().GetCaption()
		return nil
	case *chatv1.Content_Video:
		if from.GetVideo() == nil {
			break
		}
		kind.Video.Caption = from.GetVideo().GetCaption()
		return nil
	}
	return invalid("content: only the text of a text, and the caption of a picture or film, can be changed")
}

// RecallMessage takes a message away: p's own for a while, or any as owner or admin of a group. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN), FAILED_PRECONDITION (TOO_LATE).
func (s *Service) RecallMessage(ctx context.Context, p authn.Principal, id string, seq int64) (*chatv1.Message, error) {
	return s.changing(ctx, p, id, seq, func(b *batch, v seen, m *chatv1.Message) (*chatv1.Message, error) {
		own := m.GetSender().GetId() == p.UserID
		rules := v.Kind == group && v.Member.Role >= admin
		switch {
		case m.GetDeleted():
			return nil, nil //nolint:nilnil // it is away
		case m.GetContent().GetSystem() != nil, !own && !rules:
			return nil, notYours()
		case own && !rules && b.now.Sub(m.GetSentAt().AsTime()) > recallWindow:
			return nil, tooLate("recall")
		}
		return b.takeAway(m, own)
	})
}

// takeAway removes all that belongs to a message but its place, its words in the quotes of answers included, and returns
// what is left, to be stored.
func (b *batch) takeAway(m *chatv1.Message, recalled bool) (*chatv1.Message, error) {
	left := proto.CloneOf(m)
	left.Recalled = recalled
	left = emptied(left)
	for _, table := range []string{"reactions", "pins"} {
		if _, err := b.tx().ExecContext(b.ctx,
			"DELETE FROM "+table+" WHERE conversation_id = ? AND seq = ?", //nolint:gosec // names of ours
			m.GetConversationId(), m.GetSeq()); err != nil {
			return nil, fmt.Errorf("take away message: %w", err)
		}
	}
	if err := b.forgetMentions(m); err != nil {
		return nil, err
	}
	if err := b.erase(placeKey{m.GetConversationId(), m.GetSeq()}); err != nil {
		return nil, err
	}
	return left, nil
}

// forgetMentions undoes mention: it looks for those whom the stored message means, by whom mentions are found.
func (b *batch) forgetMentions(m *chatv1.Message) error {
	for _, user := range meant(m) {
		if _, err := b.tx().ExecContext(b.ctx, "DELETE FROM mentions WHERE conversation_id = ? AND user_id = ? AND seq = ?",
			m.GetConversationId(), user, m.GetSeq()); err != nil {
			return fmt.Errorf("forget mentions: %w", err)
		}
	}
	return nil
}

// meant returns whom a message means, as it is stored: everyone is an empty user.
func meant(m *chatv1.Message) []string {
	if m.GetMentions().GetAll() {
		return []string{""}
	}
	return m.GetMentions().GetUserIds()
}

// PinMessage puts a message on the board or takes it down. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND),
// PERMISSION_DENIED (FORBIDDEN, MUTED), RESOURCE_EXHAUSTED (TOO_MANY_PINS), FAILED_PRECONDITION (GROUP_DISBANDED).
func (s *Service) PinMessage(
	ctx context.Context, p authn.Principal, id string, seq int64, remove bool,
) (*chatv1.Message, error) {
	from, err := s.senders.get(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	return s.changing(ctx, p, id, seq, func(b *batch, v seen, m *chatv1.Message) (*chatv1.Message, error) {
		switch {
		case v.Disbanded:
			return nil, disbanded()
		case v.Kind == group && v.Member.Role < admin, v.Kind == liveRoom && v.OwnerID != p.UserID, v.Kind == system:
			return nil, forbidden("this is for the owner and admins")
		case m.GetDeleted():
			return nil, messageNotFound()
		}
		if err := s.mayWriteIn(b, p, v); err != nil {
			return nil, err
		}
		if m.GetPinned() != remove {
			return nil, nil //nolint:nilnil // it is so already
		}
		if err := b.pin(m, remove); err != nil {
			return nil, err
		}
		pinned := proto.CloneOf(m)
		pinned.Pinned = !remove
		if remove || v.Kind != group {
			return pinned, nil
		}
		return pinned, b.say(id, &chatv1.SystemContent{Action: chatv1.SystemAction_SYSTEM_ACTION_PINNED}, from)
	})
}

func (b *batch) pin(m *chatv1.Message, remove bool) error {
	if remove {
		if _, err := b.tx().ExecContext(b.ctx, "DELETE FROM pins WHERE conversation_id = ? AND seq = ?",
			m.GetConversationId(), m.GetSeq()); err != nil {
			return fmt.Errorf("unpin message: %w", err)
		}
		return nil
	}
	var pins int
	if err := b.tx().QueryRowContext(b.ctx, "SELECT count(*) FROM pins WHERE conversation_id = ?", m.GetConversationId()).
		Scan(&pins); err != nil {
		return fmt.Errorf("count pins: %w", err)
	}
	if pins >= maxPins {
		return errs.ResourceExhausted(ReasonTooManyPins, "at most %d messages can be pinned", maxPins)
	}
	if _, err := b.tx().ExecContext(b.ctx, "INSERT INTO pins (conversation_id, seq) VALUES (?, ?)",
		m.GetConversationId(), m.GetSeq()); err != nil {
		return fmt.Errorf("pin message: %w", err)
	}
	return nil
}

// say posts what happened to a conversation.
func (b *batch) say(conversationID string, what *chatv1.SystemContent, actor *authv1.User) error {
	what.ActorId = actor.GetId()
	if len(what.GetUserIds()) > namedMost {
		what.UserIds = slices.Clone(what.GetUserIds()[:namedMost])
	}
	_, _, err := b.post(&chatv1.Message{
		ConversationId: conversationID, Content: &chatv1.Content{Kind: &chatv1.Content_System{System: what}},
	})
	return err
}

// ListPins returns the messages on the board, the last pinned first. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND).
func (s *Service) ListPins(ctx context.Context, p authn.Principal, id string) ([]*chatv1.Message, error) {
	v, err := s.see(ctx, p, id)
	if err != nil {
		return nil, err
	}
	seqs, err := s.store.pins(ctx, id, v.Member.first())
	if err != nil {
		return nil, err
	}
	var messages []*chatv1.Message
	for _, seq := range seqs {
		m, err := s.store.messageAt(ctx, v.Conversation, seq)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	if messages, err = s.withoutHidden(ctx, id, p.UserID, messages); err != nil {
		return nil, err
	}
	return messages, s.forMember(ctx, v.Member, messages)
}
