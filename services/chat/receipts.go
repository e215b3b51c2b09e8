package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	for _, seq := range seqs {
		if _, err := s.own(ctx, p, v, seq); errors.Is(err, messageNotFound()) || isForbidden(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		r := &chatv1.Receipt{Seq: seq}
		read := s.store.conversations.readCount.QueryRowContext(ctx, id, seq, seq, p.UserID).Scan(&r.ReadCount)
		delivered := s.store.conversations.deliveredCount.QueryRowContext(ctx, id, seq, seq, p.UserID).Scan(&r.DeliveredCount)
		if err := errors.Join(read, delivered); err != nil {
			return nil, fmt.Errorf("count receipts: %w", err)
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

func isForbidden(err error) bool { return errors.Is(err, notYours()) }

// own returns a message of p's. Errors: NOT_FOUND (MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN).
func (s *Service) own(ctx context.Context, p authn.Principal, v seen, seq int64) (*chatv1.Message, error) {
	if seq < v.Member.FirstSeq {
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

// readerCursor is the last reader that a page showed.
type readerCursor struct {
	UserID string `json:"u"`
}

// ListReaders returns a page of those who have read a message of p's, in the order of their ids. Errors: NOT_FOUND
// (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), PERMISSION_DENIED (FORBIDDEN), INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListReaders(
	ctx context.Context, p authn.Principal, id string, seq int64, size int, token string,
) (readers []*authv1.User, next string, err error) {
	cursor, _, err := pagination.Decode[readerCursor](token)
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
	ids, next = pagination.Page(ids, size, func(last string) readerCursor { return readerCursor{last} })
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
