package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const messageColumns = "SELECT seq, client_msg_id, sender, content, sent_at, deleted FROM messages " +
	"WHERE conversation_id = ?"

// messageStatements read messages. They live as long as the database.
type messageStatements struct {
	after, before, same *sql.Stmt
}

func prepareMessages(ctx context.Context, db *sql.DB) (messageStatements, error) {
	after, first := db.PrepareContext(ctx, messageColumns+" AND seq > ? ORDER BY seq LIMIT ?")
	before, second := db.PrepareContext(ctx, messageColumns+" AND seq < ? ORDER BY seq DESC LIMIT ?")
	same, third := db.PrepareContext(ctx, messageColumns+" AND sender_id = ? AND client_msg_id = ?")
	return messageStatements{after: after, before: before, same: same}, errors.Join(first, second, third)
}

// messagesAfter returns up to limit messages of c with a higher seq, oldest first.
func (s *store) messagesAfter(ctx context.Context, c Conversation, seq int64, limit int) ([]*chatv1.Message, error) {
	return s.readMessages(ctx, s.messages.after, c, c.ID, seq, limit)
}

// messagesBefore returns up to limit messages of c with a lower seq, those nearest to it, oldest first.
func (s *store) messagesBefore(ctx context.Context, c Conversation, seq int64, limit int) ([]*chatv1.Message, error) {
	messages, err := s.readMessages(ctx, s.messages.before, c, c.ID, seq, limit)
	slices.Reverse(messages)
	return messages, err
}

// sameMessage returns the message that a sender stored under an id of theirs, nil when there is none.
func (s *store) sameMessage(
	ctx context.Context, c Conversation, senderID, clientMsgID string,
) (*chatv1.Message, error) {
	messages, err := s.readMessages(ctx, s.messages.same, c, c.ID, senderID, clientMsgID)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	return messages[0], nil
}

func (s *store) readMessages(
	ctx context.Context, statement *sql.Stmt, c Conversation, args ...any,
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
		m, err := scanMessage(rows, c)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// scanMessage reads a row of messageColumns.
func scanMessage(rows *sql.Rows, c Conversation) (*chatv1.Message, error) {
	m := &chatv1.Message{ConversationId: c.ID, Epoch: c.Epoch, Sender: &authv1.User{}, Content: &chatv1.Content{}}
	var sender, content sql.RawBytes
	var sentAt int64
	var deleted bool
	if err := rows.Scan(&m.Seq, &m.ClientMsgId, &sender, &content, &sentAt, &deleted); err != nil {
		return nil, err
	}
	m.SentAt = timestamppb.New(time.UnixMicro(sentAt))
	if deleted {
		return emptied(m), nil
	}
	if err := errors.Join(proto.Unmarshal(sender, m.GetSender()), proto.Unmarshal(content, m.GetContent())); err != nil {
		return nil, fmt.Errorf("decode message %d: %w", m.GetSeq(), err)
	}
	return m, nil
}

// emptied is what is left of a message that was taken away: its place. client_msg_id is the sender's own choice and could
// say something, too.
func emptied(m *chatv1.Message) *chatv1.Message {
	return &chatv1.Message{
		ConversationId: m.GetConversationId(), Epoch: m.GetEpoch(), Seq: m.GetSeq(), SentAt: m.GetSentAt(), Deleted: true,
	}
}
