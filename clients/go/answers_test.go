package stoa_test

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

// handle answers ChatService.
func (s *talks) handle(_ context.Context, procedure string, request []byte) (proto.Message, error) {
	switch procedure {
	case chatv1connect.ChatServiceSyncProcedure:
		return answer(s, request, s.sync)
	case chatv1connect.ChatServicePullMessagesProcedure:
		return answer(s, request, s.pull)
	case chatv1connect.ChatServiceGetConversationProcedure:
		return answer(s, request, s.get)
	case chatv1connect.ChatServiceListHiddenProcedure:
		return answer(s, request, s.listHidden)
	case chatv1connect.ChatServiceSendMessageProcedure:
		return answer(s, request, s.send)
	default:
		return nil, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("no %s", procedure))
	}
}

func answer[Q any, P interface {
	*Q
	proto.Message
}, R proto.Message](s *talks, request []byte, with func(P) (R, error)) (proto.Message, error) {
	q := P(new(Q))
	if err := proto.Unmarshal(request, q); err != nil {
		return nil, err
	}
	defer s.lock()()
	r, err := with(q)
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(r), nil
}

func (s *talks) sync(q *chatv1.SyncRequest) (*chatv1.SyncResponse, error) {
	restart := q.GetCursor() > s.commits
	if restart {
		q.Cursor = 0
	}
	var changed []*talk
	for _, c := range s.all {
		if !c.room && c.version > q.GetCursor() && (c.member || q.GetCursor() > 0) {
			changed = append(changed, c)
		}
	}
	slices.SortFunc(changed, func(a, b *talk) int { return int(a.version - b.version) })
	out := &chatv1.SyncResponse{Cursor: q.GetCursor(), Done: len(changed) <= 2, Restart: restart}
	for _, c := range changed[:min(2, len(changed))] {
		out.States = append(out.States, c.state())
		out.Cursor = c.version
	}
	return out, nil
}

func (s *talks) pull(q *chatv1.PullMessagesRequest) (*chatv1.PullMessagesResponse, error) {
	s.pulls++
	if s.pulling != nil {
		s.pulling()
	}
	out := &chatv1.PullMessagesResponse{}
	left := s.page
	for _, h := range q.GetHave() {
		if left == 0 {
			out.HasMore = true
			break
		}
		c := s.all[h.GetConversationId()]
		if c == nil || (!c.room && !c.member) {
			out.Conversations = append(out.GetConversations(), &chatv1.Pulled{ConversationId: h.GetConversationId(), Gone: true})
			continue
		}
		p := &chatv1.Pulled{ConversationId: c.id, Epoch: c.epoch, Change: c.change}
		out.Conversations = append(out.GetConversations(), p)
		seq := h.GetPosition().GetSeq()
		if h.GetPosition().GetEpoch() != c.epoch {
			seq = 0
		}
		if seq > 0 {
			for _, m := range c.messages {
				if m.GetChange() > h.GetChange() && m.GetSeq() >= c.first {
					p.Changed = append(p.GetChanged(), m)
				}
			}
			slices.SortFunc(p.GetChanged(), func(a, b *chatv1.Message) int { return int(a.GetChange() - b.GetChange()) })
			if len(p.GetChanged()) > left {
				p.Changed = p.GetChanged()[:left]
				p.Change = p.GetChanged()[left-1].GetChange()
				out.HasMore = true
				break
			}
			left -= len(p.GetChanged())
		}
		missing := c.messages[min(max(seq, c.first-1), int64(len(c.messages))):]
		p.Messages = missing[:min(left, len(missing))]
		if len(missing) > left {
			out.HasMore = true
			break
		}
		left -= len(missing)
	}
	return out, nil
}

func (s *talks) visible(id string) (*talk, error) {
	if c := s.all[id]; c != nil && (c.room || c.member) {
		return c, nil
	}
	return nil, refusal(connect.CodeNotFound, "CONVERSATION_NOT_FOUND", nil)
}

func (s *talks) get(q *chatv1.GetConversationRequest) (*chatv1.GetConversationResponse, error) {
	s.gets++
	c, err := s.visible(q.GetConversationId())
	if err != nil {
		return nil, err
	}
	return &chatv1.GetConversationResponse{State: c.state()}, nil
}

func (s *talks) listHidden(q *chatv1.ListHiddenRequest) (*chatv1.ListHiddenResponse, error) {
	c, err := s.visible(q.GetConversationId())
	if err != nil {
		return nil, err
	}
	s.pulls++
	out := &chatv1.Hidden{ConversationId: c.id, HiddenChange: q.GetAfterChange()}
	rest := c.hidden[min(q.GetAfterChange(), int64(len(c.hidden))):]
	for _, seqs := range rest[:min(1, len(rest))] {
		out.Seqs = append(out.GetSeqs(), seqs...)
		out.HiddenChange++
	}
	return &chatv1.ListHiddenResponse{Hidden: out, HasMore: len(rest) > 1}, nil
}

func (s *talks) send(q *chatv1.SendMessageRequest) (*chatv1.SendMessageResponse, error) {
	if len(s.refuse) > 0 {
		err := s.refuse[0]
		s.refuse = s.refuse[1:]
		return nil, err
	}
	c, err := s.visible(q.GetConversationId())
	if err != nil {
		return nil, err
	}
	for _, m := range c.messages {
		if m.GetClientMsgId() == q.GetClientMsgId() {
			return &chatv1.SendMessageResponse{Message: m}, nil
		}
	}
	m := s.postLocked(c, q.GetClientMsgId(), q.GetContent().GetText().GetText())
	if s.stored != nil {
		s.stored(m)
	}
	return &chatv1.SendMessageResponse{Message: m}, nil
}
