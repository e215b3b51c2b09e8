package stoa

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

const (
	// callTimeout bounds one try of a call of the engine's.
	callTimeout = 30 * time.Second
	// sendTimeout bounds one try to send; the message goes again under the same id.
	sendTimeout = 15 * time.Second
	// pausesFrom and pausesTo bound the pauses between tries.
	pausesFrom, pausesTo = 100 * time.Millisecond, 10 * time.Second
)

// ChatOptions say what a device keeps and who is told.
//
// The callbacks are called by the goroutine that calls those of Options, one at a time. They may call anything of the
// chat but Close.
type ChatOptions struct {
	// Store keeps positions. Default a new MemoryStore: the device is new each time.
	Store Store
	// History is how many messages of a conversation that is new to the device are fetched at most. Default 50; negative
	// fetches all. What lies before them is read by ListMessages.
	History int
	// OnUpdate is told what was saved.
	OnUpdate func(u Update)
	// OnEvents is told everything that is no update: who reads, types, comes and goes, likes, notices. What happens while
	// the connection is down is not told.
	OnEvents func(events []*edgev1.Event)
	// OnSynced is told that the device has everything that was stored when the connection came up. A room that the server
	// could not let the device into again yet follows as soon as it can.
	OnSynced func()
}

// Chat keeps a device up to date with its user's conversations and the live rooms that it entered. It attaches first and
// asks afterwards: what was committed before the session shows in Sync, what is committed after is pushed, what is in both
// has the same number, and a gap between numbers is pulled.
type Chat struct {
	// Service calls ChatService over the connection.
	Service chatv1connect.ChatServiceClient

	options ChatOptions
	conn    *Conn
	store   Store
	logger  *slog.Logger
	synced  chan struct{} // closed after the first sync
	once    sync.Once

	// Of the goroutine of the callbacks.
	cursor   int64
	have     map[string]*Position
	unhidden map[string]bool  // conversations of which not all is known that the user hid
	told     map[string]int64 // the last commit that was told of the state of a conversation, in this process
	changed  map[string]int64 // conversations that pullSoon pulls, and up to which change
	merged   *Update          // waits to be saved; nil when nothing does

	mu       sync.Mutex
	rooms    map[string]roomEntry // that are to be entered
	turns    int64                // how often the program entered one
	entering map[string]bool      // rooms that enterUntilDone tries
}

// OpenChat dials, and returns once the device is up to date. The callbacks of o are called as with Dial, those for events
// and syncs after the engine's own work. Errors: those of Dial, the store's.
func OpenChat(ctx context.Context, o Options, chat ChatOptions) (*Chat, error) {
	if chat.Store == nil {
		chat.Store = &MemoryStore{}
	}
	if chat.History == 0 {
		chat.History = 50
	}
	c := &Chat{
		options: chat, store: chat.Store, synced: make(chan struct{}), have: make(map[string]*Position),
		unhidden: make(map[string]bool), told: make(map[string]int64), changed: make(map[string]int64), rooms: make(map[string]roomEntry),
		entering: make(map[string]bool),
	}
	cursor, positions, err := c.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load positions: %w", err)
	}
	c.cursor = cursor
	for id, position := range positions {
		c.have[id] = &position
	}
	onEvents, onSync := o.OnEvents, o.OnSync
	o.OnEvents = func(events []*edgev1.Event) {
		c.take(events)
		if onEvents != nil {
			onEvents(events)
		}
	}
	o.OnSync = func(signed *edgev1.SignedIn) {
		c.sync()
		if onSync != nil {
			onSync(signed)
		}
	}
	if c.conn, err = newConn(o); err != nil {
		return nil, err
	}
	c.logger = c.conn.options.Logger
	c.Service = chatv1connect.NewChatServiceClient(c.conn.HTTPClient(), "http://edge")
	c.conn.start()
	if err := c.Synced(ctx); err != nil {
		if last := c.conn.Err(); last != nil {
			err = fmt.Errorf("%w: %w", err, last)
		}
		c.Close()
		return nil, fmt.Errorf("open chat: %w", err)
	}
	return c, nil
}

// Conn returns the connection.
func (c *Chat) Conn() *Conn { return c.conn }

// Close ends the connection and returns when all of it has ended. A callback must not call it.
func (c *Chat) Close() { c.conn.Close() }

// Synced waits until the device has been up to date once. Errors: ReasonConnectionEnded, the context's.
func (c *Chat) Synced(ctx context.Context) error {
	select {
	case <-c.synced:
		return nil
	case <-c.conn.Done():
		return connectionEnded(c.conn.Err())
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// NewMessageID returns a client_msg_id: a ULID, which grows with time.
func NewMessageID() string {
	return ulid.MustNew(ulid.Now(), rand.Reader).String() // reading random numbers does not fail
}

// SendText sends a text. Errors: those of Send.
func (c *Chat) SendText(ctx context.Context, conversationID, text string) (*chatv1.Message, error) {
	return c.Send(ctx, &chatv1.SendMessageRequest{
		ConversationId: conversationID,
		Content:        &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	})
}

// Send sends a message until the server has acknowledged or refused it, or ctx ends, and returns it with its place. An
// empty client_msg_id becomes one of NewMessageID; whoever keeps its own across restarts sends it again under the same.
// Messages that one goroutine sends stand in their order. Errors: those of ChatService.SendMessage that do not pass, the
// connection's end, the context's: then it may still have been stored.
func (c *Chat) Send(ctx context.Context, request *chatv1.SendMessageRequest) (*chatv1.Message, error) {
	if request.GetClientMsgId() == "" {
		request.ClientMsgId = NewMessageID()
	}
	response := &chatv1.SendMessageResponse{}
	err := c.persist(ctx, func(ctx context.Context) error {
		return c.conn.Call(ctx, chatv1connect.ChatServiceSendMessageProcedure, request, response)
	})
	if err != nil {
		return nil, err
	}
	return response.GetMessage(), nil
}

// persist does what is harmless to do again until it succeeds, fails in a way that does not pass, or ctx ends.
func (c *Chat) persist(ctx context.Context, do func(ctx context.Context) error) error {
	for tries := 0; ; tries++ {
		err := within(ctx, sendTimeout, do)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return contextError(ctx)
		}
		wait, ok := again(err)
		if !ok {
			return err
		}
		if !pause(ctx, max(wait, c.backoff(tries))) {
			return contextError(ctx)
		}
	}
}

// within does something with a limit on its time.
func within(ctx context.Context, limit time.Duration, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// backoff is the pause after so many failures.
func (c *Chat) backoff(failures int) time.Duration {
	return min(pausesTo, min(pausesFrom, c.conn.options.BackoffMin)<<min(failures, 16))
}
