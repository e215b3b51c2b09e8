package stoa

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

const (
	// pulledAtOnce is how many conversations one call pulls, by the contract.
	pulledAtOnce = 200
	// pullPage and syncPage are how much one answer brings at most.
	pullPage, syncPage = 1000, 200
)

// ask calls until it succeeds, however long that takes, unless the server refuses it for good. It fails with the refusal,
// or because the connection has ended.
func (c *Chat) ask(procedure string, request, response proto.Message) error {
	for tries := 0; ; tries++ {
		proto.Reset(response)
		err := within(c.conn.ctx, callTimeout, func(ctx context.Context) error {
			return c.conn.Call(ctx, procedure, request, response)
		})
		if err == nil || c.conn.ctx.Err() != nil {
			return err
		}
		wait, ok := again(err)
		switch {
		case Reason(err) == ReasonConnectionEnded || connect.CodeOf(err) == connect.CodeNotFound:
			return err
		case !ok: // a defect, of either side; who waits for messages does not give up for it
			c.logger.LogAttrs(c.conn.ctx, slog.LevelError, "call refused", slog.String("procedure", procedure),
				slog.String("cause", err.Error()))
			wait = pausesTo
		}
		if !pause(c.conn.ctx, max(wait, c.backoff(tries))) {
			return contextError(c.conn.ctx)
		}
	}
}

// sync brings the device up to date. The cursor is saved when all that it covers is.
func (c *Chat) sync() {
	c.flush()
	c.enterAgain()
	cursor := c.cursor
	behind := make(map[string]bool)
	untold := make(map[string]bool)
	var unknown []string // rooms of which nothing is left
	for id := range c.have {
		if _, ok := c.room(id); ok { // Sync knows nothing of rooms
			behind[id] = true
		} else {
			untold[id] = true
		}
	}
	for done := false; !done; {
		page := &chatv1.SyncResponse{}
		if err := c.ask(chatv1connect.ChatServiceSyncProcedure,
			&chatv1.SyncRequest{Cursor: cursor, PageSize: syncPage}, page); err != nil {
			return
		}
		if page.GetRestart() {
			unknown = append(unknown, slices.Sorted(maps.Keys(behind))...)
			clear(behind)
			clear(untold)
			c.startAnew()
		}
		for _, state := range page.GetStates() {
			delete(untold, state.GetConversation().GetId())
			if c.state(state, state.GetConversation().GetLastSeq()) {
				behind[state.GetConversation().GetId()] = true
			}
		}
		c.flush()
		cursor, done = page.GetCursor(), page.GetDone()
	}
	if c.cursor == 0 { // a whole list, which leaves out what the user left
		for id := range untold {
			c.gone(id)
		}
	}
	if !c.pull(slices.Sorted(maps.Keys(behind))...) {
		return
	}
	for _, id := range unknown {
		c.adopt(id, nil)
	}
	if cursor != c.cursor {
		c.cursor = cursor
		c.keep("cursor", func(ctx context.Context) error { return c.store.SaveCursor(ctx, cursor) })
	}
	if c.conn.ctx.Err() != nil {
		return
	}
	c.once.Do(func() { close(c.synced) })
	if c.options.OnSynced != nil {
		c.options.OnSynced()
	}
}

// startAnew forgets everything: the server's history was replaced.
func (c *Chat) startAnew() {
	for _, id := range slices.Sorted(maps.Keys(c.have)) {
		c.gone(id)
	}
	c.cursor = 0
	clear(c.told)
}

// state takes in how a conversation is, and reports whether the device lacks something of it. Of one that is new to it, it
// wants the last messages up to seq.
func (c *Chat) state(state *chatv1.ConversationState, seq int64) (behind bool) {
	facts, mine := state.GetConversation(), state.GetMembership()
	id := facts.GetId()
	if mine != nil && mine.GetRole() == chatv1.MemberRole_MEMBER_ROLE_UNSPECIFIED {
		c.gone(id)
		return false
	}
	have, known := c.have[id]
	if !known || have.Epoch != facts.GetEpoch() {
		c.flush()
		have = &Position{Epoch: facts.GetEpoch(), Change: facts.GetLastChange()}
		if c.options.History >= 0 {
			have.Seq = max(0, seq-int64(c.options.History))
		}
		c.have[id] = have
		c.merge(id).Reset = known
	}
	if c.merged.showsBefore(id, mine.GetFirstSeq()) { // for the device to have them first, and then know that they are void
		c.flush()
	}
	have.Seq = max(have.Seq, mine.GetFirstSeq()-1)
	c.merge(id).learn(state)
	if have.Hidden < mine.GetHiddenChange() {
		c.unhidden[id] = true
	}
	return have.Seq < facts.GetLastSeq() || have.Change < facts.GetLastChange() || c.unhidden[id]
}

// adopt asks for a conversation that the device does not know, or not with this history, and catches up in it: a room from
// where it stood when it was entered, or before.
func (c *Chat) adopt(id string, entered *chatv1.Position) { c.adoptAgain(id, entered, 0) }

// adoptAgain is adopt after so many tries in which the conversation changed under it.
func (c *Chat) adoptAgain(id string, entered *chatv1.Position, tries int) {
	answer := &chatv1.GetConversationResponse{}
	err := c.ask(chatv1connect.ChatServiceGetConversationProcedure, &chatv1.GetConversationRequest{ConversationId: id}, answer)
	if err != nil {
		if connect.CodeOf(err) == connect.CodeNotFound {
			c.gone(id)
		}
		return
	}
	if _, entered := c.room(id); !entered && answer.GetState().GetMembership() == nil {
		return // a room that was left meanwhile
	}
	facts := answer.GetState().GetConversation()
	seq := facts.GetLastSeq()
	if entered != nil && entered.GetEpoch() == facts.GetEpoch() {
		seq = min(seq, entered.GetSeq())
	}
	if c.state(answer.GetState(), seq) {
		c.pullAgain(tries, id)
	}
}

// gone forgets a conversation.
func (c *Chat) gone(id string) {
	if c.have[id] == nil {
		return
	}
	c.flush()
	delete(c.have, id)
	delete(c.unhidden, id)
	delete(c.changed, id)
	c.merged = &Update{ConversationID: id, Gone: true}
	c.flush()
}
