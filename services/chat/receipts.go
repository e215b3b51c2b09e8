package chat

import (
	"context"
	"errors"
	"fmt"
	"sort"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/pagination"
)

// GetReceipts counts who has read messages of p's; those of others are left out. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND).
func (s *Service) GetReceipts(
	ctx context.Context, p authn.Principal, id string, seqs []int64,
) (receipts []*chatv1.Receipt, err error) {
	v, err := s.see(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if !v.hasMembers() {
		return nil, nil
	}
	messages, err := s.store.messagesAmong(ctx, v.Conversation, seqs)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.GetSeq() >= v.Member.first() && m.GetSender().GetId() == p.UserID {
			receipts = append(receipts, &chatv1.Receipt{Seq: m.GetSeq()})
		}
	}
	return receipts, s.store.countReceipts(ctx, id, p.UserID, receipts)
}

// countReceipts counts for messages, in rising order, which other members have them, in one pass over the members.
func (s *store) countReceipts(ctx context.Context, id, except string, receipts []*chatv1.Receipt) (err error) {
	if len(receipts) == 0 {
		return nil
	}
	from, to := receipts[0].GetSeq(), receipts[len(receipts)-1].GetSeq()
	rows, err := s.conversations.positions.QueryContext(ctx, id, except, to, from)
	if err != nil {
		return fmt.Errorf("count receipts: %w", err)
	}
	defer func() {
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
			err = fmt.Errorf("count receipts: %w", err)
		}
	}()
	// A member has a run of the messages: it is noted where the run begins and ends, and summed up in the end.
	read, delivered := make([]int32, len(receipts)+1), make([]int32, len(receipts)+1)
	after := func(seq int64) int { // how many of the messages are not above seq
		return sort.Search(len(receipts), func(i int) bool { return receipts[i].GetSeq() > seq })
	}
	note := func(at []int32, first, last int64) {
		if begin, end := after(first-1), after(last); begin < end {
			at[begin]++
			at[end]--
		}
	}
	for rows.Next() {
		var first, readTo, deliveredTo int64
		if err := rows.Scan(&first, &readTo, &deliveredTo); err != nil {
			return err
		}
		note(read, first, readTo)
		note(delivered, first, deliveredTo)
	}
	var readers, receivers int32
	for i, r := range receipts {
		readers, receivers = readers+read[i], receivers+delivered[i]
		r.ReadCount, r.DeliveredCount = readers, receivers
	}
	return nil
}

// own returns a message of p's. Errors: NOT_FOUND (MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN).
func (s *Service) own(ctx context.Context, p authn.Principal, v seen, seq int64) (*chatv1.Message, error) {
	if seq < v.Member.first() {
		return nil, messageNotFound()
	}
	m, err := s.store.messageAt(ctx, v.Conversation, seq)
	if err != nil {
		return nil, err
	}
	if m.GetSender().GetId() != p.UserID {
		return nil, notYours()
	}
	return m, nil
}

// ListReaders returns a page of those who have read a message of p's, in the order of their ids. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN), INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListReaders(
	ctx context.Context, p authn.Principal, id string, seq int64, size int, token string,
) (readers []*authv1.User, next string, err error) {
	cursor, _, err := pagination.Decode[userCursor](token)
	if err != nil {
		return nil, "", err
	}
	v, err := s.see(ctx, p, id)
	if err != nil {
		return nil, "", err
	}
	if _, err := s.own(ctx, p, v, seq); err != nil {
		return nil, "", err
	}
	ids, err := s.store.readers(ctx, id, seq, p.UserID, cursor.UserID, size+1)
	if err != nil {
		return nil, "", err
	}
	ids, next = pagination.Page(ids, size, func(last string) userCursor { return userCursor{last} })
	readers, err = s.named(ctx, ids)
	return readers, next, err
}

// named returns users in the order of their ids; those who do not exist any more have nothing but it.
func (s *Service) named(ctx context.Context, ids []string) ([]*authv1.User, error) {
	known, err := s.senders.many(ctx, ids)
	if err != nil {
		return nil, err
	}
	users := make([]*authv1.User, len(ids))
	for i, id := range ids {
		if users[i] = known[id]; users[i] == nil {
			users[i] = &authv1.User{Id: id}
		}
	}
	return users, nil
}

// readers returns up to limit other members after one who have read a message.
func (s *store) readers(
	ctx context.Context, id string, seq int64, except, after string, limit int,
) (ids []string, err error) {
	rows, err := s.conversations.readers.QueryContext(ctx, id, seq, seq, except, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list readers: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var user string
		if err := rows.Scan(&user); err != nil {
			return nil, fmt.Errorf("list readers: %w", err)
		}
		ids = append(ids, user)
	}
	return ids, nil
}
