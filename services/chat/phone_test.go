package chat_test

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

// phone is a device that keeps what it was told, by the rules of the contract.
type phone struct {
	n      *node
	user   string
	cursor int64
	has    map[string]*chatv1.Have
	said   map[string]map[int64]*chatv1.Message
	states map[string]*chatv1.ConversationState
	calls  int
}

func (n *node) phone(user string) *phone {
	return &phone{
		n: n, user: user, has: make(map[string]*chatv1.Have), said: make(map[string]map[int64]*chatv1.Message),
		states: make(map[string]*chatv1.ConversationState),
	}
}

// sync brings the device up to date, in pages of a size.
func (p *phone) sync(page int32) {
	p.n.t.Helper()
	var lacking []*chatv1.Have
	for done := false; !done; {
		res, err := p.n.as(p.user).Sync(p.n.t.Context(), &chatv1.SyncRequest{Cursor: p.cursor, PageSize: page})
		p.n.must(err)
		p.calls++
		for _, s := range res.GetStates() {
			id := s.GetConversation().GetId()
			if s.GetMembership().GetRole() == chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
				delete(p.states, id)
				delete(p.has, id)
				delete(p.said, id)
				continue
			}
			before := p.states[id].GetMembership().GetFirstSeq()
			p.states[id] = s
			if p.has[id] == nil || s.GetMembership().GetFirstSeq() < before { // what shows more now is as good as new
				p.has[id] = &chatv1.Have{ConversationId: id, Position: &chatv1.Position{}}
				p.said[id] = make(map[int64]*chatv1.Message)
			}
			p.forget(id, s)
			if !slices.Contains(lacking, p.has[id]) {
				lacking = append(lacking, p.has[id])
			}
		}
		p.cursor, done = res.GetCursor(), res.GetDone()
	}
	for some := range slices.Chunk(lacking, 200) {
		p.pull(some, page)
	}
}

// pull reads what the device lacks in some conversations.
func (p *phone) pull(lacking []*chatv1.Have, page int32) {
	p.n.t.Helper()
	for {
		res, err := p.n.as(p.user).PullMessages(p.n.t.Context(), &chatv1.PullMessagesRequest{Have: lacking, PageSize: 7 * page})
		p.n.must(err)
		p.calls++
		for _, pulled := range res.GetConversations() {
			have := p.has[pulled.GetConversationId()]
			for _, m := range pulled.GetMessages() {
				if last := have.GetPosition().GetSeq(); last > 0 && m.GetSeq() != last+1 {
					p.n.t.Errorf("%s got %d after %d", p.user, m.GetSeq(), last)
				}
				have.Position = &chatv1.Position{Epoch: pulled.GetEpoch(), Seq: m.GetSeq()}
				p.said[pulled.GetConversationId()][m.GetSeq()] = m
			}
			for _, m := range pulled.GetChanged() {
				p.said[pulled.GetConversationId()][m.GetSeq()] = m
			}
			have.Change = pulled.GetChange()
		}
		if !res.GetHasMore() {
			return
		}
	}
}

// forget drops what the user may not see any more: who left and came again begins anew.
func (p *phone) forget(id string, s *chatv1.ConversationState) {
	first := s.GetMembership().GetFirstSeq()
	maps.DeleteFunc(p.said[id], func(seq int64, _ *chatv1.Message) bool { return seq < first })
	if at := p.has[id].GetPosition(); at.GetSeq() > 0 && at.GetSeq() < first {
		p.has[id].Position = &chatv1.Position{Epoch: s.GetConversation().GetEpoch(), Seq: first - 1}
	}
}

// assertWhole compares a device with what its user reads in pages.
func (p *phone) assertWhole(conversation string) {
	p.n.t.Helper()
	res, err := p.n.as(p.user).ListMessages(p.n.t.Context(), &chatv1.ListMessagesRequest{ConversationId: conversation, PageSize: 200})
	p.n.must(err)
	if len(res.GetMessages()) != len(p.said[conversation]) {
		p.n.t.Errorf("%s has %d messages, and there are %d", p.user, len(p.said[conversation]), len(res.GetMessages()))
	}
	for _, m := range res.GetMessages() {
		if got := p.said[conversation][m.GetSeq()]; !proto.Equal(got, m) {
			p.n.t.Errorf("%s has %v, and it is %v", p.user, got, m)
		}
	}
}
