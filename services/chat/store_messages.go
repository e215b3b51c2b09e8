package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const messageColumns = "SELECT seq, client_msg_id, body, sent_at, deleted, `change` FROM messages WHERE conversation_id = ?"

// messageStatements read messages. They live as long as the database.
type messageStatements struct {
	after, afterShown, beforeShown, changed, among, ownSigns, same *sql.Stmt
}

// notHidden leaves out what a user hid, inside of the statement: a page is empty only where nothing is left.
const notHidden = " AND NOT EXISTS (SELECT 1 FROM hiddens h WHERE h.conversation_id = messages.conversation_id " +
	"AND h.user_id = ? AND h.seq = messages.seq)"

func prepareMessages(ctx context.Context, db *sql.DB, says sqlDialect) (messageStatements, error) {
	after, first := db.PrepareContext(ctx, messageColumns+" AND seq > ? ORDER BY seq LIMIT ?")
	afterShown, second := db.PrepareContext(ctx, messageColumns+" AND seq > ?"+notHidden+" ORDER BY seq LIMIT ?")
	beforeShown, fifth := db.PrepareContext(ctx,
		messageColumns+" AND seq < ? AND seq >= ?"+notHidden+" ORDER BY seq DESC LIMIT ?")
	changed, third := db.PrepareContext(ctx,
		messageColumns+" AND `change` > 0 AND `change` > ? AND seq >= ? ORDER BY `change` LIMIT ?")
	among, fourth := db.PrepareContext(ctx, messageColumns+" AND seq IN ("+says.seqsOf()+") ORDER BY seq")
	same, seventh := db.PrepareContext(ctx, messageColumns+" AND sender_id = ? AND client_msg_id = ?")
	ownSigns, sixth := db.PrepareContext(ctx, says.ownSigns())
	return messageStatements{
		after: after, afterShown: afterShown, beforeShown: beforeShown, changed: changed, among: among, ownSigns: ownSigns,
		same: same,
	}, errors.Join(first, second, third, fourth, fifth, sixth, seventh)
}

// messagesAfter returns up to limit messages of c with a higher seq, oldest first.
func (s *store) messagesAfter(ctx context.Context, c Conversation, seq int64, limit int) ([]*chatv1.Message, error) {
	return s.readMessages(ctx, s.messages.after, c.ID, c.Epoch, c.ID, seq, limit)
}

// shownAfter returns up to limit messages of c with a higher seq that m may see and did not hide, oldest first.
func (s *store) shownAfter(ctx context.Context, c Conversation, m Member, seq int64, limit int) ([]*chatv1.Message, error) {
	seq = max(seq, m.first()-1)
	return s.readMessages(ctx, s.messages.afterShown, c.ID, c.Epoch, c.ID, seq, m.UserID, limit)
}

// shownBefore returns up to limit messages of c with a lower seq that m may see and did not hide: those nearest to it,
// oldest first.
func (s *store) shownBefore(ctx context.Context, c Conversation, m Member, seq int64, limit int) ([]*chatv1.Message, error) {
	messages, err := s.readMessages(ctx, s.messages.beforeShown, c.ID, c.Epoch, c.ID, seq, m.first(), m.UserID, limit)
	slices.Reverse(messages)
	return messages, err
}

// messagesChanged returns up to limit messages of c that changed after a change, those below floor left out, in the order
// of their last changes.
func (s *store) messagesChanged(
	ctx context.Context, c Conversation, change, floor int64, limit int,
) ([]*chatv1.Message, error) {
	return s.readMessages(ctx, s.messages.changed, c.ID, c.Epoch, c.ID, change, floor, limit)
}

// messagesAmong returns those messages of c that have one of the numbers, oldest first.
func (s *store) messagesAmong(ctx context.Context, c Conversation, seqs []int64) ([]*chatv1.Message, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return s.readMessages(ctx, s.messages.among, c.ID, c.Epoch, c.ID, string(list))
}

// messageAt returns one message. Errors: NOT_FOUND (MESSAGE_NOT_FOUND).
func (s *store) messageAt(ctx context.Context, c Conversation, seq int64) (*chatv1.Message, error) {
	messages, err := s.messagesAfter(ctx, c, seq-1, 1)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 || messages[0].GetSeq() != seq {
		return nil, messageNotFound()
	}
	return messages[0], nil
}

// readMessages returns messages as everybody may see them now.
func (s *store) readMessages(
	ctx context.Context, statement *sql.Stmt, conversationID string, epoch int64, args ...any,
) (messages []*chatv1.Message, err error) {
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	defer func() {
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			messages, err = nil, fmt.Errorf("read messages: %w", err)
		}
	}()
	for rows.Next() {
		m, err := scanMessage(rows)
		if err != nil {
			return nil, err
		}
		m.ConversationId, m.Epoch = conversationID, epoch
		if quoted := quotedSeq(m); quoted > 0 && s.erasures.has(placeKey{conversationID, quoted}) {
			unquote(m)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// scanMessage reads a row of messageColumns.
func scanMessage(rows *sql.Rows) (*chatv1.Message, error) {
	var body sql.RawBytes
	var seq, sentAt, change int64
	var clientMsgID string
	var deleted bool
	if err := rows.Scan(&seq, &clientMsgID, &body, &sentAt, &deleted, &change); err != nil {
		return nil, err
	}
	m := &chatv1.Message{}
	// Fields that the contract does not have were stored once; nobody sees them any more.
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("decode message %d: %w", seq, err)
	}
	m.Seq, m.ClientMsgId, m.Change, m.SentAt = seq, clientMsgID, change, timestamppb.New(time.UnixMicro(sentAt))
	if deleted {
		return emptied(m), nil
	}
	return m, nil
}

// encodeBody encodes what is not in a column of its own.
func encodeBody(m *chatv1.Message) ([]byte, error) {
	body, err := proto.Marshal(&chatv1.Message{
		Sender: m.GetSender(), Content: m.GetContent(), Recalled: m.GetRecalled(), Mentions: m.GetMentions(),
		ReplyTo: m.GetReplyTo(), Origin: m.GetOrigin(), EditedAt: m.GetEditedAt(), Reactions: m.GetReactions(),
		Pinned: m.GetPinned(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if body == nil {
		body = []byte{} // NULL is refused
	}
	return body, nil
}

// actorMark stands before the actor of a system message in the column of senders, where no user's id begins with it: the
// message is no message of theirs, and is not unread for them.
const actorMark = "@"

// doer is who a message is stored as being of.
func doer(m *chatv1.Message) string {
	if what := m.GetContent().GetSystem(); what != nil {
		return actorMark + what.GetActorId()
	}
	return m.GetSender().GetId()
}

// setPlace gives a message its place.
func setPlace(m *chatv1.Message, epoch, seq int64, at time.Time) {
	m.Epoch, m.Seq, m.SentAt = epoch, seq, timestamppb.New(at)
}

// emptied is what is left of a message that was taken away: its place, and who recalled it. client_msg_id is the sender's
// own choice and could say something, too.
func emptied(m *chatv1.Message) *chatv1.Message {
	out := &chatv1.Message{
		ConversationId: m.GetConversationId(), Epoch: m.GetEpoch(), Seq: m.GetSeq(), SentAt: m.GetSentAt(), Deleted: true,
		Change: m.GetChange(), Recalled: m.GetRecalled(),
	}
	if m.GetRecalled() {
		out.Sender = m.GetSender()
	}
	return out
}
