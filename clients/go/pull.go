package stoa

import (
	"math/rand/v2"
	"slices"
	"time"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

// maxAdopted is how often in a row a conversation is asked for that does not fit what is pulled of it; then it is taken as it
// comes.
const maxAdopted = 5

// gatherChanges is how long it may take until changes are pulled that were told by their number, by the contract: the members
// of a large group do not all ask at once, and one pull answers whatever comes meanwhile.
const gatherChanges = 2 * time.Second

// pullSoon pulls a conversation at a random moment, unless the device has its changes up to a number by then.
func (c *Chat) pullSoon(id string, change int64) {
	if have := c.have[id]; have != nil && have.Change >= change {
		return
	}
	waits := c.changed[id]
	c.changed[id] = max(waits, change)
	if waits == 0 {
		c.conn.wg.Go(func() {
			if pause(c.conn.ctx, rand.N(gatherChanges)) {
				c.conn.queue.act(func() { c.pullChanged(id) })
			}
		})
	}
}

// pullChanged is the end of pullSoon.
func (c *Chat) pullChanged(id string) {
	change := c.changed[id]
	delete(c.changed, id)
	if entry, ok := c.room(id); change == 0 || ok && !entry.ready {
		return // it is gone, or about to be pulled
	}
	switch have := c.have[id]; {
	case have == nil:
		c.adopt(id, nil)
	case have.Change < change:
		c.pull(id)
	}
}

// pull fetches what the device lacks of conversations that it knows, and reports whether it has all of it now.
func (c *Chat) pull(ids ...string) bool { return c.pullAgain(0, ids...) }

// pullAgain is pull after so many tries.
func (c *Chat) pullAgain(tries int, ids ...string) bool {
	c.flush()
	var renewed []string // not as the device knows them
	for chunk := range slices.Chunk(ids, pulledAtOnce) {
		for want := slices.Clone(chunk); len(want) > 0; {
			page, ok := c.pullPage(want, tries < maxAdopted)
			if !ok {
				return false
			}
			want = page.left
			renewed = append(renewed, page.renewed...)
		}
	}
	for _, id := range ids {
		if c.unhidden[id] && !c.pullHidden(id) {
			return false
		}
	}
	for _, id := range renewed {
		c.adoptAgain(id, nil, tries+1)
	}
	return c.conn.ctx.Err() == nil
}

// pulledPage is what is still to be done after a page.
type pulledPage struct {
	left    []string // to be asked again
	renewed []string // to be adopted
}

func (c *Chat) pullPage(ids []string, strict bool) (out pulledPage, ok bool) {
	request := &chatv1.PullMessagesRequest{PageSize: pullPage}
	for _, id := range ids {
		if have := c.have[id]; have != nil {
			request.Have = append(request.GetHave(), &chatv1.Have{
				ConversationId: id, Change: have.Change, Position: &chatv1.Position{Epoch: have.Epoch, Seq: have.Seq},
			})
		}
	}
	if len(request.GetHave()) == 0 {
		return out, true
	}
	page := &chatv1.PullMessagesResponse{}
	if err := c.ask(chatv1connect.ChatServicePullMessagesProcedure, request, page); err != nil {
		return out, false
	}
	asked := request.GetHave()
	for i, pulled := range page.GetConversations() {
		last := i == len(page.GetConversations())-1
		switch id := pulled.GetConversationId(); {
		case !c.pulled(pulled, strict):
			out.renewed = append(out.renewed, id)
		case last && page.GetHasMore(): // the page may have ended in it
			out.left = append(out.left, id)
		}
	}
	c.flush()
	if page.GetHasMore() {
		for _, h := range asked[min(len(asked), len(page.GetConversations())):] {
			out.left = append(out.left, h.GetConversationId())
		}
	}
	return out, true
}

// pulled takes in what was pulled of a conversation. It returns false when its history began anew, or what the user may see
// of it: then the conversation is to be asked for first. Strict says that this is looked at.
func (c *Chat) pulled(p *chatv1.Pulled, strict bool) bool {
	id := p.GetConversationId()
	have := c.have[id]
	switch {
	case have == nil:
		return true
	case p.GetGone():
		c.gone(id)
		return true
	case p.GetEpoch() != have.Epoch:
		return false
	case strict && len(p.GetMessages()) > 0 && p.GetMessages()[0].GetSeq() > have.Seq+1: // the user left and came back
		return false
	}
	u := c.merge(id)
	for _, m := range p.GetChanged() {
		if m.GetSeq() <= have.Seq { // others come as they are now
			u.Changed = append(u.Changed, m)
		}
	}
	for _, m := range p.GetMessages() {
		if m.GetSeq() > have.Seq {
			u.Messages = append(u.Messages, m)
			have.Seq = m.GetSeq()
		}
	}
	have.Change = max(have.Change, p.GetChange())
	return true
}

// pullHidden fetches what the user hid, and reports whether the device has all of it now.
func (c *Chat) pullHidden(id string) bool {
	for more := true; more; {
		have := c.have[id]
		if have == nil {
			break
		}
		page := &chatv1.ListHiddenResponse{}
		if err := c.ask(chatv1connect.ChatServiceListHiddenProcedure,
			&chatv1.ListHiddenRequest{ConversationId: id, AfterChange: have.Hidden}, page); err != nil {
			if c.conn.ctx.Err() != nil || Reason(err) == ReasonConnectionEnded {
				return false
			}
			break // it is gone, which is told elsewhere
		}
		u := c.merge(id)
		u.HiddenSeqs = append(u.HiddenSeqs, page.GetHidden().GetSeqs()...)
		have.Hidden = max(have.Hidden, page.GetHidden().GetHiddenChange())
		c.flush()
		more = page.GetHasMore()
	}
	delete(c.unhidden, id)
	return true
}
