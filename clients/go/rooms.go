package stoa

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

// enterTimeout is how long a sync waits for the rooms of the session before; those that take longer are entered beside it.
const enterTimeout = 3 * time.Second

// roomEntry is a live room that the program entered.
type roomEntry struct {
	turn   int64 // which of the program's calls of EnterRoom it is of; 0 for a room that is not to be entered
	unseen bool
	// ready says that its position is known to the engine; before that, what happens in it is left to the first pull.
	ready bool
}

// EnterRoom enters a live room, and enters it again in every new session until LeaveRoom. What is said there comes as
// updates, first the last messages as ChatOptions.History says. A room that lets the user in no more, when it is entered
// again, comes as Gone. Errors: those of Conn.Enter that do not pass, the context's.
func (c *Chat) EnterRoom(ctx context.Context, conversationID string, unseen bool) (*edgev1.Entered, error) {
	c.mu.Lock()
	before, known := c.rooms[conversationID]
	c.turns++
	c.rooms[conversationID] = roomEntry{turn: c.turns, unseen: unseen, ready: before.ready}
	c.mu.Unlock()
	var entered *edgev1.Entered
	err := c.persist(ctx, func(ctx context.Context) (err error) {
		entered, err = c.conn.Enter(ctx, conversationID, unseen)
		return err
	})
	if err != nil {
		if !known {
			c.mu.Lock()
			delete(c.rooms, conversationID)
			c.mu.Unlock()
		}
		return nil, err
	}
	c.conn.queue.act(func() { c.settle(conversationID, entered.GetPosition()) })
	return entered, nil
}

// LeaveRoom leaves a live room. Errors: those of Conn.Leave, after which it is still not entered again.
func (c *Chat) LeaveRoom(ctx context.Context, conversationID string) error {
	c.mu.Lock()
	delete(c.rooms, conversationID)
	c.mu.Unlock()
	return c.conn.Leave(ctx, conversationID)
}

// room returns whether a live room is entered.
func (c *Chat) room(id string) (roomEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.rooms[id]
	return entry, ok
}

// enterAgain enters the rooms of the session before, all at once. What does not succeed, and may yet, goes on beside the
// callbacks: a room that is slow, or away, holds nothing else up.
func (c *Chat) enterAgain() {
	c.mu.Lock()
	rooms := maps.Clone(c.rooms)
	c.mu.Unlock()
	ids := slices.Sorted(maps.Keys(rooms))
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			errs[i] = within(c.conn.ctx, enterTimeout, func(ctx context.Context) error {
				_, err := c.conn.Enter(ctx, id, rooms[id].unseen)
				return err
			})
		})
	}
	wg.Wait()
	for i, id := range ids {
		switch err := errs[i]; {
		case err == nil:
		case shutOut(err):
			c.shut(id, rooms[id].turn)
		default:
			c.enterBeside(id)
		}
	}
}

// enterBeside goes on to try to enter a room, in a goroutine of its own, unless one does so already.
func (c *Chat) enterBeside(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.entering[id] {
		c.entering[id] = true
		c.conn.wg.Go(func() { c.enterUntilDone(id) })
	}
}

// enterUntilDone brings the server to what the program wants of a room, and the device up to date in it. What the program
// wants may change under a try: then the next one does the newer thing, so that the server is told it last.
func (c *Chat) enterUntilDone(id string) {
	for tries := 0; ; tries++ {
		entry, wanted := c.room(id)
		var at *chatv1.Position
		err := within(c.conn.ctx, sendTimeout, func(ctx context.Context) error {
			if !wanted {
				return c.conn.Leave(ctx, id)
			}
			entered, err := c.conn.Enter(ctx, id, entry.unseen)
			at = entered.GetPosition()
			return err
		})
		switch out := shutOut(err); {
		case c.conn.ctx.Err() != nil, Reason(err) == ReasonConnectionEnded:
			return
		case err != nil && !out:
			c.logger.LogAttrs(c.conn.ctx, slog.LevelInfo, "room not entered", slog.String("room", id),
				slog.String("cause", err.Error()))
			wait, _ := again(err)
			pause(c.conn.ctx, max(wait, c.backoff(tries)))
		case !c.doneEntering(id, entry.turn): // the program wants something else by now
		case out:
			c.conn.queue.act(func() { c.shut(id, entry.turn) })
			return
		default:
			c.conn.queue.act(func() { c.settle(id, at) })
			return
		}
	}
}

// doneEntering ends enterUntilDone, unless the program has entered or left the room since a turn.
func (c *Chat) doneEntering(id string, turn int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[id].turn != turn {
		return false
	}
	delete(c.entering, id)
	return true
}

// shutOut reports whether a room does not let the user in, by an error that does not pass. For a defect of the server nobody
// is put out of a room.
func shutOut(err error) bool {
	if _, passes := again(err); err == nil || passes || Reason(err) == ReasonConnectionEnded {
		return false
	}
	code := connect.CodeOf(err)
	return code != connect.CodeInternal && code != connect.CodeUnknown && code != connect.CodeDataLoss
}

// shut forgets a room that does not let the user in, unless the program has entered it anew since a turn.
func (c *Chat) shut(id string, turn int64) {
	c.mu.Lock()
	same := c.rooms[id].turn == turn
	if same {
		delete(c.rooms, id)
	}
	c.mu.Unlock()
	if same {
		c.gone(id)
	}
}

// settle takes in a room that was entered when it stood at a position.
func (c *Chat) settle(id string, at *chatv1.Position) {
	c.mu.Lock()
	entry, ok := c.rooms[id]
	if ok {
		entry.ready = true
		c.rooms[id] = entry
	}
	c.mu.Unlock()
	if !ok { // left meanwhile
		return
	}
	c.adopt(id, at)
}
