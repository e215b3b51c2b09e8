package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	entsql "entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/gen/ent/chat/hidden"
	"github.com/stoa-live/stoa/gen/ent/chat/pin"
	"github.com/stoa-live/stoa/gen/ent/chat/reaction"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
)

// maxReactions is how many kinds of signs a message may have.
const maxReactions = 20

// SetReaction gives or takes back a sign of p's. Errors: NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND),
// PERMISSION_DENIED (FORBIDDEN, MUTED), FAILED_PRECONDITION (GROUP_DISBANDED), RESOURCE_EXHAUSTED (RATE_LIMITED,
// TOO_MANY_REACTIONS), INVALID_ARGUMENT.
func (s *Service) SetReaction(
	ctx context.Context, p authn.Principal, id string, seq int64, key string, remove bool,
) (*chatv1.Message, error) {
	if !utf8.ValidString(key) || slices.ContainsFunc([]rune(key), unreadable) {
		return nil, invalid("key: want an emoji or a name without spaces")
	}
	if _, err := s.mayWriteTo(ctx, p, id); err != nil {
		return nil, err
	}
	return s.changing(ctx, p, id, seq, func(b *batch, v seen, m *chatv1.Message) (*chatv1.Message, error) {
		if m.GetDeleted() || m.GetContent().GetSystem() != nil {
			return nil, messageNotFound()
		}
		if err := s.mayWriteIn(b, p, v); err != nil {
			return nil, err
		}
		changed, err := b.react(m, p.UserID, key, remove)
		if err != nil || !changed {
			return nil, err
		}
		out := proto.CloneOf(m)
		return out, count(out, key, remove)
	})
}

func unreadable(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// react stores or removes a sign and reports whether that changed anything.
func (b *batch) react(m *chatv1.Message, userID, key string, remove bool) (bool, error) {
	query := "INSERT INTO reactions (conversation_id, seq, `key`, user_id) VALUES (?, ?, ?, ?)" + b.store.says.orNothing("")
	if remove {
		query = "DELETE FROM reactions WHERE conversation_id = ? AND seq = ? AND `key` = ? AND user_id = ?"
	}
	changed, err := b.store.says.inserted(b.tx().ExecContext(b.ctx, query, m.GetConversationId(), m.GetSeq(), key, userID))
	if err != nil {
		return false, fmt.Errorf("store reaction: %w", err)
	}
	return changed, nil
}

// count adds one sign to a message or takes one off.
func count(m *chatv1.Message, key string, remove bool) error {
	i := slices.IndexFunc(m.GetReactions(), func(r *chatv1.Reaction) bool { return r.GetKey() == key })
	switch {
	case i >= 0 && remove:
		if m.Reactions[i].Count--; m.GetReactions()[i].GetCount() <= 0 {
			m.Reactions = slices.Delete(m.GetReactions(), i, i+1)
		}
	case i >= 0:
		m.Reactions[i].Count++
	case !remove && len(m.GetReactions()) >= maxReactions:
		return errs.ResourceExhausted(ReasonTooManyReactions, "a message has at most %d kinds of reactions", maxReactions)
	case !remove:
		m.Reactions = append(m.GetReactions(), &chatv1.Reaction{Key: key, Count: 1})
	}
	return nil
}

// markMine marks the signs in messages of one conversation that are the user's.
func (s *Service) markMine(ctx context.Context, id, userID string, messages []*chatv1.Message) error {
	var asked []askedSign
	var signs []*chatv1.Reaction
	for _, m := range messages {
		for _, r := range m.GetReactions() {
			asked, signs = append(asked, askedSign{m.GetSeq(), r.GetKey()}), append(signs, r)
		}
	}
	own, err := s.store.ownSigns(ctx, id, userID, asked)
	if err != nil {
		return err
	}
	for i, r := range signs {
		r.Mine = own[i]
	}
	return nil
}

// askedSign is a kind of sign under a message.
type askedSign struct {
	Seq int64  `json:"s"`
	Key string `json:"k"`
}

// ownSigns reports which signs a user gave. Each is looked up by itself: there may be any number of others' beside it.
func (s *store) ownSigns(ctx context.Context, id, userID string, asked []askedSign) (own []bool, err error) {
	if len(asked) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("read reactions: %w", err)
	}
	rows, err := s.messages.ownSigns.QueryContext(ctx, string(list), id, userID)
	if err != nil {
		return nil, fmt.Errorf("read reactions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	own = make([]bool, len(asked))
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, fmt.Errorf("read reactions: %w", err)
		}
		own[i] = true
	}
	return own, nil
}

// ListReactions returns a page of who gave signs under a message, of one kind if key is not empty, the first given first.
// Errors: NOT_FOUND (CONVERSATION_NOT_FOUND, MESSAGE_NOT_FOUND), INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
func (s *Service) ListReactions(
	ctx context.Context, p authn.Principal, id string, seq int64, key string, size int, token string,
) (out []*chatv1.UserReaction, next string, err error) {
	cursor, _, err := pagination.Decode[rowCursor](token)
	if err != nil {
		return nil, "", err
	}
	v, err := s.see(ctx, p, id)
	if err != nil {
		return nil, "", err
	}
	if seq < v.Member.first() {
		return nil, "", messageNotFound()
	}
	if _, err := s.store.messageAt(ctx, v.Conversation, seq); err != nil {
		return nil, "", err
	}
	query := s.store.read.Reaction.Query().
		Where(reaction.ConversationID(id), reaction.Seq(seq), reaction.IDGT(int(cursor.Row)))
	if key != "" {
		query.Where(reaction.Key(key))
	}
	rows, err := query.Order(reaction.ByID()).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("list reactions: %w", err)
	}
	var ids []string
	var last int
	more := len(rows) > size
	for i, r := range rows {
		if i == size {
			break
		}
		ids, last = append(ids, r.UserID), r.ID
	}
	users, err := s.named(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	for i, u := range users {
		out = append(out, &chatv1.UserReaction{User: u, Key: rows[i].Key})
	}
	if more {
		next = pagination.Encode(rowCursor{int64(last)})
	}
	return out, next, nil
}

// pins returns the numbers of the pinned messages from floor on, the last pinned first.
func (s *store) pins(ctx context.Context, id string, floor int64) (seqs []int64, err error) {
	rows, err := s.read.Pin.Query().Where(pin.ConversationID(id), pin.SeqGTE(floor)).
		Order(pin.ByID(entsql.OrderDesc())).Limit(maxPins).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	for _, r := range rows {
		seqs = append(seqs, r.Seq)
	}
	return seqs, nil
}

// hiddenBetween returns the numbers of messages from one to another that a user hid.
func (s *store) hiddenBetween(ctx context.Context, id, userID string, from, to int64) (map[int64]bool, error) {
	rows, err := s.read.Hidden.Query().Where(hidden.ConversationID(id), hidden.UserID(userID), hidden.SeqGTE(from),
		hidden.SeqLTE(to)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read hidden messages: %w", err)
	}
	seqs := make(map[int64]bool, len(rows))
	for _, r := range rows {
		seqs[r.Seq] = true
	}
	return seqs, nil
}
