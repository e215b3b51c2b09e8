package chat

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/authn"
)

// pulledBytes is how large a page of pulled messages may grow before it is cut.
const pulledBytes = 512 << 10

// sameCommit is how many conversations of one user one commit may have changed at the most.
const sameCommit = 10_000

// Synced is a page of what changed in a user's list.
type Synced struct {
	States  []*chatv1.ConversationState // in the order of their changes
	Cursor  int64                       // to go on from
	Done    bool                        // nothing is left
	Restart bool                        // the cursor was of another history: this is a new device's first page
}

// Sync returns up to size conversations of p that changed after a cursor, 0 for a new device. A cursor above the last commit
// is of a history that was lost.
func (s *Service) Sync(ctx context.Context, p authn.Principal, cursor int64, size int) (Synced, error) {
	head, err := s.store.lastCommit(ctx) // before the list, which then has all that changed up to it
	if err != nil {
		return Synced{}, err
	}
	out := Synced{Restart: cursor > head}
	if out.Restart {
		cursor = 0
	}
	list, err := s.store.listChanged(ctx, p.UserID, cursor, size)
	if err != nil {
		return Synced{}, err
	}
	if out.Done = len(list) < size; !out.Done { // a page ends between two commits
		if list, err = s.wholeCommit(ctx, p, list, cursor); err != nil {
			return Synced{}, err
		}
	}
	out.Cursor = cursor
	for _, item := range list {
		state, err := s.state(ctx, item.Conversation, item.Member)
		if err != nil {
			return Synced{}, err
		}
		out.States = append(out.States, state)
		out.Cursor = item.Changed
	}
	if out.Done {
		out.Cursor = max(out.Cursor, head)
	}
	return out, nil
}

// wholeCommit adds to a full page what else the last commit in it changed.
func (s *Service) wholeCommit(ctx context.Context, p authn.Principal, list []mine, cursor int64) ([]mine, error) {
	last := list[len(list)-1].Changed
	have := make(map[string]bool)
	for _, item := range list {
		if item.Changed == last {
			have[item.ID] = true
		}
	}
	rest, err := s.store.listChanged(ctx, p.UserID, last-1, sameCommit)
	if err != nil {
		return nil, err
	}
	for _, item := range rest {
		if item.Changed == last && !have[item.ID] && (item.Member.here() || cursor > 0) {
			list = append(list, item)
		}
	}
	return list, nil
}

// PullMessages returns what a device lacks, up to size messages in all, and whether something was left.
func (s *Service) PullMessages(
	ctx context.Context, p authn.Principal, have []*chatv1.Have, size int,
) (pulled []*chatv1.Pulled, more bool, err error) {
	left := &room{messages: size, bytes: pulledBytes}
	for i, h := range have {
		one, all, err := s.pull(ctx, p, h, left)
		if err != nil {
			return nil, false, err
		}
		pulled = append(pulled, one)
		if !all {
			return pulled, true, nil
		}
		if left.full() && i+1 < len(have) {
			return pulled, true, nil
		}
	}
	return pulled, false, nil
}

// room is how much still fits on a page.
type room struct {
	messages, bytes int
}

func (r *room) full() bool { return r.messages <= 0 || r.bytes <= 0 }

// fit returns as many of messages as fit, at least one of a page that was empty.
func (r *room) fit(messages []*chatv1.Message) []*chatv1.Message {
	for i, m := range messages {
		if r.full() {
			return messages[:i]
		}
		r.messages--
		r.bytes -= proto.Size(m)
	}
	return messages
}

// pull returns what a device lacks of one conversation, and whether that is all.
func (s *Service) pull(
	ctx context.Context, p authn.Principal, h *chatv1.Have, left *room,
) (out *chatv1.Pulled, all bool, err error) {
	out = &chatv1.Pulled{ConversationId: h.GetConversationId()}
	v, err := s.seeNow(ctx, p, h.GetConversationId())
	if errors.Is(err, conversationNotFound()) {
		out.Gone = true
		return out, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	out.Epoch, out.Change = v.Epoch, v.LastChange
	position := h.GetPosition().GetSeq()
	if h.GetPosition().GetEpoch() != v.Epoch {
		position = 0
	}
	if position > 0 && h.GetChange() < v.LastChange {
		if all, err = s.pullChanged(ctx, v, h.GetChange(), left, out); err != nil {
			return nil, false, err
		}
		if !all {
			return out, false, s.addMine(ctx, v.Member, out)
		}
	}
	after := max(position, v.Member.first()-1)
	for after < v.LastSeq {
		if left.full() {
			return out, false, s.addMine(ctx, v.Member, out)
		}
		messages, err := s.store.messagesAfter(ctx, v.Conversation, after, min(left.messages, pageSize))
		if err != nil {
			return nil, false, err
		}
		if len(messages) == 0 {
			break
		}
		fitting := left.fit(messages)
		out.Messages = append(out.Messages, fitting...)
		after = out.GetMessages()[len(out.GetMessages())-1].GetSeq()
	}
	return out, true, s.addMine(ctx, v.Member, out)
}

// pullChanged adds messages that changed. What does not fit is left for the next page, from the change that this one ends
// with.
func (s *Service) pullChanged(
	ctx context.Context, v seen, change int64, left *room, out *chatv1.Pulled,
) (all bool, err error) {
	for {
		messages, err := s.store.messagesChanged(ctx, v.Conversation, change, v.Member.first(), min(left.messages, pageSize))
		if err != nil {
			return false, err
		}
		fitting := left.fit(messages)
		out.Changed = append(out.Changed, fitting...)
		if len(fitting) > 0 {
			change = fitting[len(fitting)-1].GetChange()
		}
		switch {
		case len(fitting) == len(messages) && (len(messages) == 0 || change >= v.LastChange):
			out.Change = max(v.LastChange, change)
			return true, nil
		case left.full():
			out.Change = change
			return false, nil
		}
	}
}

// addMine makes what was pulled a member's.
func (s *Service) addMine(ctx context.Context, m Member, out *chatv1.Pulled) error {
	if err := s.forMember(ctx, m, out.GetMessages()); err != nil {
		return err
	}
	return s.forMember(ctx, m, out.GetChanged())
}
