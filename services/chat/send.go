package chat

import (
	"context"
	"fmt"
	"strconv"
	"unicode/utf8"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// excerptLength is how much of a message its answers quote, in characters.
const excerptLength = 100

// Draft is a message that somebody wants to send.
type Draft struct {
	ConversationID string
	ClientMsgID    string
	Content        *chatv1.Content
	Mentions       *chatv1.Mentions // may be nil
	ReplyToSeq     int64            // 0 for none
}

// SendMessage stores a message of p and returns it with its place; it reaches devices after that. The same client_msg_id
// again returns the message that was stored the first time, also where a new one would be refused. Errors: INVALID_ARGUMENT,
// NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN, MUTED), FAILED_PRECONDITION
// (GROUP_DISBANDED), RESOURCE_EXHAUSTED (RATE_LIMITED), UNAVAILABLE.
func (s *Service) SendMessage(ctx context.Context, p authn.Principal, d Draft) (*chatv1.Message, error) {
	m, err := s.sendNew(ctx, p, d)
	if err == nil {
		return m, nil
	}
	stored, err := s.orStored(ctx, p, d.ConversationID, err, d.ClientMsgID)
	if err != nil {
		return nil, err
	}
	return stored[0], nil
}

// sendNew is SendMessage for a message that is most likely new.
func (s *Service) sendNew(ctx context.Context, p authn.Principal, d Draft) (*chatv1.Message, error) {
	v, err := s.mayWriteTo(ctx, p, d.ConversationID)
	if err != nil {
		return nil, err
	}
	content, err := cleanContent(d.Content, v.Kind)
	if err != nil {
		return nil, err
	}
	mentions, refused := s.cleanMentions(ctx, v, d.Mentions)
	if refused != nil && !isRefusal(refused) {
		return nil, refused
	}
	if err := s.limits.send(p.UserID, v.ID, v.Kind == liveRoom); err != nil {
		return nil, err
	}
	from, err := s.senders.get(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	m := &chatv1.Message{
		ConversationId: v.ID, Sender: from, Content: content, ClientMsgId: d.ClientMsgID, Mentions: mentions,
	}
	if d.ReplyToSeq > 0 {
		m.ReplyTo = &chatv1.Quote{Seq: d.ReplyToSeq}
	}
	return s.post(ctx, p, v, m, refused)
}

// mayWriteTo returns a conversation to somebody who may write there.
func (s *Service) mayWriteTo(ctx context.Context, p authn.Principal, id string) (seen, error) {
	if err := s.started(); err != nil {
		return seen{}, err
	}
	v, err := s.see(ctx, p, id)
	if err != nil {
		return seen{}, err
	}
	if err := v.mayWrite(p, s.deps.Now()); err != nil {
		return seen{}, err
	}
	return v, s.mutes.check(p.UserID, v.ID)
}

// post stores a message of somebody who may write, unless that has changed when its turn comes. One that is refused already
// waits for its turn, too, where the writer does not ask again: the same message may be before it in the queue.
func (s *Service) post(
	ctx context.Context, p authn.Principal, v seen, m *chatv1.Message, refused error,
) (*chatv1.Message, error) {
	var posted func(b *batch, m *chatv1.Message) error
	if m.GetMentions() != nil && v.hasMembers() {
		posted = (*batch).mention
	}
	var now seen
	stored, err := s.writer.send(ctx, m, func(b *batch) (err error) {
		if refused != nil {
			return refused
		}
		if now, err = s.mayStillWrite(b, p, v); err != nil {
			return err
		}
		if err := now.mayMention(m.GetMentions()); err != nil || m.GetReplyTo() == nil {
			return err
		}
		m.ReplyTo, err = b.quote(now, m.GetReplyTo().GetSeq())
		return err
	}, posted)
	if err != nil {
		return nil, err
	}
	stored = now.own(stored)
	return stored, s.markMine(ctx, v.ID, p.UserID, []*chatv1.Message{stored})
}

// mention notes whom a message means, to count it.
func (b *batch) mention(m *chatv1.Message) error {
	for _, user := range meant(m) {
		if _, err := b.store.says.inserted(b.raw.StmtContext(b.ctx, b.store.batches.insertMention).
			ExecContext(b.ctx, m.GetConversationId(), user, m.GetSeq())); err != nil {
			return fmt.Errorf("insert mention: %w", err)
		}
	}
	return nil
}

// cleanMentions refuses to mean people who are not in the conversation, and everyone where that is not the sender's to do.
func (s *Service) cleanMentions(ctx context.Context, v seen, mentions *chatv1.Mentions) (*chatv1.Mentions, error) {
	if mentions == nil || (!mentions.GetAll() && len(mentions.GetUserIds()) == 0) {
		return nil, nil //nolint:nilnil // there are none
	}
	if err := v.mayMention(mentions); err != nil {
		return nil, err
	}
	if v.hasMembers() {
		for _, id := range mentions.GetUserIds() {
			m, err := s.member(ctx, v.ID, id)
			if err != nil {
				return nil, err
			}
			if !m.here() {
				return nil, invalid("mentions.user_ids: %q is not in this conversation", id)
			}
		}
	}
	return &chatv1.Mentions{UserIds: mentions.GetUserIds(), All: mentions.GetAll()}, nil
}

// mayMention refuses to mean everyone where that is not the member's to do. Errors: PERMISSION_DENIED (FORBIDDEN).
func (v seen) mayMention(mentions *chatv1.Mentions) error {
	if mentions.GetAll() && (v.Kind != group || v.Member.Role < admin) {
		return forbidden("only the owner and admins of a group may mention everyone")
	}
	return nil
}

// quote returns what an answer shows of the message that it answers, as that is now: one that was taken away, or that not
// everybody may see, has no words. Errors: NOT_FOUND (MESSAGE_NOT_FOUND).
func (b *batch) quote(v seen, seq int64) (*chatv1.Quote, error) {
	if seq < v.Member.first() {
		return nil, messageNotFound()
	}
	m, err := b.message(v.ID, seq)
	if err != nil {
		return nil, err
	}
	p, err := b.place(v.ID)
	if err != nil {
		return nil, err
	}
	if m.GetDeleted() || seq < p.sharedFrom {
		return &chatv1.Quote{Seq: seq}, nil
	}
	return &chatv1.Quote{Seq: seq, Sender: m.GetSender(), Excerpt: excerpt(m.GetContent())}, nil
}

// excerpt returns the beginning of what stands in a message.
func excerpt(c *chatv1.Content) string {
	text := textOf(c)
	if utf8.RuneCountInString(text) <= excerptLength {
		return text
	}
	return string([]rune(text)[:excerptLength-1]) + "…"
}

func textOf(c *chatv1.Content) string {
	switch kind := c.GetKind().(type) {
	case *chatv1.Content_Text:
		return kind.Text.GetText()
	case *chatv1.Content_Image:
		return kind.Image.GetCaption()
	case *chatv1.Content_Video:
		return kind.Video.GetCaption()
	case *chatv1.Content_File:
		return kind.File.GetName()
	case *chatv1.Content_Location:
		return kind.Location.GetName()
	case *chatv1.Content_Card:
		return kind.Card.GetTitle()
	case *chatv1.Content_Custom:
		return kind.Custom.GetFallback()
	default:
		return ""
	}
}

// ForwardMessages stores messages that p sees in one conversation in another one, in their order. The same request again
// returns what was stored the first time, as SendMessage does. Errors: those of SendMessage, for both.
func (s *Service) ForwardMessages(
	ctx context.Context, p authn.Principal, fromID string, seqs []int64, toID, requestID string,
) ([]*chatv1.Message, error) {
	ids := make([]string, len(seqs))
	for i := range seqs {
		ids[i] = requestID + "/" + strconv.Itoa(i)
	}
	stored, err := s.forwardNew(ctx, p, fromID, seqs, toID, ids)
	if err != nil {
		return s.orStored(ctx, p, toID, err, ids...)
	}
	return stored, nil
}

func (s *Service) forwardNew(
	ctx context.Context, p authn.Principal, fromID string, seqs []int64, toID string, ids []string,
) ([]*chatv1.Message, error) {
	from, err := s.see(ctx, p, fromID)
	if err != nil {
		return nil, err
	}
	to, err := s.mayWriteTo(ctx, p, toID)
	if err != nil {
		return nil, err
	}
	sender, err := s.senders.get(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	if err := s.limits.sendMany(p.UserID, to.ID, to.Kind == liveRoom, len(seqs)); err != nil {
		return nil, err
	}
	refused := s.mayForward(ctx, p, from, seqs)
	if refused != nil && !isRefusal(refused) {
		return nil, refused
	}
	var stored []*chatv1.Message
	err = s.writer.changeMuch(ctx, moveWeight*len(seqs), func(b *batch) error {
		if refused != nil { // in its turn: the same request may be before it in the queue
			return refused
		}
		from, err := b.see(p, fromID)
		if err != nil {
			return err
		}
		to, err := s.mayStillWrite(b, p, to)
		if err != nil {
			return err
		}
		stored = nil
		for i, seq := range seqs {
			m, err := b.forwarded(from, to, seq)
			if err != nil {
				return err
			}
			m.Sender, m.ClientMsgId = sender, ids[i]
			if m, _, err = b.post(m); err != nil {
				return err
			}
			stored = append(stored, to.own(m))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, s.markMine(ctx, to.ID, p.UserID, stored) // they may have been there for long
}

// mayForward refuses messages that p has hidden. Errors: NOT_FOUND (MESSAGE_NOT_FOUND).
func (s *Service) mayForward(ctx context.Context, p authn.Principal, from seen, seqs []int64) error {
	if !from.hasMembers() {
		return nil
	}
	for _, seq := range seqs {
		if hidden, err := s.store.hiddenBetween(ctx, from.ID, p.UserID, seq, seq); err != nil {
			return err
		} else if len(hidden) > 0 {
			return messageNotFound()
		}
	}
	return nil
}

// forwarded makes a new message of one that is seen in another conversation, as that is now.
func (b *batch) forwarded(from, to seen, seq int64) (*chatv1.Message, error) {
	if seq < from.Member.first() {
		return nil, messageNotFound()
	}
	m, err := b.message(from.ID, seq)
	if err != nil {
		return nil, err
	}
	if m.GetDeleted() || m.GetContent().GetSystem() != nil {
		return nil, messageNotFound()
	}
	content, err := cleanContent(m.GetContent(), to.Kind)
	if err != nil {
		return nil, err
	}
	origin := m.GetOrigin()
	if origin == nil {
		origin = &chatv1.Origin{Sender: m.GetSender(), SentAt: m.GetSentAt()}
	}
	return &chatv1.Message{ConversationId: to.ID, Content: content, Origin: origin}, nil
}

// SendSystemMessage tells users something in their system conversations, which are made as needed. Errors:
// INVALID_ARGUMENT, UNAVAILABLE.
func (s *Service) SendSystemMessage(
	ctx context.Context, userIDs []string, clientMsgID string, content *chatv1.Content,
) error {
	if err := s.started(); err != nil {
		return err
	}
	content, err := cleanContent(content, system)
	if err != nil {
		return err
	}
	return s.writer.changeMuch(ctx, houseWeight*len(userIDs), func(b *batch) error {
		for _, id := range userIDs {
			c, err := s.openUnique(b, opening{
				key: "system:" + id, kind: system, users: []string{id}, role: plain,
			})
			if err != nil {
				return err
			}
			if _, _, err := b.post(&chatv1.Message{
				ConversationId: c.ID, Sender: &authv1.User{Id: "system"}, Content: content, ClientMsgId: clientMsgID,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
